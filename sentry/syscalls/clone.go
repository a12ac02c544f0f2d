package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/nsfs"
	"redoubt.dev/redoubt/fsimpl/pidfd"
	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
)

var processRows = []Row{
	{56, "clone", sysClone, "cloneflags,ptr,ptr,ptr,ptr", Full, ""},
	{57, "fork", sysFork, "", Full, ""},
	{58, "vfork", sysVfork, "", Full, ""},
	{435, "clone3", sysClone3, "ptr,size", Partial, "CLONE_INTO_CGROUP is refused with EOPNOTSUPP"},
	{60, "exit", sysExit, "int", Full, ""},
	{231, "exit_group", sysExitGroup, "int", Full, ""},
	{61, "wait4", sysWait4, "int,ptr,waitopts,ptr", Full, ""},
	{247, "waitid", sysWaitid, "int,int,ptr,waitopts,ptr", Full, ""},
	{272, "unshare", sysUnshare, "cloneflags", Partial, "no CLONE_SYSVSEM state is kept apart"},
	{308, "setns", sysSetns, "fd,cloneflags", Partial, "by namespace files and pidfds; time namespaces only for children"},
	{39, "getpid", sysGetpid, "", Full, ""},
	{186, "gettid", sysGettid, "", Full, ""},
	{110, "getppid", sysGetppid, "", Full, ""},
	{109, "setpgid", sysSetpgid, "int,int", Full, ""},
	{121, "getpgid", sysGetpgid, "int", Full, ""},
	{111, "getpgrp", sysGetpgrp, "", Full, ""},
	{112, "setsid", sysSetsid, "", Full, ""},
	{124, "getsid", sysGetsid, "int", Full, ""},
	{218, "set_tid_address", sysSetTidAddress, "ptr", Full, ""},
}

// getpid(2).
func sysGetpid(t *kernel.Task, a arch.Args) (uint64, error) { return uint64(t.TGID()), nil }

// gettid(2).
func sysGettid(t *kernel.Task, a arch.Args) (uint64, error) { return uint64(t.TID()), nil }

// getppid(2).
func sysGetppid(t *kernel.Task, a arch.Args) (uint64, error) { return uint64(t.ParentPID()), nil }

// setpgid(2).
func sysSetpgid(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.Setpgid(a.Int(0), a.Int(1))
}

// getpgid(2).
func sysGetpgid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Getpgid(a.Int(0))
	return uint64(n), err
}

// getpgrp(2).
func sysGetpgrp(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Getpgid(0)
	return uint64(n), err
}

// setsid(2).
func sysSetsid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Setsid()
	return uint64(n), err
}

// getsid(2).
func sysGetsid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Getsid(a.Int(0))
	return uint64(n), err
}

// set_tid_address(2).
func sysSetTidAddress(t *kernel.Task, a arch.Args) (uint64, error) {
	t.SetClearTID(a.Ptr(0))
	return uint64(t.TID()), nil
}

// makePidFD opens the descriptor of CLONE_PIDFD.
func makePidFD(t *kernel.Task) func(p *kernel.PID) (int32, func(), error) {
	return func(p *kernel.PID) (int32, func(), error) {
		f := pidfd.New(t, t.Kernel().VFS(), p, 0)
		fd, err := t.InstallFile(f, true)
		if err != nil {
			f.DecRef(t)
			return 0, nil, err
		}
		return fd, func() { t.FDs().Close(t, fd) }, nil
	}
}

func finish(id int32, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	return uint64(id), nil
}

// clone(2).
func sysClone(t *kernel.Task, a arch.Args) (uint64, error) {
	fl := a[0] & 0xffffffff
	c := kernel.CloneArgs{
		Flags: fl &^ 0xff, ExitSignal: int32(fl & 0xff),
		Stack: a.Ptr(1), ParentTID: a.Ptr(2), ChildTID: a.Ptr(3), TLS: a[4],
	}
	if fl&unix.CLONE_PIDFD != 0 {
		if fl&(unix.CLONE_DETACHED|unix.CLONE_PARENT_SETTID) != 0 {
			return 0, errno.EINVAL
		}
		c.PidFD, c.PidFDAddr = makePidFD(t), a.Ptr(2)
	}
	return finish(t.Clone(&c))
}

// fork(2).
func sysFork(t *kernel.Task, a arch.Args) (uint64, error) {
	return finish(t.Clone(&kernel.CloneArgs{ExitSignal: int32(unix.SIGCHLD)}))
}

// vfork(2).
func sysVfork(t *kernel.Task, a arch.Args) (uint64, error) {
	return finish(t.Clone(&kernel.CloneArgs{Flags: unix.CLONE_VM | unix.CLONE_VFORK, ExitSignal: int32(unix.SIGCHLD)}))
}

// clone3(2).
func sysClone3(t *kernel.Task, a arch.Args) (uint64, error) {
	size := a.Size(1)
	if size > arch.PageSize {
		return 0, errno.E2BIG
	}
	if size < 64 {
		return 0, errno.EINVAL
	}
	var u [11]uint64 // struct clone_args
	if err := copyStruct(t, a.Ptr(0), size, u[:]); err != nil {
		return 0, err
	}
	fl := u[0]
	const known = 0x3ffffff00 // up to CLONE_INTO_CGROUP
	if fl&^uint64(known|unix.CLONE_NEWTIME) != 0 || fl&unix.CLONE_DETACHED != 0 {
		return 0, errno.EINVAL
	}
	if fl&unix.CLONE_INTO_CGROUP != 0 {
		return 0, errno.EOPNOTSUPP
	}
	if u[4] > 64 {
		return 0, errno.EINVAL
	}
	c := kernel.CloneArgs{Flags: fl, ExitSignal: int32(u[4]), ChildTID: u[2], ParentTID: u[3], TLS: u[7]}
	if fl&(unix.CLONE_THREAD|unix.CLONE_PARENT) != 0 && u[4] != 0 {
		return 0, errno.EINVAL
	}
	if (u[5] == 0) != (u[6] == 0) {
		return 0, errno.EINVAL
	}
	if u[5] != 0 {
		c.Stack = u[5] + u[6]
	}
	if n := u[9]; n > 0 || u[8] != 0 {
		if n > 32 || u[8] == 0 || n == 0 {
			return 0, errno.EINVAL
		}
		c.SetTID = make([]int32, n)
		if err := usermem.GetSlice(t.Mem(), u[8], c.SetTID); err != nil {
			return 0, err
		}
	}
	if fl&unix.CLONE_PIDFD != 0 {
		c.PidFD, c.PidFDAddr = makePidFD(t), u[1]
	}
	return finish(t.Clone(&c))
}

// copyStruct copies an extensible structure of 64-bit fields in: shorter ones
// are padded, longer ones must be zero behind what is known
// (copy_struct_from_user).
func copyStruct(t *kernel.Task, addr, size uint64, out []uint64) error {
	n := min(size, uint64(len(out))*8)
	buf := make([]byte, size)
	if err := t.CopyIn(addr, buf); err != nil {
		return err
	}
	for _, b := range buf[n:] {
		if b != 0 {
			return errno.E2BIG
		}
	}
	for i := range out {
		var v uint64
		for j := 7; j >= 0; j-- {
			if k := i*8 + j; uint64(k) < n {
				v = v<<8 | uint64(buf[k])
			}
		}
		out[i] = v
	}
	return nil
}

// exit(2).
func sysExit(t *kernel.Task, a arch.Args) (uint64, error) {
	t.Exit(a.Int(0))
	return 0, nil
}

// exit_group(2).
func sysExitGroup(t *kernel.Task, a arch.Args) (uint64, error) {
	t.ExitGroup(a.Int(0))
	return 0, nil
}

// unshare(2).
func sysUnshare(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.Unshare(a[0])
}

// setns(2).
func sysSetns(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if p, _ := pidfd.Of(f); p != nil {
		if a.Int(1) == 0 {
			return 0, errno.EINVAL
		}
		return 0, t.SetNSOf(p, uint64(a.Uint(1)))
	}
	ns, flag := nsfs.Of(f)
	if ns == nil || a.Int(1) != 0 && a.Uint(1) != flag {
		return 0, errno.EINVAL
	}
	return 0, t.SetNS(ns)
}

// capable is a short cut for checks on the caller's own namespace.
func capable(t *kernel.Task, c creds.Cap) bool { return t.Creds().Capable(c) }
