package kernel

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/wait"
)

// WaitArgs say which children wait4(2) and waitid(2) want, and what of them.
type WaitArgs struct {
	// At most one of PID and Group is set; neither means any child.
	PID   *PID
	Group *ProcessGroup
	// None says that the id named nobody.
	None bool
	// Options are WNOHANG, WEXITED, WSTOPPED, WCONTINUED, WNOWAIT, __WALL,
	// __WCLONE, __WNOTHREAD.
	Options int
}

// WaitResult is what was found.
type WaitResult struct {
	PID       int32 // in the caller's namespace; 0 with WNOHANG and nothing to report
	UID       uint32
	Status    uint32 // as wait4(2)
	Code      int32  // CLD_*
	SiStatus  int32
	Resources Resources
}

// Wait waits for a child to change state.
func (t *Task) Wait(a *WaitArgs) (WaitResult, error) {
	r, found, err := t.waitOnce(a)
	if found || err != nil {
		return r, err
	}
	if a.Options&unix.WNOHANG != 0 {
		return WaitResult{}, nil
	}
	e := wait.NewEntry(wait.All)
	t.tg.childQ.Add(e)
	defer t.tg.childQ.Remove(e)
	for {
		r, found, err := t.waitOnce(a)
		if found || err != nil {
			return r, err
		}
		if err := t.Block(e, noDeadline); err != nil {
			return r, err
		}
	}
}

// waitOnce looks for a child to report. ECHILD if there is none that could
// ever be.
func (t *Task) waitOnce(a *WaitArgs) (r WaitResult, found bool, err error) {
	k, tg := t.k, t.tg
	var after afterUnlock
	k.ts.mu.Lock()
	any := false
	if !a.None {
		// Tracees first: they may be threads and other people's children.
		for _, x := range tg.tracees {
			if a.Options&unix.WNOTHREAD != 0 && x.trace.tracer != t {
				continue
			}
			if !a.matches(x) {
				continue
			}
			any = true
			if t.reportTraceeLocked(x, a, &r, &after) {
				found = true
				break
			}
		}
		for c := tg.children.head; c != nil && !found; c = c.sibling.next {
			if !a.matches(c.leader) {
				continue
			}
			clone := c.exitSignal != sigCHLD
			if a.Options&unix.WALL == 0 && clone != (a.Options&unix.WCLONE != 0) {
				continue
			}
			if a.Options&unix.WNOTHREAD != 0 && c.parentTask != t {
				continue
			}
			any = true
			if t.reportChildLocked(c, a, &r, &after) {
				found = true
				break
			}
		}
	}
	k.ts.mu.Unlock()
	after.run()
	if !any {
		return r, false, errno.ECHILD
	}
	return r, found, nil
}

func (a *WaitArgs) matches(x *Task) bool {
	if a.PID != nil {
		return x.pid.Load() == a.PID
	}
	if a.Group != nil {
		return x.tg.pgrp == a.Group
	}
	return true
}

// reportChildLocked fills r if child c has something to report.
func (t *Task) reportChildLocked(c *ThreadGroup, a *WaitArgs, r *WaitResult, after *afterUnlock) bool {
	l := c.leader
	if c.live == 0 {
		if a.Options&unix.WEXITED == 0 {
			return false
		}
		if l.traced.Load() && l.trace.tracer != nil && l.trace.tracer.tg != t.tg {
			return false // the tracer waits first
		}
		t.fillLocked(l, r)
		r.Status = c.exitStatus
		r.Code, r.SiStatus = exitCode(c.exitStatus)
		r.Resources = c.resourcesLocked()
		if a.Options&unix.WNOWAIT == 0 {
			t.tg.childRes.add(c.resourcesLocked())
			t.tg.childRes.add(c.childRes)
			t.k.reapLocked(c)
		}
		return true
	}
	if l.traced.Load() {
		// A traced child's stops belong to the tracer.
		if l.trace.tracer != nil && l.trace.tracer.tg == t.tg {
			return false
		}
	}
	c.sigMu.Lock()
	defer c.sigMu.Unlock()
	s := &c.stop
	if a.Options&unix.WSTOPPED != 0 && s.reportStop && s.done {
		t.fillLocked(l, r)
		r.Status = uint32(s.sig)<<8 | 0x7f
		r.Code, r.SiStatus = signal.CLDStopped, s.sig
		r.Resources = c.resourcesLocked()
		if a.Options&unix.WNOWAIT == 0 {
			s.reportStop = false
		}
		return true
	}
	if a.Options&unix.WCONTINUED != 0 && s.reportCont {
		t.fillLocked(l, r)
		r.Status = 0xffff
		r.Code, r.SiStatus = signal.CLDContinued, sigCONT
		r.Resources = c.resourcesLocked()
		if a.Options&unix.WNOWAIT == 0 {
			s.reportCont = false
		}
		return true
	}
	return false
}

func (t *Task) fillLocked(x *Task, r *WaitResult) {
	r.PID = x.pid.Load().In(t.pid.Load().ns)
	r.UID = t.UserNS().UID(x.Creds().RUID)
}

// notifyParentStop tells the parent that the process stopped or went on.
func (tg *ThreadGroup) notifyParentStop(code, status int32) {
	k := tg.k
	k.ts.mu.RLock()
	parent := tg.parent
	var info *signal.Info
	if parent != nil && parent.live > 0 {
		info = &signal.Info{Signo: sigCHLD, Code: code}
		info.SetPID(tg.pid.In(parent.pid.ns))
		info.SetUID(parent.leader.UserNS().UID(tg.leader.Creds().RUID))
		info.SetStatus(status)
		r := tg.resourcesLocked()
		info.SetTimes(r.UserNs/1e7, r.SysNs/1e7)
	}
	k.ts.mu.RUnlock()
	if info == nil {
		return
	}
	act := parent.handlers.get(sigCHLD)
	if act.Handler != signal.Ignore && act.Flags&signal.SANoCldStop == 0 {
		parent.SendSignal(info)
	}
	parent.childQ.Notify(wait.All)
}

// ChildQueue is notified when a child changes state (pidfd polls use PID.Exited).
func (tg *ThreadGroup) ChildQueue() *wait.Queue { return &tg.childQ }
