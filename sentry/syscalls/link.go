package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var linkRows = []Row{
	{82, "rename", sysRename, "path,path", Full, ""},
	{86, "link", sysLink, "path,path", Full, ""},
	{87, "unlink", sysUnlink, "path", Full, ""},
	{88, "symlink", sysSymlink, "str,path", Full, ""},
	{89, "readlink", sysReadlink, "path,buf,size", Full, ""},
	{263, "unlinkat", sysUnlinkat, "dirfd,path,hex", Full, ""},
	{264, "renameat", sysRenameat, "dirfd,path,dirfd,path", Full, ""},
	{265, "linkat", sysLinkat, "dirfd,path,dirfd,path,hex", Full, ""},
	{266, "symlinkat", sysSymlinkat, "str,dirfd,path", Full, ""},
	{267, "readlinkat", sysReadlinkat, "dirfd,path,buf,size", Full, ""},
	{316, "renameat2", sysRenameat2, "dirfd,path,dirfd,path,hex", Full, ""},
}

// link(2).
func sysLink(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysLinkat(t, arch.Args{atFDCWD, a[0], atFDCWD, a[1], 0})
}

// linkat(2).
func sysLinkat(t *kernel.Task, a arch.Args) (uint64, error) {
	flags := a.Uint(4)
	if flags&^(unix.AT_SYMLINK_FOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, errno.EINVAL
	}
	fl := vfs.OpNoFollow
	if flags&unix.AT_SYMLINK_FOLLOW != 0 {
		fl = 0
	}
	if flags&unix.AT_EMPTY_PATH != 0 {
		fl |= vfs.OpEmpty
	}
	var x, y at
	x.later(t, a.Int(0), a.Ptr(1), fl)
	defer x.done(t)
	y.later(t, a.Int(2), a.Ptr(3), 0)
	defer y.done(t)
	return 0, vfsOf(t).LinkAt(t, x.Op, y.Op)
}

// unlink(2).
func sysUnlink(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysUnlinkat(t, arch.Args{atFDCWD, a[0], 0})
}

// unlinkat(2).
func sysUnlinkat(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(2)&^unix.AT_REMOVEDIR != 0 {
		return 0, errno.EINVAL
	}
	var x at
	if err := x.init(t, a.Int(0), a.Ptr(1), 0); err != nil {
		return 0, err
	}
	defer x.done(t)
	if a.Uint(2) != 0 {
		return 0, vfsOf(t).RmdirAt(t, x.Op)
	}
	return 0, vfsOf(t).UnlinkAt(t, x.Op)
}

// symlink(2).
func sysSymlink(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysSymlinkat(t, arch.Args{a[0], atFDCWD, a[1]})
}

// symlinkat(2).
func sysSymlinkat(t *kernel.Task, a arch.Args) (uint64, error) {
	target, err := t.CopyInPath(a.Ptr(0))
	if err == nil && target == "" {
		err = errno.ENOENT
	}
	if err != nil {
		return 0, err
	}
	var x at
	if err := x.init(t, a.Int(1), a.Ptr(2), 0); err != nil {
		return 0, err
	}
	defer x.done(t)
	return 0, vfsOf(t).SymlinkAt(t, target, x.Op)
}

// readlink(2).
func sysReadlink(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysReadlinkat(t, arch.Args{atFDCWD, a[0], a[1], a[2]})
}

// readlinkat(2). An empty path names dirfd itself, a link opened with O_PATH.
func sysReadlinkat(t *kernel.Task, a arch.Args) (uint64, error) {
	n := a.Int(3)
	if n <= 0 {
		return 0, errno.EINVAL
	}
	fl := vfs.OpNoFollow
	if a.Int(0) != unix.AT_FDCWD {
		fl |= vfs.OpEmpty
	}
	var x at
	if err := x.init(t, a.Int(0), a.Ptr(1), fl); err != nil {
		return 0, err
	}
	defer x.done(t)
	s, err := vfsOf(t).ReadlinkAt(t, x.Op)
	if err != nil {
		return 0, err
	}
	s = s[:min(len(s), int(n))]
	return uint64(len(s)), t.CopyOut(a.Ptr(2), []byte(s))
}

// rename(2).
func sysRename(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysRenameat2(t, arch.Args{atFDCWD, a[0], atFDCWD, a[1], 0})
}

// renameat(2).
func sysRenameat(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysRenameat2(t, arch.Args{a[0], a[1], a[2], a[3], 0})
}

// renameat2(2).
func sysRenameat2(t *kernel.Task, a arch.Args) (uint64, error) {
	var x, y at
	x.later(t, a.Int(0), a.Ptr(1), 0)
	defer x.done(t)
	y.later(t, a.Int(2), a.Ptr(3), 0)
	defer y.done(t)
	return 0, vfsOf(t).RenameAt(t, x.Op, y.Op, a.Uint(4))
}
