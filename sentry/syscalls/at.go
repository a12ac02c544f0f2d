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

// later is init for calls that check other things before they look at this
// path: what is wrong with it is the result of its walk.
func (x *at) later(t *kernel.Task, dirfd int32, addr uint64, flags vfs.OpFlags) {
	if err := x.init(t, dirfd, addr, flags); err != nil {
		x.Op = vfs.Op{Sys: t.Kernel().VFS(), Flags: flags, Bad: err}
	}
}

// initEmpty is init for calls whose path may be NULL with AT_EMPTY_PATH.
func (x *at) initEmpty(t *kernel.Task, dirfd int32, addr uint64, flags vfs.OpFlags) error {
	if addr == 0 && flags&vfs.OpEmpty != 0 {
		return x.path(t, dirfd, "", flags)
	}
	return x.init(t, dirfd, addr, flags)
}

// laterEmpty is later for a path that may be NULL with AT_EMPTY_PATH.
func (x *at) laterEmpty(t *kernel.Task, dirfd int32, addr uint64, flags vfs.OpFlags) {
	if err := x.initEmpty(t, dirfd, addr, flags); err != nil {
		x.Op = vfs.Op{Sys: t.Kernel().VFS(), Flags: flags, Bad: err}
	}
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

// openFile returns the file of a descriptor for anything but naming a place:
// EBADF with O_PATH (linux: fdget).
func openFile(t *kernel.Task, fd int32) (*vfs.File, error) {
	f, err := t.File(fd)
	if err != nil {
		return nil, err
	}
	if f.IsPath() {
		f.DecRef(t)
		return nil, errno.EBADF
	}
	return f, nil
}

func vfsOf(t *kernel.Task) *vfs.System { return t.Kernel().VFS() }
