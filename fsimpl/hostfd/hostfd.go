// Package hostfd makes files of host descriptors that the sandbox was given:
// stdin, stdout and stderr, and what --preserve-fds passes.
//
// A descriptor may share its open file description with processes outside
// (a shell's terminal, a log file opened for append), so it is used as it is:
// reads and writes go through the shared offset, and its O_NONBLOCK flag is
// never touched. Not blocking a host thread is done call by call instead
// (MSG_DONTWAIT, RWF_NOWAIT, or poll first); waiting is the poller's work.
package hostfd

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// File is one host descriptor: the operations of an open file and the
// identity behind it. Opening it again (/dev/stdout, /proc/self/fd/1) shares
// it; the descriptor is closed when the last user is gone.
type File struct {
	fd    int
	mode  uint32 // type bits of the host file
	rdev  uint64
	flags int  // access mode and O_APPEND as found
	polls bool // epoll can watch it
	queue wait.Queue

	// Under thePoller.mu.
	armed   uint32
	watched bool
	closed  bool

	mu      sync.Mutex
	refs    int
	noNowat bool // RWF_NOWAIT does not work here
}

// Open wraps a host descriptor and takes it over.
func Open(fd int) (*File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, errno.FromHost(err)
	}
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return nil, errno.FromHost(err)
	}
	f := &File{fd: fd, mode: st.Mode & unix.S_IFMT, rdev: st.Rdev, flags: fl, refs: 1}
	switch f.mode {
	case unix.S_IFIFO, unix.S_IFSOCK:
		f.polls = true
	case unix.S_IFCHR:
		// /dev/null and its like are always ready and cannot be watched.
		f.polls = st.Rdev != unix.Mkdev(1, 3) && st.Rdev != unix.Mkdev(1, 5) && st.Rdev != unix.Mkdev(1, 7) && st.Rdev != unix.Mkdev(1, 9)
	case unix.S_IFREG, unix.S_IFBLK, unix.S_IFDIR:
	default:
		f.polls = true // anonymous inodes: eventfd and others
	}
	if f.polls {
		if err := Start(); err != nil {
			return nil, errno.FromHost(err)
		}
	}
	return f, nil
}

// FD is the host descriptor.
func (h *File) FD() int { return h.fd }

// Flags are the access mode and status flags of the host's description.
func (h *File) Flags() uint32 {
	return uint32(h.flags) & (unix.O_ACCMODE | unix.O_APPEND)
}

// IsTerminal says whether the descriptor is a terminal.
func (h *File) IsTerminal() bool {
	if h.mode != unix.S_IFCHR {
		return false
	}
	_, err := unix.IoctlGetTermios(h.fd, unix.TCGETS)
	return err == nil
}

// Stat is fstat(2) of the host file; ids are shown as root's, because host
// ids mean nothing inside.
func (h *File) Stat(dev vfs.Dev, uid creds.KUID, gid creds.KGID) (vfs.Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(h.fd, &st); err != nil {
		return vfs.Stat{}, errno.FromHost(err)
	}
	return vfs.Stat{
		Dev: dev, Rdev: vfs.Dev{Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev)},
		Ino: st.Ino, Mode: st.Mode, Nlink: uint32(st.Nlink), UID: uid, GID: gid,
		Size: uint64(st.Size), Blocks: uint64(st.Blocks), BlkSize: uint32(st.Blksize),
		Atime: unix.Timespec(st.Atim), Mtime: unix.Timespec(st.Mtim), Ctime: unix.Timespec(st.Ctim),
	}, nil
}

// name is what /proc/pid/fd shows.
func (h *File) name(ino uint64) string {
	switch h.mode {
	case unix.S_IFIFO:
		return fmt.Sprintf("pipe:[%d]", ino)
	case unix.S_IFSOCK:
		return fmt.Sprintf("socket:[%d]", ino)
	case unix.S_IFCHR:
		switch h.rdev {
		case unix.Mkdev(1, 3):
			return "/dev/null"
		case unix.Mkdev(1, 5):
			return "/dev/zero"
		case unix.Mkdev(1, 9):
			return "/dev/urandom"
		}
		return "/dev/console"
	}
	return fmt.Sprintf("/host:[%d]", ino)
}

const (
	readEvents  = unix.EPOLLIN | unix.EPOLLPRI | unix.EPOLLRDHUP
	writeEvents = unix.EPOLLOUT
)

// moved turns the result of one host transfer into FileOps' protocol.
func (h *File) moved(n int, err error, ev uint32) (int64, error) {
	if n > 0 {
		return int64(n), nil
	}
	if err == unix.EAGAIN {
		if h.polls {
			thePoller.arm(h, ev)
		}
		return 0, errno.EAGAIN
	}
	return 0, errno.FromHost(err)
}

// chunk bounds one transfer; pipes and terminals take less at a time anyway.
const chunk = 1 << 20

// Read implements vfs.FileOps.
func (h *File) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil
	}
	n, err := dst.WithBlocks(chunk, true, func(b [][]byte) (int64, error) {
		n, err := h.readv(b, *off)
		return h.moved(n, err, readEvents)
	})
	if n > 0 && err == errno.EAGAIN {
		err = nil
	}
	return n, err
}

func (h *File) readv(b [][]byte, off int64) (n int, err error) {
	for {
		switch {
		case h.mode == unix.S_IFSOCK:
			n, _, _, _, err = unix.RecvmsgBuffers(h.fd, b, nil, unix.MSG_DONTWAIT)
		case !h.polls:
			if off >= 0 {
				n, err = unix.Preadv(h.fd, b, off)
			} else {
				n, err = unix.Readv(h.fd, b)
			}
		default:
			n, err = h.nowait(func() (int, error) { return unix.Preadv2(h.fd, b, -1, unix.RWF_NOWAIT) }, func() (int, error) {
				if pollNow(h.fd, unix.POLLIN) == 0 {
					return 0, unix.EAGAIN
				}
				return unix.Readv(h.fd, b)
			})
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// nowait tries the call that never blocks, and once it turns out not to be
// offered for this kind of file, the one that looks first.
func (h *File) nowait(try, look func() (int, error)) (int, error) {
	h.mu.Lock()
	no := h.noNowat
	h.mu.Unlock()
	if !no {
		n, err := try()
		if err != unix.EOPNOTSUPP && err != unix.ENOSYS && err != unix.ESPIPE && err != unix.EINVAL {
			return n, err
		}
		h.mu.Lock()
		h.noNowat = true
		h.mu.Unlock()
	}
	return look()
}

// Write implements vfs.FileOps.
func (h *File) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	if src.Len() == 0 {
		return 0, nil
	}
	n, err := src.WithBlocks(chunk, false, func(b [][]byte) (int64, error) {
		n, err := h.writev(b, *off)
		return h.moved(n, err, writeEvents)
	})
	if n > 0 && err == errno.EAGAIN {
		err = nil
	}
	return n, err
}

func (h *File) writev(b [][]byte, off int64) (n int, err error) {
	for {
		switch {
		case h.mode == unix.S_IFSOCK:
			n, err = unix.SendmsgBuffers(h.fd, b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		case !h.polls:
			if off >= 0 {
				n, err = unix.Pwritev(h.fd, b, off)
			} else {
				n, err = unix.Writev(h.fd, b)
			}
		default:
			n, err = h.nowait(func() (int, error) { return unix.Pwritev2(h.fd, b, -1, unix.RWF_NOWAIT) }, func() (int, error) {
				r := pollNow(h.fd, unix.POLLOUT)
				if r == 0 {
					return 0, unix.EAGAIN
				}
				// Room for PIPE_BUF bytes is all that POLLOUT promises.
				p := b[0]
				return unix.Write(h.fd, p[:min(len(p), 4096)])
			})
		}
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// OwnPosition implements vfs.OwnPosition.
func (h *File) OwnPosition() bool { return true }

// FullWrite implements vfs.FullWriter.
func (h *File) FullWrite() bool { return h.polls }

// Seek implements vfs.FileOps. The offset is the host's, shared.
func (h *File) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) {
	n, err := unix.Seek(h.fd, off, whence)
	return n, errno.FromHost(err)
}

// Readdir implements vfs.FileOps.
func (h *File) Readdir(ctx kctx.Ctx, f *vfs.File, pos int64, emit func(vfs.Dirent) bool) error {
	return errno.ENOTDIR
}

// Ioctl implements vfs.FileOps: terminals and the amount of input.
func (h *File) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case unix.TCGETS:
		t, err := unix.IoctlGetTermios(h.fd, unix.TCGETS)
		if err != nil {
			return 0, errno.FromHost(err)
		}
		k := kTermios{t.Iflag, t.Oflag, t.Cflag, t.Lflag, t.Line, t.Cc}
		return 0, usermem.Put(io, arg, &k)
	case unix.TCSETS, unix.TCSETSW, unix.TCSETSF:
		var k kTermios
		if err := usermem.Get(io, arg, &k); err != nil {
			return 0, err
		}
		t := unix.Termios{Iflag: k.Iflag, Oflag: k.Oflag, Cflag: k.Cflag, Lflag: k.Lflag, Line: k.Line, Cc: k.Cc}
		return 0, errno.FromHost(unix.IoctlSetTermios(h.fd, uint(cmd), &t))
	case unix.TIOCGWINSZ:
		ws, err := unix.IoctlGetWinsize(h.fd, unix.TIOCGWINSZ)
		if err != nil {
			return 0, errno.FromHost(err)
		}
		return 0, usermem.Put(io, arg, ws)
	case unix.TIOCSWINSZ:
		var ws unix.Winsize
		if err := usermem.Get(io, arg, &ws); err != nil {
			return 0, err
		}
		return 0, errno.FromHost(unix.IoctlSetWinsize(h.fd, unix.TIOCSWINSZ, &ws))
	case unix.TIOCINQ, unix.TIOCOUTQ:
		n, err := unix.IoctlGetInt(h.fd, uint(cmd))
		if err != nil {
			return 0, errno.FromHost(err)
		}
		v := int32(n)
		return 0, usermem.Put(io, arg, &v)
	case unix.TCFLSH, unix.TCXONC, unix.TCSBRK:
		if !h.IsTerminal() {
			return 0, errno.ENOTTY
		}
		return 0, errno.FromHost(unix.IoctlSetInt(h.fd, uint(cmd), int(arg)))
	}
	return 0, errno.ENOTTY
}

// kTermios is the kernel's struct termios (TCGETS).
type kTermios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	Cc                         [19]uint8
}

// Mmap implements vfs.FileOps.
func (h *File) Mmap(ctx kctx.Ctx, f *vfs.File) (memmap.Mappable, error) { return nil, errno.ENODEV }

// Ready implements vfs.FileOps.
func (h *File) Ready(mask wait.Events) wait.Events {
	if !h.polls {
		return mask & (wait.In | wait.Out | wait.RdNorm | wait.WrNorm)
	}
	r := wait.Events(uint16(pollNow(h.fd, int16(uint16(mask))))) & (mask | wait.Err | wait.Hup)
	if miss := mask &^ r; miss != 0 {
		var ev uint32
		if miss&(wait.In|wait.RdNorm|wait.Pri|wait.RdHup) != 0 && r&(wait.In|wait.Hup) == 0 {
			ev |= readEvents
		}
		if miss&(wait.Out|wait.WrNorm) != 0 && r&(wait.Err|wait.Hup) == 0 {
			ev |= writeEvents
		}
		if ev != 0 {
			thePoller.arm(h, ev)
		}
	}
	return r
}

// WaitQueue implements vfs.FileOps.
func (h *File) WaitQueue() *wait.Queue {
	if !h.polls {
		return nil
	}
	return &h.queue
}

// Sync implements vfs.FileOps.
func (h *File) Sync(ctx kctx.Ctx, f *vfs.File, dataOnly bool) error {
	if h.polls {
		return errno.EINVAL
	}
	return errno.FromHost(unix.Fsync(h.fd))
}

// Allocate implements vfs.FileOps.
func (h *File) Allocate(ctx kctx.Ctx, f *vfs.File, mode uint32, off, n uint64) error {
	switch h.mode {
	case unix.S_IFREG:
		return errno.EOPNOTSUPP
	case unix.S_IFIFO:
		return errno.ESPIPE
	}
	return errno.ENODEV
}

// Truncate implements vfs.Truncater.
func (h *File) Truncate(ctx kctx.Ctx, f *vfs.File, s vfs.SetStat) error {
	if h.mode != unix.S_IFREG {
		return errno.EINVAL
	}
	return errno.FromHost(unix.Ftruncate(h.fd, int64(s.Size)))
}

// Flush implements vfs.FileOps.
func (h *File) Flush(ctx kctx.Ctx, f *vfs.File) error { return nil }

// Release implements vfs.FileOps.
func (h *File) Release(ctx kctx.Ctx, f *vfs.File) { h.drop() }

func (h *File) hold() {
	h.mu.Lock()
	h.refs++
	h.mu.Unlock()
}

func (h *File) drop() {
	h.mu.Lock()
	h.refs--
	last := h.refs == 0
	h.mu.Unlock()
	if last {
		thePoller.forget(h)
		unix.Close(h.fd)
	}
}
