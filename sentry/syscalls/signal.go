package syscalls

import (
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
)

var signalRows = []Row{
	{13, "rt_sigaction", sysRtSigaction, "signo,ptr,ptr,size", Full, ""},
	{14, "rt_sigprocmask", sysRtSigprocmask, "int,sigset,ptr,size", Full, ""},
	{15, "rt_sigreturn", sysRtSigreturn, "", Full, ""},
	{34, "pause", sysPause, "", Full, ""},
	{62, "kill", sysKill, "int,signo", Full, ""},
	{127, "rt_sigpending", sysRtSigpending, "ptr,size", Full, ""},
	{128, "rt_sigtimedwait", sysRtSigtimedwait, "sigset,ptr,timespec,size", Full, ""},
	{129, "rt_sigqueueinfo", sysRtSigqueueinfo, "int,signo,ptr", Full, ""},
	{130, "rt_sigsuspend", sysRtSigsuspend, "sigset,size", Full, ""},
	{131, "sigaltstack", sysSigaltstack, "ptr,ptr", Full, ""},
	{200, "tkill", sysTkill, "int,signo", Full, ""},
	{219, "restart_syscall", sysRestartSyscall, "", Full, ""},
	{234, "tgkill", sysTgkill, "int,int,signo", Full, ""},
	{297, "rt_tgsigqueueinfo", sysRtTgsigqueueinfo, "int,int,signo,ptr", Full, ""},
}

const sigsetSize = 8

func copySet(t *kernel.Task, addr, size uint64) (signal.Set, error) {
	if size != sigsetSize {
		return 0, errno.EINVAL
	}
	var s signal.Set
	err := usermem.Get(t.Mem(), addr, &s)
	return s, err
}

// rt_sigaction(2).
func sysRtSigaction(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Size(3) != sigsetSize {
		return 0, errno.EINVAL
	}
	var act *signal.Action
	if a.Ptr(1) != 0 {
		act = new(signal.Action)
		if err := usermem.Get(t.Mem(), a.Ptr(1), act); err != nil {
			return 0, err
		}
	}
	old, err := t.Action(a.Int(0), act)
	if err != nil {
		return 0, err
	}
	if a.Ptr(2) != 0 {
		return 0, usermem.Put(t.Mem(), a.Ptr(2), &old)
	}
	return 0, nil
}

// rt_sigprocmask(2).
func sysRtSigprocmask(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Size(3) != sigsetSize {
		return 0, errno.EINVAL
	}
	old := t.Mask()
	if a.Ptr(1) != 0 {
		set, err := copySet(t, a.Ptr(1), sigsetSize)
		if err != nil {
			return 0, err
		}
		switch a.Int(0) {
		case unix.SIG_BLOCK:
			set |= old
		case unix.SIG_UNBLOCK:
			set = old &^ set
		case unix.SIG_SETMASK:
		default:
			return 0, errno.EINVAL
		}
		t.SetMask(set)
	}
	if a.Ptr(2) != 0 {
		return 0, usermem.Put(t.Mem(), a.Ptr(2), &old)
	}
	return 0, nil
}

// rt_sigreturn(2).
func sysRtSigreturn(t *kernel.Task, a arch.Args) (uint64, error) { return t.SigReturn(), nil }

// restart_syscall(2).
func sysRestartSyscall(t *kernel.Task, a arch.Args) (uint64, error) { return t.Restart() }

// pause(2).
func sysPause(t *kernel.Task, a arch.Args) (uint64, error) {
	if err := t.Sleep(time.Time{}); err != nil {
		return 0, errno.ERESTARTNOHAND
	}
	return 0, errno.ERESTARTNOHAND
}

// kill(2).
func sysKill(t *kernel.Task, a arch.Args) (uint64, error) {
	pid, sig := a.Int(0), a.Int(1)
	if sig < 0 || sig > signal.Max {
		return 0, errno.EINVAL
	}
	ns := t.PIDNamespace()
	switch {
	case pid > 0:
		// A thread's id names its process.
		x := ns.Task(pid)
		if x == nil {
			return 0, errno.ESRCH
		}
		return 0, t.KillProcess(x.ThreadGroup(), sig, nil)
	case pid == 0:
		pg := t.ThreadGroup().ProcessGroup()
		if pg == nil {
			return 0, errno.ESRCH
		}
		return 0, t.KillGroup(pg, sig)
	case pid == -1:
		return 0, t.KillAll(sig)
	case pid == -1<<31:
		return 0, errno.ESRCH
	}
	pg := ns.FindGroup(-pid)
	if pg == nil {
		return 0, errno.ESRCH
	}
	return 0, t.KillGroup(pg, sig)
}

func killThread(t *kernel.Task, tgid, tid, sig int32, info *signal.Info) (uint64, error) {
	x := t.PIDNamespace().Task(tid)
	if x == nil || tgid > 0 && x.ThreadGroup().PIDIn(t.PIDNamespace()) != tgid {
		return 0, errno.ESRCH
	}
	if sig < 0 || sig > signal.Max {
		return 0, errno.EINVAL
	}
	return 0, t.KillThread(x, sig, info)
}

// tkill(2).
func sysTkill(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(0) <= 0 {
		return 0, errno.EINVAL
	}
	return killThread(t, 0, a.Int(0), a.Int(1), nil)
}

// tgkill(2).
func sysTgkill(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(0) <= 0 || a.Int(1) <= 0 {
		return 0, errno.EINVAL
	}
	return killThread(t, a.Int(0), a.Int(1), a.Int(2), nil)
}

// copyInfo reads the siginfo of a queueing call and checks that it does not
// pretend to come from the kernel or kill(2).
func copyInfo(t *kernel.Task, addr uint64, sig, pid int32) (*signal.Info, error) {
	var info signal.Info
	if err := usermem.Get(t.Mem(), addr, &info); err != nil {
		return nil, err
	}
	info.Signo = sig
	if (info.Code >= 0 || info.Code == signal.SITkill) && pid != t.TGID() {
		return nil, errno.EPERM
	}
	return &info, nil
}

// rt_sigqueueinfo(2).
func sysRtSigqueueinfo(t *kernel.Task, a arch.Args) (uint64, error) {
	pid, sig := a.Int(0), a.Int(1)
	info, err := copyInfo(t, a.Ptr(2), sig, pid)
	if err != nil {
		return 0, err
	}
	if sig < 0 || sig > signal.Max {
		return 0, errno.EINVAL
	}
	x := t.PIDNamespace().Task(pid)
	if x == nil {
		return 0, errno.ESRCH
	}
	return 0, t.KillProcess(x.ThreadGroup(), sig, info)
}

// rt_tgsigqueueinfo(2).
func sysRtTgsigqueueinfo(t *kernel.Task, a arch.Args) (uint64, error) {
	var probe signal.Info
	if err := usermem.Get(t.Mem(), a.Ptr(3), &probe); err != nil {
		return 0, err
	}
	if a.Int(0) <= 0 || a.Int(1) <= 0 {
		return 0, errno.EINVAL
	}
	info, err := copyInfo(t, a.Ptr(3), a.Int(2), a.Int(1))
	if err != nil {
		return 0, err
	}
	return killThread(t, a.Int(0), a.Int(1), a.Int(2), info)
}

// rt_sigpending(2).
func sysRtSigpending(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Size(1) > sigsetSize {
		return 0, errno.EINVAL
	}
	s := t.Pending()
	if a.Size(1) == 0 {
		return 0, nil
	}
	return 0, t.CopyOut(a.Ptr(0), usermem.AsBytes(&s)[:a.Size(1)])
}

// rt_sigsuspend(2).
func sysRtSigsuspend(t *kernel.Task, a arch.Args) (uint64, error) {
	set, err := copySet(t, a.Ptr(0), a.Size(1))
	if err != nil {
		return 0, err
	}
	t.SuspendMask(set)
	t.Sleep(time.Time{})
	return 0, errno.ERESTARTNOHAND
}

// rt_sigtimedwait(2).
func sysRtSigtimedwait(t *kernel.Task, a arch.Args) (uint64, error) {
	set, err := copySet(t, a.Ptr(0), a.Size(3))
	if err != nil {
		return 0, err
	}
	deadline, err := copyTimeout(t, a.Ptr(2))
	if err != nil {
		return 0, err
	}
	var info signal.Info
	if err := t.WaitSignal(set&^signal.Unblockable, deadline, &info); err != nil {
		return 0, err
	}
	if a.Ptr(1) != 0 {
		if err := usermem.Put(t.Mem(), a.Ptr(1), &info); err != nil {
			return 0, err
		}
	}
	return uint64(info.Signo), nil
}

// sigaltstack(2).
func sysSigaltstack(t *kernel.Task, a arch.Args) (uint64, error) {
	var set *signal.Stack
	if a.Ptr(0) != 0 {
		set = new(signal.Stack)
		if err := usermem.Get(t.Mem(), a.Ptr(0), set); err != nil {
			return 0, err
		}
	}
	old, err := t.SigAltStack(set)
	if err != nil {
		return 0, err
	}
	if a.Ptr(1) != 0 {
		return 0, usermem.Put(t.Mem(), a.Ptr(1), &old)
	}
	return 0, nil
}
