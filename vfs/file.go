package vfs

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
)

// What a file may be used for, fixed at open.
const (
	fRead uint32 = 1 << iota
	fWrite
	fPath      // O_PATH: only a place
	fStream    // no position; reads and writes may block
	fFullWrite // a blocking write goes on until all is written
	fRegular
	fDirectory
	fMountWriter // counted in Mount.writers
	fInodeWriter // counted in InodeBase.writers
	fDenyWrite   // counted negative there (executables)
	fDetached    // owns a detached mount tree
	fOwnPosition // the FileOps keep the position
	fCreated     // the open made it
	fNoSeek      // an event object that refuses lseek(2)
)

// File is an open file description (open(2)).
//
// A call that moved n > 0 bytes returns n and nil, whatever stopped it: this
// is handled here and FileOps keep to it too.
type File struct {
	sys   *System
	path  Path
	inode Inode
	ops   FileOps
	cred  *creds.Credentials
	mode  uint32 // f*
	flags atomic.Uint32
	refs  atomic.Int64

	pos struct {
		sync.Mutex
		off int64
	}

	epolls atomic.Pointer[epollRef] // interests in this file
	async  atomic.Pointer[asyncIO]
	locked atomic.Bool // may hold flock or OFD locks
	ra     atomic.Uint64
}

// statusFlags are those that fcntl(F_GETFL) shows.
const statusFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_NONBLOCK | unix.O_DSYNC | unix.O_SYNC |
	unix.O_DIRECT | unix.O_ASYNC | unix.O_NOATIME | unix.O_PATH | LargeFile | unix.O_DIRECTORY |
	unix.O_NOFOLLOW | unix.O_TMPFILE

// LargeFile is O_LARGEFILE as the kernel has it; 64-bit libraries call it 0.
const LargeFile = 0o100000

// settableFlags are those that fcntl(F_SETFL) changes.
const settableFlags = unix.O_APPEND | unix.O_NONBLOCK | unix.O_DIRECT | unix.O_ASYNC | unix.O_NOATIME

// FullWriter is a FileOps (pipe, stream socket, terminal) whose blocking write
// goes on until everything is written.
type FullWriter interface{ FullWrite() bool }

// IOTimeouter is a FileOps with time limits on blocking (SO_RCVTIMEO,
// SO_SNDTIMEO); zero is none.
type IOTimeouter interface {
	IOTimeout(write bool) time.Duration
}

// newFile makes a File over p, whose reference it takes.
func newFile(s *System, cr *creds.Credentials, p Path, ops FileOps, flags uint32) *File {
	f := &File{sys: s, path: p, inode: p.Dentry.inode, ops: ops, cred: cr}
	switch {
	case flags&unix.O_PATH != 0:
		f.mode = fPath
	case flags&unix.O_ACCMODE == unix.O_RDONLY:
		f.mode = fRead
	case flags&unix.O_ACCMODE == unix.O_WRONLY:
		f.mode = fWrite
	case flags&unix.O_ACCMODE == unix.O_RDWR:
		f.mode = fRead | fWrite
	}
	mode, _, _ := f.inode.Attr()
	switch mode & typeMask {
	case unix.S_IFREG, unix.S_IFBLK, unix.S_IFLNK:
		f.mode |= fRegular
	case unix.S_IFDIR:
		f.mode |= fDirectory
	default:
		f.mode |= fStream
	}
	if w, ok := ops.(FullWriter); ok && w.FullWrite() {
		f.mode |= fFullWrite
	}
	if p, ok := ops.(OwnPosition); ok && p.OwnPosition() {
		f.mode = f.mode&^fRegular | fStream | fOwnPosition
	}
	if n, ok := ops.(interface{ NoSeek() bool }); ok && n.NoSeek() {
		f.mode |= fNoSeek
	}
	f.flags.Store(flags & statusFlags)
	f.refs.Store(1)
	return f
}

// IncRef takes another reference.
func (f *File) IncRef() { f.refs.Add(1) }

// TryIncRef takes a reference unless the file is being released.
func (f *File) TryIncRef() bool {
	for {
		r := f.refs.Load()
		if r <= 0 {
			return false
		}
		if f.refs.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

// DecRef drops a reference; the last one releases the file.
func (f *File) DecRef(ctx kctx.Ctx) {
	if f.refs.Add(-1) == 0 {
		f.release(ctx)
	}
}

func (f *File) release(ctx kctx.Ctx) {
	f.epollGone()
	if a := f.async.Load(); a != nil {
		f.setAsync(-1, false)
		if f.mode&fDirectory != 0 {
			f.Notify(ctx, -1, 0)
		}
	}
	if f.locked.Load() {
		f.releaseLocks()
	}
	if f.mode&fPath == 0 {
		f.notifyClose()
		f.ops.Release(ctx, f)
	}
	if f.mode&fInodeWriter != 0 {
		f.sys.base(f.inode).writers.Add(-1)
	}
	if f.mode&fDenyWrite != 0 {
		f.sys.base(f.inode).writers.Add(1)
	}
	if f.mode&fMountWriter != 0 {
		f.path.Mount.writers.Add(-1)
		f.path.Dentry.sb.writers.Add(-1)
	}
	if f.mode&fDetached != 0 {
		f.path.Mount.Dissolve()
	}
	f.path.DecRef()
}

// Flush is called by close(2) on each descriptor; owner identifies the
// descriptor table, whose record locks on the file end.
func (f *File) Flush(ctx kctx.Ctx, owner any) error {
	if f.mode&fPath != 0 {
		return nil
	}
	f.releaseRecordLocks(owner)
	if f.mode&fDirectory != 0 && f.async.Load() != nil {
		f.Notify(ctx, -1, 0)
	}
	return f.ops.Flush(ctx, f)
}

// Flags returns the status flags and access mode (F_GETFL).
func (f *File) Flags() uint32 { return f.flags.Load() }

// SetFlags changes the settable status flags (F_SETFL).
func (f *File) SetFlags(flags uint32) {
	for {
		old := f.flags.Load()
		if f.flags.CompareAndSwap(old, old&^settableFlags|flags&settableFlags) {
			return
		}
	}
}

// NonBlocking says whether O_NONBLOCK is set.
func (f *File) NonBlocking() bool { return f.flags.Load()&unix.O_NONBLOCK != 0 }

// Path returns where the file was opened, without a reference.
func (f *File) Path() Path { return f.path }

// Inode returns the file's inode.
func (f *File) Inode() Inode { return f.inode }

// Dentry returns the dentry it was opened by.
func (f *File) Dentry() *Dentry { return f.path.Dentry }

// Ops returns the behaviour; nil for O_PATH.
func (f *File) Ops() FileOps { return f.ops }

// System returns the owner.
func (f *File) System() *System { return f.sys }

// Cred returns the opener's credentials.
func (f *File) Cred() *creds.Credentials { return f.cred }

// Readable says whether it was opened for reading.
func (f *File) Readable() bool { return f.mode&fRead != 0 }

// Writable says whether it was opened for writing.
func (f *File) Writable() bool { return f.mode&fWrite != 0 }

// Created says whether opening f made the file (F_CREATED_QUERY).
func (f *File) Created() bool { return f.mode&fCreated != 0 }

// IsPath says whether it was opened with O_PATH.
func (f *File) IsPath() bool { return f.mode&fPath != 0 }

// IsDir says whether it is a directory.
func (f *File) IsDir() bool { return f.mode&fDirectory != 0 }

// IsRegular says whether it has a position and bytes.
func (f *File) IsRegular() bool { return f.mode&fRegular != 0 }

// WantAtime says how reading updates the access time: not at all, or by the
// rule of relatime.
func (f *File) WantAtime() (update, relative bool) {
	if f.flags.Load()&unix.O_NOATIME != 0 {
		return false, false
	}
	fl := f.path.Mount.Flags()
	if fl&(MountNoAtime|MountReadOnly) != 0 || f.mode&fDirectory != 0 && fl&MountNoDirAtime != 0 {
		return false, false
	}
	return true, fl&MountStrictAtime == 0
}

// Offset returns the position.
func (f *File) Offset() int64 {
	f.pos.Lock()
	defer f.pos.Unlock()
	return f.pos.off
}

// OwnPosition is a FileOps that keeps the position itself, because it shares
// it with others (host descriptors): offset -1 stands for it.
type OwnPosition interface{ OwnPosition() bool }

func (f *File) streamOffset() int64 {
	if f.mode&fOwnPosition != 0 {
		return -1
	}
	return 0
}

// CheckTransfer are the checks of the file ahead of those of the buffer
// (linux: fs/read_write.c vfs_read, vfs_write); at says that the call names a
// position.
func (f *File) CheckTransfer(ctx kctx.Ctx, write, at bool) error {
	want := fRead
	if write {
		want = fWrite
	}
	if at && f.mode&fNoSeek != 0 && f.mode&want != 0 {
		return errno.EINVAL
	}
	if at {
		if err := f.positional(ctx, want); err != nil {
			return err
		}
	}
	if f.mode&want == 0 {
		return errno.EBADF
	}
	if f.mode&fStream != 0 {
		if d, ok := f.ops.(OneWay); ok && !d.Transfers(write) {
			return errno.EINVAL
		}
	}
	return nil
}

// OneWay is a FileOps of an event object that has no read or no write at all,
// which is EINVAL before the buffer is looked at.
type OneWay interface{ Transfers(write bool) bool }

// Read is read(2): at the position, blocking unless O_NONBLOCK.
func (f *File) Read(ctx kctx.Ctx, dst *usermem.Buf) (int64, error) {
	if f.mode&fRead == 0 {
		if f.mode&fPath == 0 && f.mode&fDirectory != 0 {
			return 0, errno.EISDIR
		}
		return 0, errno.EBADF
	}
	if f.mode&fStream != 0 {
		off := f.streamOffset()
		n, err := f.ops.Read(ctx, f, dst, &off)
		if err != nil && err == errno.EAGAIN {
			n, err = f.readBlocking(ctx, dst, &off)
		}
		if n > 0 {
			f.notifyAccess()
		}
		return n, err
	}
	f.pos.Lock()
	n, err := f.readAt(ctx, dst, &f.pos.off)
	f.pos.Unlock()
	return n, err
}

// inRange is rw_verify_area: no transfer goes beyond the largest offset.
func inRange(off, n int64) bool { return off+n >= off }

func (f *File) readAt(ctx kctx.Ctx, dst *usermem.Buf, off *int64) (int64, error) {
	if !inRange(*off, dst.Len()) {
		return 0, errno.EINVAL
	}
	n, err := f.ops.Read(ctx, f, dst, off)
	if err != nil && err == errno.EAGAIN {
		n, err = f.readBlocking(ctx, dst, off)
	}
	if n > 0 {
		f.notifyAccess()
		return n, nil
	}
	return n, err
}

func (f *File) deadline(write bool) time.Time {
	if t, ok := f.ops.(IOTimeouter); ok {
		if d := t.IOTimeout(write); d > 0 {
			return time.Now().Add(d)
		}
	}
	return time.Time{}
}

func (f *File) readBlocking(ctx kctx.Ctx, dst *usermem.Buf, off *int64) (int64, error) {
	q := f.ops.WaitQueue()
	if q == nil || f.NonBlocking() {
		return 0, errno.EAGAIN
	}
	e := wait.NewEntry(wait.Readable)
	q.Add(e)
	defer q.Remove(e)
	deadline := f.deadline(false)
	for {
		n, err := f.ops.Read(ctx, f, dst, off)
		if err == nil || err != errno.EAGAIN {
			return n, err
		}
		if err := ctx.Block(e, deadline); err != nil {
			if err == errno.ETIMEDOUT {
				err = errno.EAGAIN
			}
			return 0, err
		}
	}
}

// Write is write(2). A broken pipe is EPIPE; the system call sends SIGPIPE.
func (f *File) Write(ctx kctx.Ctx, src *usermem.Buf) (int64, error) {
	if f.mode&fWrite == 0 {
		return 0, errno.EBADF
	}
	if f.mode&fStream != 0 {
		off := f.streamOffset()
		n, err := f.writeStream(ctx, src, &off)
		if n > 0 {
			f.notifyModify()
		}
		return n, err
	}
	f.pos.Lock()
	n, err := f.writeAt(ctx, src, &f.pos.off)
	f.pos.Unlock()
	return n, err
}

func (f *File) writeStream(ctx kctx.Ctx, src *usermem.Buf, off *int64) (int64, error) {
	n, err := f.ops.Write(ctx, f, src, off)
	if err == nil && (f.mode&fFullWrite == 0 || src.Len() == 0) || err != nil && err != errno.EAGAIN {
		return n, err
	}
	q := f.ops.WaitQueue()
	if q == nil || f.NonBlocking() {
		return n, err
	}
	e := wait.NewEntry(wait.Writable)
	q.Add(e)
	defer q.Remove(e)
	deadline := f.deadline(true)
	for {
		m, err := f.ops.Write(ctx, f, src, off)
		n += m
		if err == nil && (f.mode&fFullWrite == 0 || src.Len() == 0) {
			return n, nil
		}
		if err == nil {
			if m > 0 {
				continue
			}
			err = errno.EAGAIN
		}
		if err == errno.EAGAIN {
			if err = ctx.Block(e, deadline); err == nil {
				continue
			}
			if err == errno.ETIMEDOUT {
				err = errno.EAGAIN
			}
		}
		if n > 0 {
			return n, nil
		}
		return 0, err
	}
}

// writeAt writes to a file with a position: size limit, set-id bits, sync.
func (f *File) writeAt(ctx kctx.Ctx, src *usermem.Buf, off *int64) (int64, error) {
	if !inRange(*off, src.Len()) {
		return 0, errno.EINVAL
	}
	if l, ok := ctx.(kctx.FileSizeLimiter); ok && src.Len() > 0 {
		at := *off
		if f.flags.Load()&unix.O_APPEND != 0 {
			if st, err := f.inode.Stat(ctx); err == nil {
				at = int64(st.Size)
			}
		}
		n, err := l.CheckFileSize(at, src.Len())
		if err != nil {
			return 0, err
		}
		src.Truncate(n)
	}
	f.dropSetID(ctx)
	n, err := f.ops.Write(ctx, f, src, off)
	if n > 0 {
		if f.flags.Load()&(unix.O_DSYNC|unix.O_SYNC) != 0 {
			if err := f.ops.Sync(ctx, f, f.flags.Load()&unix.O_SYNC == unix.O_DSYNC); err != nil {
				return 0, err
			}
		}
		f.notifyModify()
		return n, nil
	}
	return n, err
}

// dropSetID clears set-id bits of a file that is changed by someone without
// CAP_FSETID (linux: fs/inode.c file_remove_privs).
func (f *File) dropSetID(ctx kctx.Ctx) {
	mode, _, _ := f.inode.Attr()
	if mode&(unix.S_ISUID|unix.S_ISGID) == 0 {
		return
	}
	if m := killSetID(mode); m != mode && !Capable(ctx.Creds(), creds.CapFsetid, f.inode) {
		f.inode.SetStat(ctx, SetStat{Mask: SetMode, Mode: m})
	}
}

// killSetID returns mode without the set-id bits that a change takes away.
func killSetID(mode uint32) uint32 {
	if mode&typeMask != typeReg {
		return mode
	}
	mode &^= unix.S_ISUID
	if mode&0o010 != 0 {
		mode &^= unix.S_ISGID
	}
	return mode
}

// Pread reads at off and leaves the position alone.
func (f *File) Pread(ctx kctx.Ctx, dst *usermem.Buf, off int64) (int64, error) {
	if err := f.positional(ctx, fRead); err != nil {
		return 0, err
	}
	return f.readAt(ctx, dst, &off)
}

// Pwrite writes at off and leaves the position alone. With O_APPEND Linux
// appends all the same (pwrite(2), BUGS).
func (f *File) Pwrite(ctx kctx.Ctx, src *usermem.Buf, off int64) (int64, error) {
	if err := f.positional(ctx, fWrite); err != nil {
		return 0, err
	}
	if f.mode&fStream != 0 {
		return f.writeStream(ctx, src, &off)
	}
	return f.writeAt(ctx, src, &off)
}

// NotPositional is a FileOps whose Seek does nothing (Linux's noop_llseek) and
// that has no pread(2).
type NotPositional interface{ NotPositional() }

func (f *File) positional(ctx kctx.Ctx, want uint32) error {
	if f.mode&fPath != 0 {
		return errno.EBADF
	}
	if f.mode&fStream != 0 {
		if _, err := f.ops.Seek(ctx, f, 0, unix.SEEK_CUR); err != nil {
			return errno.ESPIPE
		}
		if _, ok := f.ops.(NotPositional); ok {
			return errno.ESPIPE
		}
	}
	if f.mode&want == 0 {
		return errno.EBADF
	}
	return nil
}

// Seek is lseek(2).
func (f *File) Seek(ctx kctx.Ctx, off int64, whence int) (int64, error) {
	if f.mode&fPath != 0 {
		return 0, errno.EBADF
	}
	if f.mode&fStream != 0 {
		if i, ok := f.inode.(*anonInode); ok && i.mode&typeMask == 0 && f.mode&fNoSeek == 0 {
			return 0, nil // noop_llseek of event objects
		}
		return f.ops.Seek(ctx, f, off, whence)
	}
	f.pos.Lock()
	defer f.pos.Unlock()
	switch whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		if off == 0 {
			return f.pos.off, nil
		}
		off += f.pos.off
	default:
		n, err := f.ops.Seek(ctx, f, off, whence)
		if err != nil {
			return 0, err
		}
		off = n
	}
	if off < 0 {
		return 0, errno.EINVAL
	}
	f.pos.off = off
	return off, nil
}

// Readdir is getdents64(2): emit gets entries from the position on, which
// moves behind each entry that emit accepts.
func (f *File) Readdir(ctx kctx.Ctx, emit func(Dirent) bool) error {
	if f.mode&fPath != 0 {
		return errno.EBADF
	}
	if f.mode&fDirectory == 0 {
		return errno.ENOTDIR
	}
	if f.path.Dentry.Removed() && f.path.Dentry.sb.named() {
		return errno.ENOENT
	}
	f.pos.Lock()
	defer f.pos.Unlock()
	err := f.ops.Readdir(ctx, f, f.pos.off, func(e Dirent) bool {
		if !emit(e) {
			return false
		}
		f.pos.off = e.Next
		return true
	})
	f.notifyAccess()
	return err
}

// Ioctl is ioctl(2) for what is not handled for all files alike.
func (f *File) Ioctl(ctx kctx.Ctx, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	if f.mode&fPath != 0 {
		return 0, errno.EBADF
	}
	return f.ops.Ioctl(ctx, f, io, cmd, arg)
}

// Mmap returns what to map. prot and shared are checked against the open
// mode by mm's caller with Readable and Writable.
func (f *File) Mmap(ctx kctx.Ctx) (memmap.Mappable, error) {
	if f.mode&fPath != 0 {
		return nil, errno.EBADF
	}
	return f.ops.Mmap(ctx, f)
}

// Ready returns which of mask is true now.
func (f *File) Ready(mask wait.Events) wait.Events {
	if f.mode&fPath != 0 {
		return mask & wait.Nval
	}
	return f.ops.Ready(mask)
}

// WaitQueue returns where to wait for readiness, nil if always ready.
func (f *File) WaitQueue() *wait.Queue {
	if f.mode&fPath != 0 {
		return nil
	}
	return f.ops.WaitQueue()
}

// Stat returns the attributes of the open file.
func (f *File) Stat(ctx kctx.Ctx) (Stat, error) { return f.inode.Stat(ctx) }

// Sync is fsync(2) and fdatasync(2).
func (f *File) Sync(ctx kctx.Ctx, dataOnly bool) error {
	if f.mode&fPath != 0 {
		return errno.EBADF
	}
	return f.ops.Sync(ctx, f, dataOnly)
}

// Allocate is fallocate(2); the caller checked the range.
func (f *File) Allocate(ctx kctx.Ctx, mode uint32, off, n uint64) error {
	if f.mode&fWrite == 0 {
		return errno.EBADF
	}
	switch {
	case f.mode&fStream != 0 && f.mode&fOwnPosition == 0:
		fm, _, _ := f.inode.Attr()
		if fm&typeMask == unix.S_IFIFO {
			return errno.ESPIPE
		}
		return errno.ENODEV
	case f.mode&fDirectory != 0:
		return errno.EISDIR
	}
	f.dropSetID(ctx)
	err := f.ops.Allocate(ctx, f, mode, off, n)
	if err == nil {
		f.notifyModify()
	}
	return err
}

// Truncate is ftruncate(2).
func (f *File) Truncate(ctx kctx.Ctx, size int64) error {
	if f.mode&fPath != 0 {
		return errno.EBADF
	}
	if f.mode&fWrite == 0 || f.mode&(fRegular|fOwnPosition) == 0 {
		return errno.EINVAL
	}
	if l, ok := ctx.(kctx.FileSizeLimiter); ok && size > 0 {
		st, err := f.inode.Stat(ctx)
		if err != nil {
			return err
		}
		if uint64(size) > st.Size {
			if n, err := l.CheckFileSize(size-1, 1); err != nil || n < 1 {
				return errno.EFBIG
			}
		}
	}
	s := SetStat{Mask: SetSize, Size: uint64(size)}
	mode, _, _ := f.inode.Attr()
	if m := killSetID(mode); m != mode && !Capable(ctx.Creds(), creds.CapFsetid, f.inode) {
		s.Mask |= SetMode
		s.Mode = m
	}
	var err error
	if t, ok := f.ops.(Truncater); ok {
		err = t.Truncate(ctx, f, s)
	} else {
		err = f.inode.SetStat(ctx, s)
	}
	if err == nil {
		f.notifyModify()
	}
	return err
}

// Truncater is a FileOps that wants ftruncate itself (it has a better handle
// than the inode). s is what SetStat would get.
type Truncater interface {
	Truncate(ctx kctx.Ctx, f *File, s SetStat) error
}

// DenyWrite opens p, a program's file, for execution: nobody may write to it
// as long as the File lives; ETXTBSY if somebody does (execve(2)).
func (f *File) DenyWrite() error {
	if f.mode&fDenyWrite != 0 {
		return nil
	}
	w := &f.sys.base(f.inode).writers
	for {
		n := w.Load()
		if n > 0 {
			return errno.ETXTBSY
		}
		if w.CompareAndSwap(n, n-1) {
			f.mode |= fDenyWrite
			return nil
		}
	}
}

// getWrite counts a writer of an inode; ETXTBSY if it is being executed.
func (s *System) getWrite(i Inode) error {
	w := &s.base(i).writers
	for {
		n := w.Load()
		if n < 0 {
			return errno.ETXTBSY
		}
		if w.CompareAndSwap(n, n+1) {
			return nil
		}
	}
}

// WithFlags runs fn as if the file had other status flags (preadv2(2)); the
// flags of the description are shared, so it is done on a shadow of it for
// the time of the call: only O_NONBLOCK, O_APPEND matter.
func (f *File) WithFlags(nonblock, appendTo, noappend bool, fn func() (int64, error)) (int64, error) {
	old := f.flags.Load()
	n := old
	if nonblock {
		n |= unix.O_NONBLOCK
	}
	if appendTo {
		n |= unix.O_APPEND
	}
	if noappend {
		n &^= unix.O_APPEND
	}
	if n == old {
		return fn()
	}
	// Differs: another task using the description meanwhile sees the flags.
	f.flags.Store(n)
	defer f.flags.CompareAndSwap(n, old)
	return fn()
}
