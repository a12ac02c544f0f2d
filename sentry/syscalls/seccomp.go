package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/usermem"
)

var seccompRows = []Row{
	{317, "seccomp", sysSeccomp, "uint,hex,ptr", Full, ""},
}

// seccomp(2).
func sysSeccomp(t *kernel.Task, a arch.Args) (uint64, error) {
	fl := a.Uint(1)
	switch a.Uint(0) {
	case unix.SECCOMP_SET_MODE_STRICT:
		if fl != 0 || a.Ptr(2) != 0 {
			return 0, errno.EINVAL
		}
		return 0, t.SeccompStrict()
	case unix.SECCOMP_SET_MODE_FILTER:
		return seccompSet(t, fl, a.Ptr(2))
	case unix.SECCOMP_GET_ACTION_AVAIL:
		if fl != 0 {
			return 0, errno.EINVAL
		}
		var action uint32
		if err := usermem.Get(t.Mem(), a.Ptr(2), &action); err != nil {
			return 0, err
		}
		if !seccomp.Known(action) {
			return 0, errno.EOPNOTSUPP
		}
		return 0, nil
	case unix.SECCOMP_GET_NOTIF_SIZES:
		if fl != 0 {
			return 0, errno.EINVAL
		}
		sizes := [3]uint16{80, 24, 64}
		return 0, usermem.Put(t.Mem(), a.Ptr(2), &sizes)
	}
	return 0, errno.EINVAL
}

// seccompSet installs the struct sock_fprog at addr.
func seccompSet(t *kernel.Task, fl uint32, addr uint64) (uint64, error) {
	const known = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_LOG | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW | unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | 1<<5 // WAIT_KILLABLE_RECV
	if fl&^known != 0 {
		return 0, errno.EINVAL
	}
	listen := fl&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER != 0
	if listen && fl&unix.SECCOMP_FILTER_FLAG_TSYNC != 0 && fl&unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH == 0 {
		return 0, errno.EINVAL
	}
	var prog struct {
		Len uint16
		_   [6]byte
		Ptr uint64
	}
	if err := usermem.Get(t.Mem(), addr, &prog); err != nil {
		return 0, err
	}
	if prog.Len == 0 || prog.Len > 4096 || prog.Ptr == 0 {
		return 0, errno.EINVAL
	}
	insns := make([]seccomp.Insn, prog.Len)
	if err := usermem.GetSlice(t.Mem(), prog.Ptr, insns); err != nil {
		return 0, err
	}
	p, err := seccomp.Check(insns)
	if err != nil {
		return 0, err
	}
	p.Log = fl&unix.SECCOMP_FILTER_FLAG_LOG != 0
	if listen {
		return installListener(t, p, fl)
	}
	diverged, err := t.AddFilter(p, fl&unix.SECCOMP_FILTER_FLAG_TSYNC != 0)
	if diverged != 0 && fl&unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH != 0 {
		return 0, errno.ESRCH
	}
	return uint64(diverged), err
}

// installListener installs p and returns the descriptor of its notifications.
func installListener(t *kernel.Task, p *seccomp.Program, fl uint32) (uint64, error) {
	f, err := newListener(t, p)
	if err != nil {
		return 0, err
	}
	fd, err := t.InstallFile(f, true)
	if err != nil {
		f.DecRef(t)
		return 0, err
	}
	diverged, err := t.AddFilter(p, fl&unix.SECCOMP_FILTER_FLAG_TSYNC != 0)
	if err == nil && diverged != 0 {
		err = errno.ESRCH
	}
	if err != nil {
		t.FDs().Close(t, fd)
		return 0, err
	}
	return uint64(fd), nil
}
