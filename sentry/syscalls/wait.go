package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/pidfd"
	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
)

// rusage converts to struct rusage.
func rusage(r kernel.Resources) unix.Rusage {
	return unix.Rusage{
		Utime: unix.NsecToTimeval(r.UserNs), Stime: unix.NsecToTimeval(r.SysNs),
		Maxrss: r.MaxRSSBytes / 1024, Minflt: r.MinFlt, Majflt: r.MajFlt,
		Inblock: r.InBlock, Oublock: r.OutBlock, Nvcsw: r.NVCSw, Nivcsw: r.NIVCSw,
	}
}

// wait4(2).
func sysWait4(t *kernel.Task, a arch.Args) (uint64, error) {
	pid, opts := a.Int(0), int(a.Uint(2))
	if opts&^(unix.WNOHANG|unix.WUNTRACED|unix.WCONTINUED|unix.WALL|unix.WCLONE|unix.WNOTHREAD) != 0 {
		return 0, errno.EINVAL
	}
	if pid == -1<<31 {
		return 0, errno.ESRCH
	}
	w := kernel.WaitArgs{Options: opts | unix.WEXITED}
	ns := t.PIDNamespace()
	switch {
	case pid > 0:
		w.PID = ns.LookupPID(pid)
		w.None = w.PID == nil
	case pid == 0:
		w.Group = t.ThreadGroup().ProcessGroup()
	case pid < -1:
		w.Group = ns.FindGroup(-pid)
		w.None = w.Group == nil
	}
	r, err := t.Wait(&w)
	if err != nil {
		return 0, err
	}
	if r.PID != 0 && a.Ptr(1) != 0 {
		if err := usermem.Put(t.Mem(), a.Ptr(1), &r.Status); err != nil {
			return 0, err
		}
	}
	if r.PID != 0 && a.Ptr(3) != 0 {
		ru := rusage(r.Resources)
		if err := usermem.Put(t.Mem(), a.Ptr(3), &ru); err != nil {
			return 0, err
		}
	}
	return uint64(r.PID), nil
}

// waitid(2).
func sysWaitid(t *kernel.Task, a arch.Args) (uint64, error) {
	v, err := waitID(t, &a)
	if err == nil || a.Ptr(2) == 0 || err == errno.EFAULT || err == errno.ERESTARTSYS {
		return v, err
	}
	// The result is also cleared by calls that fail (linux: kernel/exit.c).
	var clear [12]byte
	if e := t.CopyOut(a.Ptr(2), clear[:]); e != nil {
		return 0, e
	}
	if e := t.CopyOut(a.Ptr(2)+16, clear[:]); e != nil {
		return 0, e
	}
	return 0, err
}

func waitID(t *kernel.Task, a *arch.Args) (uint64, error) {
	const pPidfd = 3
	id, opts := a.Int(1), int(a.Uint(3))
	const what = unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED
	if opts&^(what|unix.WNOHANG|unix.WNOWAIT|unix.WALL|unix.WCLONE|unix.WNOTHREAD) != 0 || opts&what == 0 {
		return 0, errno.EINVAL
	}
	w := kernel.WaitArgs{Options: opts}
	ns := t.PIDNamespace()
	switch a.Int(0) {
	case unix.P_ALL:
	case unix.P_PID:
		if id <= 0 {
			return 0, errno.EINVAL
		}
		w.PID = ns.LookupPID(id)
		w.None = w.PID == nil
	case unix.P_PGID:
		if id < 0 {
			return 0, errno.EINVAL
		}
		if id == 0 {
			w.Group = t.ThreadGroup().ProcessGroup()
		} else {
			w.Group = ns.FindGroup(id)
			w.None = w.Group == nil
		}
	case pPidfd:
		if id < 0 {
			return 0, errno.EINVAL
		}
		f, err := t.File(id)
		if err != nil {
			return 0, err
		}
		defer f.DecRef(t)
		p, _ := pidfd.Of(f)
		if p == nil {
			return 0, errno.EBADF
		}
		w.PID = p
		if f.NonBlocking() {
			w.Options |= unix.WNOHANG
		}
	default:
		return 0, errno.EINVAL
	}
	r, err := t.Wait(&w)
	if err != nil {
		return 0, err
	}
	if r.PID == 0 && w.Options&unix.WNOHANG != 0 && opts&unix.WNOHANG == 0 {
		return 0, errno.EAGAIN
	}
	if a.Ptr(2) != 0 {
		var info signal.Info
		if r.PID != 0 {
			info.Signo, info.Code = int32(unix.SIGCHLD), r.Code
			info.SetPID(r.PID)
			info.SetUID(r.UID)
			info.SetStatus(r.SiStatus)
		}
		if err := usermem.Put(t.Mem(), a.Ptr(2), &info); err != nil {
			return 0, err
		}
	}
	if r.PID != 0 && a.Ptr(4) != 0 {
		ru := rusage(r.Resources)
		if err := usermem.Put(t.Mem(), a.Ptr(4), &ru); err != nil {
			return 0, err
		}
	}
	return 0, nil
}
