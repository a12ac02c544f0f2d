package syscalls

import (
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/pipefs"
	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

var spliceRows = []Row{
	{40, "sendfile", sysSendfile, "fd,fd,ptr,size", Full, ""},
	{275, "splice", sysSplice, "fd,ptr,fd,ptr,size,hex", Full, ""},
	{276, "tee", sysTee, "fd,fd,size,hex", Full, ""},
	{278, "vmsplice", sysVmsplice, "fd,iovec,int,hex", Full, ""},
	{326, "copy_file_range", sysCopyFileRange, "fd,ptr,fd,ptr,size,hex", Full, ""},
}

// chunk is how much is moved at a time through the sentry's own memory.
const chunk = 64 << 10

// side is a file and where to read or write it: at its position, or at *off.
type side struct {
	f   *vfs.File
	off *int64
}

func (s side) read(t *kernel.Task, b []byte) (int64, error) {
	if s.off == nil {
		return s.f.Read(t, usermem.Bytes(b))
	}
	n, err := s.f.Pread(t, usermem.Bytes(b), *s.off)
	*s.off += n
	return n, err
}

func (s side) write(t *kernel.Task, b []byte) (int64, error) {
	if s.off == nil {
		return s.f.Write(t, usermem.Bytes(b))
	}
	n, err := s.f.Pwrite(t, usermem.Bytes(b), *s.off)
	*s.off += n
	return n, err
}

// back makes the source forget that it read n bytes.
func (s side) back(t *kernel.Task, n int64) {
	if s.off != nil {
		*s.off -= n
	} else {
		s.f.Seek(t, -n, unix.SEEK_CUR)
	}
}

// move copies up to n bytes from a file with a position to out.
func move(t *kernel.Task, in, out side, n uint64) (uint64, error) {
	buf := make([]byte, min(n, chunk))
	var done uint64
	for done < n {
		k, err := in.read(t, buf[:min(uint64(len(buf)), n-done)])
		if err != nil || k == 0 {
			return some(done, err)
		}
		w, err := out.write(t, buf[:k])
		if w < k {
			in.back(t, k-w)
		}
		done += uint64(w)
		if err != nil || w < k {
			return some(done, err)
		}
		if t.Interrupted() {
			break
		}
	}
	return done, nil
}

// some is the result of a transfer that ended with err after done bytes.
func some(done uint64, err error) (uint64, error) {
	if done > 0 {
		return done, nil
	}
	return 0, err
}

// offset reads an optional offset argument.
func offset(t *kernel.Task, addr uint64, v *int64) (*int64, error) {
	if addr == 0 {
		return nil, nil
	}
	if err := kernel.Get(t, addr, v); err != nil {
		return nil, err
	}
	return v, nil
}

// verifyArea is rw_verify_area of n bytes at an offset argument.
func verifyArea(off *int64, n uint64) error {
	if int64(n) < 0 || off != nil && (*off < 0 || *off+int64(n) < 0) {
		return errno.EINVAL
	}
	return nil
}

func putOffset(t *kernel.Task, addr uint64, v *int64) error {
	if addr == 0 {
		return nil
	}
	return kernel.Put(t, addr, v)
}

// twoFiles returns the files of two descriptors.
func twoFiles(t *kernel.Task, in, out int32) (*vfs.File, *vfs.File, error) {
	a, err := openFile(t, in)
	if err != nil {
		return nil, nil, err
	}
	b, err := openFile(t, out)
	if err != nil {
		a.DecRef(t)
		return nil, nil, err
	}
	return a, b, nil
}

// sendfile(2).
func sysSendfile(t *kernel.Task, a arch.Args) (uint64, error) {
	var v int64
	off, err := offset(t, a.Ptr(2), &v)
	if err != nil {
		return 0, err
	}
	in, err := openFile(t, a.Int(1))
	if err != nil {
		return 0, err
	}
	defer in.DecRef(t)
	if !in.Readable() {
		return 0, errno.EBADF
	}
	if off != nil {
		if err := in.CheckTransfer(t, false, true); err != nil {
			return 0, err
		}
	}
	if err := verifyArea(off, a.Size(3)); err != nil {
		return 0, err
	}
	n := min(a.Size(3), maxRW)
	out, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer out.DecRef(t)
	if !out.Writable() {
		return 0, errno.EBADF
	}
	if op := pipefs.Of(out); op != nil && pipefs.Of(in) == nil {
		if n == 0 {
			return 0, nil
		}
		done, err := toPipe(t, side{in, off}, op, out, n, out.NonBlocking())
		if err != nil {
			return wrote(t, 0, err)
		}
		return done, putOffset(t, a.Ptr(2), &v)
	}
	if out.Flags()&unix.O_APPEND != 0 {
		return 0, errno.EINVAL
	}
	if !in.IsRegular() && !in.IsDir() {
		if _, err := in.Seek(t, 0, unix.SEEK_CUR); err != nil {
			return 0, errno.EINVAL
		}
	}
	if n == 0 {
		return 0, nil
	}
	if in.IsDir() || !in.IsRegular() && off == nil || pipefs.Of(in) != nil {
		return 0, errno.EINVAL
	}
	done, err := move(t, side{in, off}, side{f: out}, n)
	if err != nil {
		return wrote(t, 0, err)
	}
	return done, putOffset(t, a.Ptr(2), &v)
}

// fromPipe moves up to n bytes from a pipe to out. It waits only for the first.
func fromPipe(t *kernel.Task, p *pipefs.Pipe, in *vfs.File, out side, n uint64, nonblock bool) (uint64, error) {
	buf := make([]byte, min(n, chunk))
	if n == 0 {
		return 0, nil
	}
	if pipefs.Of(out.f) != nil && out.f.Ready(wait.Err)&wait.Err != 0 {
		if _, err := p.Peek(buf[:1]); err != errno.EAGAIN {
			return 0, errno.EPIPE
		}
	}
	if err := waitFor(t, in, wait.Readable, nonblock, func() bool { _, err := p.Peek(buf[:1]); return err != errno.EAGAIN }); err != nil {
		return 0, err
	}
	var done uint64
	for done < n {
		k, err := p.Take(buf[:min(uint64(len(buf)), n-done)])
		if k == 0 || err != nil {
			if done == 0 && err == errno.EAGAIN && !nonblock {
				return fromPipe(t, p, in, out, n, nonblock) // somebody else was faster
			}
			return some(done, err)
		}
		w, err := out.write(t, buf[:k])
		p.Untake(buf[w:k])
		done += uint64(w)
		if err != nil || int(w) < k {
			return some(done, err)
		}
	}
	return done, nil
}

// waitFor blocks on f until ready says so.
func waitFor(t *kernel.Task, f *vfs.File, ev wait.Events, nonblock bool, ready func() bool) error {
	if ready() {
		return nil
	}
	if nonblock {
		return errno.EAGAIN
	}
	q := f.WaitQueue()
	e := wait.NewEntry(ev)
	q.Add(e)
	defer q.Remove(e)
	for !ready() {
		if err := t.Block(e, time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// splice(2).
func sysSplice(t *kernel.Task, a arch.Args) (uint64, error) {
	flags := a.Uint(5)
	if a.Size(4) == 0 {
		return 0, nil
	}
	if flags&^0xf != 0 {
		return 0, errno.EINVAL
	}
	in, out, err := twoFiles(t, a.Int(0), a.Int(2))
	if err != nil {
		return 0, err
	}
	defer in.DecRef(t)
	defer out.DecRef(t)
	ip, op := pipefs.Of(in), pipefs.Of(out)
	if ip != nil && a.Ptr(1) != 0 || op != nil && a.Ptr(3) != 0 {
		return 0, errno.ESPIPE
	}
	var iv, ov int64
	ooff, err := offset(t, a.Ptr(3), &ov)
	if err != nil {
		return 0, err
	}
	ioff, err := offset(t, a.Ptr(1), &iv)
	if err != nil {
		return 0, err
	}
	n := min(a.Size(4), maxRW)
	switch {
	case !in.Readable() || !out.Writable():
		return 0, errno.EBADF
	case ip == nil && op == nil || ip != nil && ip == op:
		return 0, errno.EINVAL
	case ip != nil && op == nil:
		if ooff != nil && out.CheckTransfer(t, true, true) != nil || out.Flags()&unix.O_APPEND != 0 {
			return 0, errno.EINVAL
		}
		err = verifyArea(ooff, a.Size(4))
	case op != nil && ip == nil:
		if ioff != nil && in.CheckTransfer(t, false, true) != nil {
			return 0, errno.EINVAL
		}
		err = verifyArea(ioff, a.Size(4))
	}
	if err != nil {
		return 0, err
	}
	nonblock := flags&unix.SPLICE_F_NONBLOCK != 0
	var done uint64
	if ip != nil {
		done, err = fromPipe(t, ip, in, side{out, ooff}, n, nonblock || in.NonBlocking())
	} else {
		done, err = toPipe(t, side{in, ioff}, op, out, n, nonblock || out.NonBlocking())
	}
	if err != nil {
		return wrote(t, 0, err)
	}
	if err := putOffset(t, a.Ptr(1), &iv); err != nil {
		return 0, err
	}
	return done, putOffset(t, a.Ptr(3), &ov)
}

// toPipe moves up to n bytes into a pipe, as much as it takes at once.
func toPipe(t *kernel.Task, in side, p *pipefs.Pipe, out *vfs.File, n uint64, nonblock bool) (uint64, error) {
	if out.Ready(wait.Err)&wait.Err != 0 {
		return 0, errno.EPIPE
	}
	err := waitFor(t, out, wait.Writable, nonblock, func() bool { return p.Room() > 0 || out.Ready(wait.Err)&wait.Err != 0 })
	if err != nil {
		return 0, err
	}
	buf := make([]byte, min(n, uint64(p.Room()), chunk))
	if len(buf) == 0 {
		return 0, errno.EAGAIN
	}
	if in.f.IsDir() {
		return 0, errno.EINVAL
	}
	k, err := in.read(t, buf)
	if err != nil || k == 0 {
		return 0, err
	}
	w, err := out.Write(t, usermem.Bytes(buf[:k]))
	if w < k && in.f.IsRegular() {
		in.back(t, k-w)
	}
	return some(uint64(w), err)
}

// tee(2).
func sysTee(t *kernel.Task, a arch.Args) (uint64, error) {
	flags := a.Uint(3)
	if flags&^0xf != 0 {
		return 0, errno.EINVAL
	}
	n := min(a.Size(2), maxRW)
	if n == 0 {
		return 0, nil
	}
	in, out, err := twoFiles(t, a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	defer in.DecRef(t)
	defer out.DecRef(t)
	if !in.Readable() || !out.Writable() {
		return 0, errno.EBADF
	}
	ip, op := pipefs.Of(in), pipefs.Of(out)
	if ip == nil || op == nil || ip == op {
		return 0, errno.EINVAL
	}
	nonblock := flags&unix.SPLICE_F_NONBLOCK != 0
	var b [1]byte
	err = waitFor(t, in, wait.Readable, nonblock || in.NonBlocking(), func() bool { _, err := ip.Peek(b[:]); return err != errno.EAGAIN })
	if err != nil {
		return 0, err
	}
	err = waitFor(t, out, wait.Writable, nonblock || out.NonBlocking(), func() bool { return op.Room() > 0 || out.Ready(wait.Err)&wait.Err != 0 })
	if err != nil {
		return 0, err
	}
	buf := make([]byte, min(n, uint64(op.Room()), 1<<20))
	k, err := ip.Peek(buf)
	if err != nil || k == 0 {
		return 0, err
	}
	w, err := out.Write(t, usermem.Bytes(buf[:k]))
	return wrote(t, w, err)
}

// vmsplice(2): a writev or readv; pages are copied, never gifted.
func sysVmsplice(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(3)&^0xf != 0 {
		return 0, errno.EINVAL
	}
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if !f.Writable() && !f.Readable() {
		return 0, errno.EBADF
	}
	b, err := copyInIovec(t, a.Ptr(1), int32(min(a.Uint64(2), maxIov+1)))
	if err != nil || b.Len() == 0 {
		return 0, err
	}
	if pipefs.Of(f) == nil {
		return 0, errno.EBADF
	}
	n, err := f.WithFlags(a.Uint(3)&unix.SPLICE_F_NONBLOCK != 0, false, false, func() (int64, error) {
		if f.Writable() {
			return f.Write(t, b)
		}
		return f.Read(t, b)
	})
	return wrote(t, n, err)
}

// copy_file_range(2).
func sysCopyFileRange(t *kernel.Task, a arch.Args) (uint64, error) {
	in, out, err := twoFiles(t, a.Int(0), a.Int(2))
	if err != nil {
		return 0, err
	}
	defer in.DecRef(t)
	defer out.DecRef(t)
	var iv, ov int64
	ioff, err := offset(t, a.Ptr(1), &iv)
	if err != nil {
		return 0, err
	}
	ooff, err := offset(t, a.Ptr(3), &ov)
	if err != nil {
		return 0, err
	}
	n := min(a.Size(4), maxRW)
	switch {
	case a.Uint(5) != 0:
		return 0, errno.EINVAL
	case in.IsDir() || out.IsDir():
		return 0, errno.EISDIR
	case !isReg(in) || !isReg(out):
		return 0, errno.EINVAL
	case !in.Readable() || !out.Writable() || out.Flags()&unix.O_APPEND != 0:
		return 0, errno.EBADF
	}
	if err := verifyArea(ioff, a.Size(4)); err != nil {
		return 0, err
	}
	if err := verifyArea(ooff, a.Size(4)); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, nil
	}
	from, to := iv, ov
	if ioff == nil {
		from = in.Offset()
	}
	if ooff == nil {
		to = out.Offset()
	}
	st, err := in.Stat(t)
	if err != nil {
		return 0, err
	}
	if n = min(n, uint64(max(int64(st.Size)-from, 0))); n == 0 {
		return 0, nil
	}
	if in.Inode() == out.Inode() && from < to+int64(n) && to < from+int64(n) {
		return 0, errno.EINVAL
	}
	done, err := move(t, side{in, ioff}, side{out, ooff}, n)
	if err != nil {
		return 0, err
	}
	if err := putOffset(t, a.Ptr(1), &iv); err != nil {
		return 0, err
	}
	return done, putOffset(t, a.Ptr(3), &ov)
}

func isReg(f *vfs.File) bool {
	mode, _, _ := f.Inode().Attr()
	return mode&unix.S_IFMT == unix.S_IFREG
}
