package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/pipefs"
	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
)

var pipeRows = []Row{
	{22, "pipe", sysPipe, "ptr", Full, ""},
	{293, "pipe2", sysPipe2, "ptr,oflags", Full, ""},
}

// pipe(2).
func sysPipe(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysPipe2(t, arch.Args{a[0], 0})
}

// pipe2(2).
func sysPipe2(t *kernel.Task, a arch.Args) (uint64, error) {
	flags := a.Uint(1)
	if flags&^(unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_DIRECT) != 0 {
		return 0, errno.EINVAL
	}
	r, w := pipefs.New(t, vfsOf(t), flags&^unix.O_CLOEXEC)
	cloexec := flags&unix.O_CLOEXEC != 0
	rfd, err := t.InstallFile(r, cloexec)
	if err != nil {
		r.DecRef(t)
		w.DecRef(t)
		return 0, err
	}
	wfd, err := t.InstallFile(w, cloexec)
	if err != nil {
		w.DecRef(t)
		t.FDs().Close(t, rfd)
		return 0, err
	}
	fds := [2]int32{rfd, wfd}
	if err := kernel.Put(t, a.Ptr(0), &fds); err != nil {
		t.FDs().Close(t, rfd)
		t.FDs().Close(t, wfd)
		return 0, err
	}
	return 0, nil
}
