package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// at is the path argument of one call: an operation and what it borrows.
type at struct {
	vfs.Op
	f     *vfs.File
	owned bool
	cwd   vfs.Path
}

// init reads the path at addr and fills in the operation relative to dirfd.
func (x *at) init(t *kernel.Task, dirfd int32, addr uint64, flags vfs.OpFlags) error {
	path, err := t.CopyInPath(addr)
	if err != nil {
		return err
	}
	return x.path(t, dirfd, path, flags)
}

// initEmpty is init for calls whose path may be NULL with AT_EMPTY_PATH.
func (x *at) initEmpty(t *kernel.Task, dirfd int32, addr uint64, flags vfs.OpFlags) error {
	if addr == 0 && flags&vfs.OpEmpty != 0 {
		return x.path(t, dirfd, "", flags)
	}
	return x.init(t, dirfd, addr, flags)
}

func (x *at) path(t *kernel.Task, dirfd int32, path string, flags vfs.OpFlags) error {
	if path == "" && flags&vfs.OpEmpty == 0 {
		return errno.ENOENT
	}
	x.Op = vfs.Op{Sys: t.Kernel().VFS(), NS: t.MountNS(), Path: path, Flags: flags}
	x.Root, x.cwd, x.owned = t.FS().Borrow()
	x.Start = x.cwd
	if dirfd == unix.AT_FDCWD || path != "" && path[0] == '/' && flags&(vfs.OpInRoot|vfs.OpBeneath) == 0 {
		return nil
	}
	f, err := t.File(dirfd)
	if err != nil {
		x.done(t)
		return err
	}
	x.f = f
	x.Start = f.Path()
	if path != "" && !x.Start.Dentry.IsDir() {
		x.done(t)
		return errno.ENOTDIR
	}
	return nil
}

// done gives back what init borrowed.
func (x *at) done(t *kernel.Task) {
	if x.owned {
		x.owned = false
		x.Root.DecRef()
		x.cwd.DecRef()
	}
	if x.f != nil {
		x.f.DecRef(t)
		x.f = nil
	}
}

// atFlags turns AT_* into walk flags; those not in allowed are EINVAL.
func atFlags(flags, allowed uint32) (vfs.OpFlags, error) {
	if flags&^allowed != 0 {
		return 0, errno.EINVAL
	}
	var f vfs.OpFlags
	if flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
		f |= vfs.OpNoFollow
	}
	if flags&unix.AT_EMPTY_PATH != 0 {
		f |= vfs.OpEmpty
	}
	return f, nil
}

func vfsOf(t *kernel.Task) *vfs.System { return t.Kernel().VFS() }
