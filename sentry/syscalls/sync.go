package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
)

var syncRows = []Row{
	{74, "fsync", sysFsync, "fd", Full, ""},
	{75, "fdatasync", sysFdatasync, "fd", Full, ""},
	{162, "sync", sysSync, "", Full, ""},
	{187, "readahead", sysReadahead, "fd,off,size", Stub, "checked, nothing is read"},
	{221, "fadvise64", sysFadvise64, "fd,off,size,int", Stub, "checked, advice ignored"},
	{277, "sync_file_range", sysSyncFileRange, "fd,off,size,hex", Full, ""},
	{306, "syncfs", sysSyncfs, "fd", Full, ""},
}

func syncFD(t *kernel.Task, fd int32, dataOnly bool) (uint64, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return 0, f.Sync(t, dataOnly)
}

// fsync(2).
func sysFsync(t *kernel.Task, a arch.Args) (uint64, error) { return syncFD(t, a.Int(0), false) }

// fdatasync(2).
func sysFdatasync(t *kernel.Task, a arch.Args) (uint64, error) { return syncFD(t, a.Int(0), true) }

// sync(2).
func sysSync(t *kernel.Task, a arch.Args) (uint64, error) {
	vfsOf(t).SyncAll(t)
	return 0, nil
}

// syncfs(2).
func sysSyncfs(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if f.IsPath() {
		return 0, errno.EBADF
	}
	return 0, f.Path().Mount.Super().Sync(t)
}

// sync_file_range(2).
func sysSyncFileRange(t *kernel.Task, a arch.Args) (uint64, error) {
	off, n, flags := a.Int64(1), a.Int64(2), a.Uint(3)
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if flags&^7 != 0 || off < 0 || n < 0 || off+n < 0 {
		return 0, errno.EINVAL
	}
	if !f.IsRegular() && !f.IsDir() {
		return 0, errno.ESPIPE
	}
	if flags == 0 {
		return 0, nil
	}
	return 0, f.Sync(t, true)
}

// readahead(2).
func sysReadahead(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if !f.Readable() {
		return 0, errno.EBADF
	}
	if !isReg(f) || a.Int64(2) < 0 {
		return 0, errno.EINVAL
	}
	return 0, nil
}

// fadvise64(2).
func sysFadvise64(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if f.IsPath() {
		return 0, errno.EBADF
	}
	if mode, _, _ := f.Inode().Attr(); mode&unix.S_IFMT == unix.S_IFIFO {
		return 0, errno.ESPIPE
	}
	if a.Int64(2) < 0 || a.Uint(3) > 5 {
		return 0, errno.EINVAL
	}
	return 0, nil
}
