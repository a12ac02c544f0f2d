package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var inotifyRows = []Row{
	{253, "inotify_init", sysInotifyInit, "", Full, ""},
	{254, "inotify_add_watch", sysInotifyAddWatch, "fd,path,hex", Full, ""},
	{255, "inotify_rm_watch", sysInotifyRmWatch, "fd,int", Full, ""},
	{294, "inotify_init1", sysInotifyInit1, "oflags", Full, ""},
	{300, "fanotify_init", nil, "hex,hex", None, "not offered"},
	{301, "fanotify_mark", nil, "fd,hex,hex,dirfd,path", None, "not offered"},
}

// inotify_init(2).
func sysInotifyInit(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysInotifyInit1(t, arch.Args{})
}

// inotify_init1(2).
func sysInotifyInit1(t *kernel.Task, a arch.Args) (uint64, error) {
	flags := a.Uint(0)
	if flags&^(unix.IN_CLOEXEC|unix.IN_NONBLOCK) != 0 {
		return 0, errno.EINVAL
	}
	return install(t, vfs.NewInotify(t, vfsOf(t), flags&unix.IN_NONBLOCK), flags&unix.IN_CLOEXEC != 0)
}

// inotifyOf returns the instance of a descriptor and its file.
func inotifyOf(t *kernel.Task, fd int32) (*vfs.Inotify, *vfs.File, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return nil, nil, err
	}
	in, ok := f.Ops().(*vfs.Inotify)
	if !ok {
		f.DecRef(t)
		return nil, nil, errno.EINVAL
	}
	return in, f, nil
}

// inotify_add_watch(2).
func sysInotifyAddWatch(t *kernel.Task, a arch.Args) (uint64, error) {
	mask := a.Uint(2)
	const known = unix.IN_ALL_EVENTS | unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK | unix.IN_MASK_ADD | unix.IN_ONESHOT |
		unix.IN_ONLYDIR | unix.IN_MASK_CREATE | unix.IN_UNMOUNT | unix.IN_Q_OVERFLOW | unix.IN_IGNORED | unix.IN_ISDIR
	if mask&known == 0 || mask&unix.IN_MASK_ADD != 0 && mask&unix.IN_MASK_CREATE != 0 {
		return 0, errno.EINVAL
	}
	in, f, err := inotifyOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	var fl vfs.OpFlags
	if mask&unix.IN_DONT_FOLLOW != 0 {
		fl |= vfs.OpNoFollow
	}
	if mask&unix.IN_ONLYDIR != 0 {
		fl |= vfs.OpDirectory
	}
	return withPath(t, a.Ptr(1), fl, func(p vfs.Path) (uint64, error) {
		wd, err := in.AddWatch(t, p, mask)
		return uint64(wd), err
	})
}

// inotify_rm_watch(2).
func sysInotifyRmWatch(t *kernel.Task, a arch.Args) (uint64, error) {
	in, f, err := inotifyOf(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return 0, in.RemoveWatch(a.Int(1))
}
