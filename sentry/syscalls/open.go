package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var openRows = []Row{
	{2, "open", sysOpen, "path,oflags,mode", Full, ""},
	{3, "close", sysClose, "fd", Full, ""},
	{85, "creat", sysCreat, "path,mode", Full, ""},
	{95, "umask", sysUmask, "mode", Full, ""},
	{257, "openat", sysOpenat, "dirfd,path,oflags,mode", Full, ""},
	{303, "name_to_handle_at", sysNameToHandle, "dirfd,path,ptr,ptr,hex", None, "EOPNOTSUPP: no file system exports handles"},
	{304, "open_by_handle_at", sysOpenByHandle, "dirfd,ptr,oflags", None, "EPERM or ESTALE: no file system exports handles"},
	{436, "close_range", sysCloseRange, "fd,fd,hex", Full, ""},
	{437, "openat2", sysOpenat2, "dirfd,path,ptr,size", Full, ""},
}

// validOpen are the flags that open(2) knows; others are ignored there and
// refused by openat2(2).
const validOpen = unix.O_ACCMODE | unix.O_CREAT | unix.O_EXCL | unix.O_NOCTTY | unix.O_TRUNC | unix.O_APPEND |
	unix.O_NONBLOCK | unix.O_DSYNC | unix.O_SYNC | unix.O_ASYNC | unix.O_DIRECT | vfs.LargeFile | unix.O_DIRECTORY |
	unix.O_NOFOLLOW | unix.O_NOATIME | unix.O_CLOEXEC | unix.O_PATH | unix.O_TMPFILE

// openAt opens and installs.
func openAt(t *kernel.Task, dirfd int32, path string, flags, mode uint32, wf vfs.OpFlags) (uint64, error) {
	var x at
	if err := x.path(t, dirfd, path, wf); err != nil {
		return 0, err
	}
	f, err := vfsOf(t).OpenAt(t, x.Op, flags, mode&0o7777&^t.FS().Umask())
	x.done(t)
	if err != nil {
		return 0, err
	}
	if flags&(unix.O_DIRECT|unix.O_PATH) == unix.O_DIRECT && !directIO(t, f) {
		f.DecRef(t)
		return 0, errno.EINVAL
	}
	fd, err := t.InstallFile(f, flags&unix.O_CLOEXEC != 0)
	if err != nil {
		f.DecRef(t)
		return 0, err
	}
	return uint64(fd), nil
}

// openat(2).
func sysOpenat(t *kernel.Task, a arch.Args) (uint64, error) {
	path, err := t.CopyInPath(a.Ptr(1))
	if err != nil {
		return 0, err
	}
	flags := a.Uint(2) & validOpen
	if flags&unix.O_PATH == 0 {
		flags |= vfs.LargeFile
	}
	if flags&unix.O_TMPFILE == unix.O_TMPFILE&^unix.O_DIRECTORY {
		return 0, errno.EINVAL // __O_TMPFILE without O_DIRECTORY
	}
	return openAt(t, a.Int(0), path, flags, a.Mode(3), 0)
}

// open(2).
func sysOpen(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysOpenat(t, arch.Args{atFDCWD, a[0], a[1], a[2]})
}

const atFDCWD = 1<<64 - 100 // AT_FDCWD as an argument

// creat(2).
func sysCreat(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysOpenat(t, arch.Args{atFDCWD, a[0], unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, a[1]})
}

// openat2(2).
func sysOpenat2(t *kernel.Task, a arch.Args) (uint64, error) {
	size := a.Size(3)
	if size < 24 {
		return 0, errno.EINVAL
	}
	if size > 4096 {
		return 0, errno.E2BIG
	}
	var how [3]uint64
	if err := kernel.Get(t, a.Ptr(2), &how); err != nil {
		return 0, err
	}
	if err := zeroTail(t, a.Ptr(2)+24, size-24); err != nil {
		return 0, err
	}
	flags, mode, resolve := how[0], how[1], how[2]
	creating := flags&unix.O_CREAT != 0 || flags&unix.O_TMPFILE == unix.O_TMPFILE
	switch {
	case flags&^uint64(validOpen) != 0,
		mode != 0 && !creating, mode&^0o7777 != 0,
		flags&unix.O_PATH != 0 && flags&^uint64(unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC) != 0,
		flags&unix.O_TMPFILE == unix.O_TMPFILE&^unix.O_DIRECTORY,
		resolve&^0x3f != 0, resolve&(unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT) == unix.RESOLVE_BENEATH|unix.RESOLVE_IN_ROOT:
		return 0, errno.EINVAL
	}
	if resolve&0x20 != 0 { // RESOLVE_CACHED
		return 0, errno.EAGAIN
	}
	var wf vfs.OpFlags
	for _, x := range [...]struct {
		r uint64
		f vfs.OpFlags
	}{{unix.RESOLVE_NO_XDEV, vfs.OpNoXDev}, {unix.RESOLVE_NO_MAGICLINKS, vfs.OpNoMagic},
		{unix.RESOLVE_NO_SYMLINKS, vfs.OpNoSymlinks}, {unix.RESOLVE_BENEATH, vfs.OpBeneath}, {unix.RESOLVE_IN_ROOT, vfs.OpInRoot}} {
		if resolve&x.r != 0 {
			wf |= x.f
		}
	}
	path, err := t.CopyInPath(a.Ptr(1))
	if err != nil {
		return 0, err
	}
	f := uint32(flags)
	if f&unix.O_PATH == 0 {
		f |= vfs.LargeFile
	}
	return openAt(t, a.Int(0), path, f, uint32(mode), wf)
}

// zeroTail checks that what user code knows of a structure beyond us is zero.
func zeroTail(t *kernel.Task, addr, n uint64) error {
	for n > 0 {
		var b [256]byte
		k := min(n, uint64(len(b)))
		if err := t.CopyIn(addr, b[:k]); err != nil {
			return err
		}
		for _, c := range b[:k] {
			if c != 0 {
				return errno.E2BIG
			}
		}
		addr += k
		n -= k
	}
	return nil
}

// close(2).
func sysClose(t *kernel.Task, a arch.Args) (uint64, error) {
	err := t.FDs().Close(t, a.Int(0))
	if errno.IsRestart(err) {
		err = errno.EINTR
	}
	return 0, err
}

// close_range(2).
func sysCloseRange(t *kernel.Task, a arch.Args) (uint64, error) {
	first, last, flags := a.Uint(0), a.Uint(1), a.Uint(2)
	const unshare, cloexec = 2, 4
	if flags&^(unshare|cloexec) != 0 || first > last {
		return 0, errno.EINVAL
	}
	if flags&unshare != 0 && t.FDs().Shared() {
		if err := t.Unshare(unix.CLONE_FILES); err != nil {
			return 0, err
		}
	}
	t.FDs().CloseRange(t, first, last, flags&cloexec != 0)
	return 0, nil
}

// umask(2).
func sysUmask(t *kernel.Task, a arch.Args) (uint64, error) {
	return uint64(t.FS().SetUmask(a.Mode(0))), nil
}

// name_to_handle_at(2).
func sysNameToHandle(t *kernel.Task, a arch.Args) (uint64, error) {
	const handleFID, mntIDUnique, connectable = 0x200, 1, 2
	if a.Uint(4)&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH|handleFID|mntIDUnique|connectable) != 0 {
		return 0, errno.EINVAL
	}
	var x at
	fl := vfs.OpNoFollow
	if a.Uint(4)&unix.AT_SYMLINK_FOLLOW != 0 {
		fl = 0
	}
	if a.Uint(4)&unix.AT_EMPTY_PATH != 0 {
		fl |= vfs.OpEmpty
	}
	if err := x.init(t, a.Int(0), a.Ptr(1), fl); err != nil {
		return 0, err
	}
	defer x.done(t)
	p, err := vfsOf(t).Walk(t, x.Op)
	if err != nil {
		return 0, err
	}
	p.DecRef()
	return 0, errno.EOPNOTSUPP
}

// open_by_handle_at(2).
func sysOpenByHandle(t *kernel.Task, a arch.Args) (uint64, error) {
	if !t.Creds().Capable(2) { // CAP_DAC_READ_SEARCH
		return 0, errno.EPERM
	}
	return 0, errno.ESTALE
}
