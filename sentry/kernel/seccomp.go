package kernel

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/wait"
)

// SeccompMode is PR_GET_SECCOMP.
func (t *Task) SeccompMode() int {
	switch {
	case t.seccomp.Load() == nil:
		return 0
	case t.strict.Load():
		return unix.SECCOMP_MODE_STRICT
	}
	return unix.SECCOMP_MODE_FILTER
}

// SeccompFilters is how many filters there are (/proc/pid/status).
func (t *Task) SeccompFilters() int {
	if t.strict.Load() {
		return 0
	}
	return t.seccomp.Load().Count()
}

// SeccompStrict is SECCOMP_SET_MODE_STRICT.
func (t *Task) SeccompStrict() error {
	if t.strict.Load() {
		return nil
	}
	if t.seccomp.Load() != nil {
		return errno.EINVAL
	}
	f, err := (*seccomp.Filters)(nil).Add(seccomp.Strict())
	if err != nil {
		return err
	}
	t.strict.Store(true)
	t.setFilters(f)
	return nil
}

func (t *Task) setFilters(f *seccomp.Filters) {
	f.Listeners((*seccomp.Listener).Hold)
	if old := t.seccomp.Swap(f); old != nil {
		old.Listeners((*seccomp.Listener).Drop)
	}
	t.sysWork.Or(sysSeccomp)
}

// Filters is the task's filter chain, nil if it has none.
func (t *Task) Filters() *seccomp.Filters { return t.seccomp.Load() }

// AddFilter is SECCOMP_SET_MODE_FILTER. With sync all threads of the process
// get the chain; if one has filters of its own, its id is returned.
func (t *Task) AddFilter(p *seccomp.Program, sync bool) (diverged int32, err error) {
	c := t.Creds()
	if !c.NoNewPrivs && !c.Capable(creds.CapSysAdmin) {
		return 0, errno.EACCES
	}
	if t.strict.Load() {
		return 0, errno.EINVAL
	}
	t.k.ts.mu.Lock()
	defer t.k.ts.mu.Unlock()
	mine := t.seccomp.Load()
	if sync {
		for _, x := range t.tg.tasks {
			if x != t && x.exitState == exitNone && (x.strict.Load() || !mine.Contains(x.seccomp.Load())) {
				return x.pid.Load().In(t.pid.Load().ns), nil
			}
		}
	}
	if p.Listener != nil {
		busy := false
		mine.Listeners(func(*seccomp.Listener) { busy = true })
		if busy {
			return 0, errno.EBUSY
		}
	}
	f, err := mine.Add(p)
	if err != nil {
		return 0, err
	}
	t.setFilters(f)
	if sync {
		for _, x := range t.tg.tasks {
			if x != t && x.exitState == exitNone {
				x.setFilters(f)
				if c.NoNewPrivs {
					x.forceNoNewPrivs()
				}
			}
		}
	}
	return 0, nil
}

// forceNoNewPrivs sets the bit from another thread (TSYNC).
func (t *Task) forceNoNewPrivs() {
	for {
		o := t.cred.Load()
		if o.NoNewPrivs {
			return
		}
		n := o.Fork()
		n.NoNewPrivs = true
		if t.cred.CompareAndSwap(o, n) {
			return
		}
	}
}

// InstallFilter adds a filter without the permission check (boot: the
// container's profile).
func (t *Task) InstallFilter(p *seccomp.Program) error {
	f, err := t.seccomp.Load().Add(p)
	if err == nil {
		t.setFilters(f)
	}
	return err
}

// filterSyscall runs the filters for the call in t's registers; false means
// that the call must not run (rax is set).
func (t *Task) filterSyscall() bool {
	f := t.seccomp.Load()
	r := &t.regs
	if f == nil || f.Allows(r.OrigRax) {
		return true
	}
	if t.strict.Load() {
		t.KillThreadSelf(sigKILL)
		return false
	}
	d := seccomp.Data{Nr: int32(r.OrigRax), Arch: seccomp.ArchX8664, IP: r.Rip, Args: r.SyscallArgs()}
	v, prog := f.Decide(&d)
	data := v & seccomp.DataMask
	switch v & seccomp.ActionMask {
	case seccomp.Allow:
		return true
	case seccomp.Log:
		klog.Infof("task %d (%s): seccomp logs call %d", t.ThreadID(), t.Name(), d.Nr)
		return true
	case seccomp.Errno:
		r.Rax = -uint64(min(data, 4095))
		return false
	case seccomp.Trap:
		info := signal.Info{Signo: int32(unix.SIGSYS), Errno: int32(data), Code: signal.SysSeccomp}
		info.SetSys(r.Rip, d.Nr, seccomp.ArchX8664)
		r.Rax = r.OrigRax
		r.OrigRax = ^uint64(0)
		t.forceSignal(&info)
		return false
	case seccomp.Trace:
		if !t.traceSeccomp(uint64(data)) {
			r.Rax = ^uint64(errno.ENOSYS) + 1
			return false
		}
		if t.dying() {
			return false
		}
		// The tracer may have changed the number: -1 skips the call.
		if int64(r.OrigRax) < 0 {
			return false
		}
		// Filters see the new call, but TRACE now means ALLOW.
		if d2 := (seccomp.Data{Nr: int32(r.OrigRax), Arch: seccomp.ArchX8664, IP: r.Rip, Args: r.SyscallArgs()}); d2 != d {
			switch v := f.Run(&d2); v & seccomp.ActionMask {
			case seccomp.Allow, seccomp.Log, seccomp.Trace:
			case seccomp.Errno:
				r.Rax = -uint64(min(v&seccomp.DataMask, 4095))
				return false
			default:
				t.KillSelf(int32(unix.SIGSYS))
				return false
			}
		}
		return true
	case seccomp.UserNotif:
		return t.askSupervisor(prog.Listener, &d)
	case seccomp.KillThread:
		klog.Infof("task %d (%s): seccomp kills thread at call %d", t.ThreadID(), t.Name(), d.Nr)
		t.KillThreadSelf(int32(unix.SIGSYS))
	default:
		klog.Infof("task %d (%s): seccomp kills process at call %d", t.ThreadID(), t.Name(), d.Nr)
		t.KillSelf(int32(unix.SIGSYS))
	}
	return false
}

// askSupervisor is SECCOMP_RET_USER_NOTIF: it waits for the answer; true means
// that the call runs after all.
func (t *Task) askSupervisor(l *seccomp.Listener, d *seccomp.Data) bool {
	r := &t.regs
	e := wait.NewEntry(wait.All)
	q := &seccomp.Request{Data: *d, Owner: t}
	q.SetEntry(e)
	if l == nil || l.Ask(q) != nil {
		r.Rax = ^uint64(errno.ENOSYS) + 1
		return false
	}
	err := t.Block(e, noDeadline)
	a, ok := l.Finish(q)
	switch {
	case !ok:
		r.Rax = t.sysErr(err)
		return false
	case a.Continue:
		return true
	case a.Errno != 0:
		r.Rax = uint64(int64(a.Errno))
	default:
		r.Rax = uint64(a.Val)
	}
	return false
}
