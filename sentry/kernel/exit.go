package kernel

import (
	"encoding/binary"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/futex"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
)

type archRegs = arch.Regs

// Exit is exit(2): the thread ends when the call returns to the run loop.
func (t *Task) Exit(status int32) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	if !t.killed {
		t.exitCode = uint32(status&0xff) << 8
		t.exitCoded = true
	}
	t.killed = true
	t.setWork(workSignal)
}

// ExitGroup is exit_group(2).
func (t *Task) ExitGroup(status int32) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	t.tg.groupExitLocked(uint32(status&0xff) << 8)
}

// KillSelf ends the process as if by sig (seccomp, fatal faults).
func (t *Task) KillSelf(sig int32) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	t.tg.groupExitLocked(uint32(sig))
}

// KillThreadSelf ends only this thread, by sig (SECCOMP_RET_KILL_THREAD).
func (t *Task) KillThreadSelf(sig int32) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	if len(t.tg.threads()) == 1 {
		t.tg.groupExitLocked(uint32(sig))
		return
	}
	t.exitCode, t.exitCoded = uint32(sig), true
	t.killed = true
	t.setWork(workSignal)
}

// exit ends the task on its own goroutine (linux: kernel/exit.c do_exit).
func (t *Task) exit() {
	k, tg := t.k, t.tg
	tg.sigMu.Lock()
	status := tg.exitStatus
	if !tg.exiting {
		status = t.exitCode
	}
	tg.sigMu.Unlock()
	t.traceExitStop(status)

	tg.sigMu.Lock()
	if tg.exiting {
		status = tg.exitStatus
	}
	t.exiting = true
	t.stopPending = false
	// A stop in progress must not wait for this thread.
	last := false
	if s := &tg.stop; s.sig != 0 && !t.stopped && s.waiting > 0 && !s.done {
		s.waiting--
		if s.waiting == 0 {
			s.done, s.reportStop, last = true, true, true
		}
	}
	tg.retargetLocked(t, tg.pending.Pending()&^t.mask)
	t.pending.Discard(^signal.Set(0))
	tg.sigMu.Unlock()
	if last {
		tg.notifyParentStop(signal.CLDStopped, sigSTOP)
	}

	for i := len(t.exitCleanups) - 1; i >= 0; i-- {
		t.exitCleanups[i]()
	}
	t.exitCleanups = nil
	k.ts.mu.Lock()
	tg.exitingTasks++
	lastOne := tg.exitingTasks == tg.live
	k.ts.mu.Unlock()
	if lastOne {
		tg.timers.stopAll(tg)
	}
	t.releaseMM(true)
	var peak int64
	if t.space != nil {
		peak = int64(t.space.PeakRSS())
	}
	th := t.th
	t.setThread(nil)
	if th != nil {
		th.Release()
	}
	if t.space != nil {
		s := t.space
		t.mmPtr.Store(nil)
		t.space = nil
		s.DecUsers(t)
	}
	if t.vfork != nil {
		t.vfork.release()
		t.vfork = nil
	}
	if f := t.fds.Swap(nil); f != nil {
		f.DecRef(t)
	}
	if f := t.fs.Swap(nil); f != nil {
		f.DecRef()
	}
	if f := t.seccomp.Load(); f != nil {
		f.Listeners((*seccomp.Listener).Drop)
	}
	ns := t.ns.Load()
	if ns != nil && ns.mnt != nil {
		ns.mnt.DecRef()
	}
	t.cpu.pause(k)
	t.exitNotify(status, peak)
}

// releaseMM does what must happen while the old address space is still there:
// robust futexes and the cleared thread id (linux: mm_release).
func (t *Task) releaseMM(exiting bool) {
	if t.space == nil {
		return
	}
	if t.robustList != 0 {
		t.walkRobustList()
		t.robustList = 0
	}
	if t.clearTID != 0 {
		if t.sharesMM() {
			var zero uint32
			if usermem.Put(t.space, t.clearTID, &zero) == nil {
				if k, err := t.space.FutexKey(t, t.clearTID, true); err == nil {
					t.k.futexes.Wake(k, 1, ^uint32(0))
				}
				if k, err := t.space.FutexKey(t, t.clearTID, false); err == nil {
					t.k.futexes.Wake(k, 1, ^uint32(0))
				}
			}
		}
		t.clearTID = 0
	}
}

// sharesMM says whether another task uses the address space.
func (t *Task) sharesMM() bool {
	return t.space.Users() > 1
}

// walkRobustList marks the robust futexes that t holds (linux:
// exit_robust_list); the list is user memory and may be anything.
func (t *Task) walkRobustList() {
	var head [24]byte
	if _, err := t.space.CopyIn(t.robustList, head[:]); err != nil {
		return
	}
	le := binary.LittleEndian
	entry := le.Uint64(head[:])
	offset := le.Uint64(head[8:])
	pend := le.Uint64(head[16:])
	for n := 0; entry&^1 != t.robustList && n < 2048; n++ {
		var next [8]byte
		_, err := t.space.CopyIn(entry&^1, next[:])
		if entry&^1 != pend&^1 {
			if !t.robustDied(entry&^1+offset, entry&1 != 0, false) {
				return
			}
		}
		if err != nil {
			return
		}
		entry = le.Uint64(next[:])
	}
	if pend&^1 != 0 {
		t.robustDied(pend&^1+offset, pend&1 != 0, true)
	}
}

func (t *Task) robustDied(addr uint64, pi, pending bool) bool {
	if addr&3 != 0 {
		return false
	}
	tid := uint32(t.TID())
	v, err := t.space.LoadUint32(addr)
	if err != nil {
		return false
	}
	wake := func() {
		for _, shared := range [...]bool{true, false} {
			if k, err := t.space.FutexKey(t, addr, shared); err == nil {
				t.k.futexes.Wake(k, 1, ^uint32(0))
			}
		}
	}
	if pending && !pi && v == 0 {
		wake()
		return true
	}
	if v&futex.TIDMask != tid {
		return true
	}
	if pi && v&futex.Waiters != 0 {
		for _, shared := range [...]bool{true, false} {
			if k, err := t.space.FutexKey(t, addr, shared); err == nil {
				t.k.futexes.OwnerDies(t.space, k, addr)
			}
		}
		return true
	}
	old, err := futex.Update(t.space, addr, func(v uint32) uint32 { return v&futex.Waiters | futex.OwnerDied })
	if err != nil {
		return false
	}
	if !pi && old&futex.Waiters != 0 {
		wake()
	}
	return true
}

// exitNotify makes t a zombie, hands its children on, and tells who waits.
func (t *Task) exitNotify(status uint32, peak int64) {
	k, tg := t.k, t.tg
	t.state.Store(stateZombie)
	var after afterUnlock
	k.ts.mu.Lock()
	tg.sigMu.Lock()
	t.dead = true
	tg.sigMu.Unlock()
	t.exitStatus = status
	t.exitState = exitZombie
	tg.live--
	tg.exitingTasks-- // it counts those of the live that are on their way out
	tg.deadRes.add(t.Resources())
	tg.deadRes.MaxRSSBytes = max(tg.deadRes.MaxRSSBytes, peak)
	if uc := t.ucount.Load(); uc != nil {
		uc.procs.Add(-1)
	}
	k.detachTracerLocked(t, &after)
	k.parentDiedLocked(t, &after)
	if tg.live == 0 {
		tg.sigMu.Lock()
		if !tg.exiting {
			tg.exiting = true
			tg.exitStatus = status // the last thread decides (synchronize_group_exit)
		}
		tg.sigMu.Unlock()
		k.groupDiedLocked(tg, &after)
	}
	if t.traced.Load() && t.trace.tracer != nil {
		if t != tg.leader {
			k.notifyTracerExitLocked(t, &after)
		}
	} else if t != tg.leader {
		k.forgetTaskLocked(t)
	}
	execing := tg.execing
	k.ts.live--
	idle := k.ts.live == 0
	k.ts.mu.Unlock()
	if h := k.forkHook.Load(); h != nil {
		h.Uncharge(t)
	}
	if execing != nil && execing != t {
		tg.sigMu.Lock()
		execing.kick(0)
		tg.sigMu.Unlock()
	}
	after.run()
	if idle {
		k.ts.zero.Notify(wait.All)
	}
}

// forgetTaskLocked removes a dead thread that nobody waits for.
func (k *Kernel) forgetTaskLocked(t *Task) {
	tg := t.tg
	k.untraceLocked(t)
	t.exitState = exitReaped
	t.state.Store(stateDead)
	p := t.pid.Load()
	if p.task == t {
		p.task = nil
	}
	tg.sigMu.Lock()
	l := make([]*Task, 0, len(tg.tasks))
	for _, x := range tg.tasks {
		if x != t {
			l = append(l, x)
		}
	}
	tg.tasks = l
	tg.publishLocked()
	tg.sigMu.Unlock()
	p.releaseLocked()
}

// afterUnlock collects what must be done once TaskSet.mu was released.
type afterUnlock struct{ fns []func() }

func (a *afterUnlock) add(fn func()) { a.fns = append(a.fns, fn) }

func (a *afterUnlock) run() {
	for _, fn := range a.fns {
		fn()
	}
}

// parentDiedLocked sends PR_SET_PDEATHSIG to children that t (the thread)
// made, and gives them a new parent thread.
func (k *Kernel) parentDiedLocked(t *Task, after *afterUnlock) {
	tg := t.tg
	for c := tg.children.head; c != nil; c = c.sibling.next {
		if c.parentTask != t {
			continue
		}
		for _, x := range c.tasks {
			x := x
			c.sigMu.Lock()
			sig := x.pdeathsig
			c.sigMu.Unlock()
			if sig != 0 {
				info := &signal.Info{Signo: sig, Code: signal.SIUser}
				info.SetPID(tg.pid.In(c.pid.ns))
				after.add(func() { x.SendSignal(info) })
			}
		}
		c.parentTask = tg.liveTaskLocked(t)
	}
}

func (tg *ThreadGroup) liveTaskLocked(not *Task) *Task {
	for _, x := range tg.tasks {
		if x != not && x.exitState == exitNone {
			return x
		}
	}
	return nil
}

// groupDiedLocked is the end of a process: its last thread is a zombie.
func (k *Kernel) groupDiedLocked(tg *ThreadGroup, after *afterUnlock) {
	// Children go to the nearest living subreaper or the namespace's init
	// (linux: find_new_reaper).
	ns := tg.pid.ns
	if ns.reaper == tg {
		ns.dead = true
		ns.reaper = nil
		k.zapNamespaceLocked(ns, tg, after)
	}
	reaper := k.reaperLocked(tg)
	for c := tg.children.head; c != nil; {
		next := c.sibling.next
		tg.children.removeChild(c)
		c.parent = reaper
		if reaper != nil {
			c.parentTask = reaper.liveTaskLocked(nil)
			reaper.children.addChild(c)
			c.exitSignal = sigCHLD
			if c.live == 0 {
				k.notifyParentLocked(c, after)
			}
		} else {
			c.parentTask = nil
			if c.live == 0 {
				k.reapLocked(c)
			}
		}
		// A group that this process kept from being orphaned, with stopped
		// members, is woken (POSIX _exit).
		if pg := c.pgrp; pg != nil && pg != tg.pgrp && tg.pgrp != nil && pg.session == tg.pgrp.session &&
			pg.orphanedLocked(nil) && pg.hasStoppedLocked() {
			l := pg.membersLocked()
			after.add(func() { hangup(l) })
		}
		c = next
	}
	if pg := tg.pgrp; pg != nil {
		if p := tg.parent; p != nil && p.pgrp != nil && p.pgrp != pg && p.pgrp.session == pg.session &&
			pg.orphanedLocked(tg) && pg.hasStoppedLocked() {
			l := pg.membersLocked()
			after.add(func() { hangup(l) })
		}
		// The end of a session leader frees its terminal.
		if s := pg.session; s.leader == tg {
			s.leader = nil
			if tty := s.tty; tty != nil {
				var l []*ThreadGroup
				if s.fg != nil {
					l = s.fg.membersLocked()
				}
				s.tty, s.fg = nil, nil
				after.add(func() {
					hangup(l)
					tty.Disassociated()
				})
			}
		}
	}
	tg.sigMu.Lock()
	h := tg.handlers
	h.mu.Lock()
	h.refs--
	h.mu.Unlock()
	tg.pending.Discard(^signal.Set(0))
	tg.sigMu.Unlock()
	p := tg.pid
	tg.exitInfo.Store(&exitRecord{status: tg.exitStatus})
	after.add(func() { tg.exitedQ.Notify(wait.All) })
	after.add(func() { p.Exited.Notify(wait.In | wait.RdNorm) })
	k.notifyParentLocked(tg, after)
}

// zapNamespaceLocked kills everything in a PID namespace whose init died.
func (k *Kernel) zapNamespaceLocked(ns *PIDNamespace, init *ThreadGroup, after *afterUnlock) {
	for _, p := range ns.pids {
		if tg := p.tg; tg != nil && tg != init && tg.live > 0 {
			after.add(func() { tg.kill(sigKILL) })
		}
	}
}

// reaperLocked finds who inherits tg's children.
func (k *Kernel) reaperLocked(tg *ThreadGroup) *ThreadGroup {
	ns := tg.pid.ns
	if ns.dead {
		return nil
	}
	if tg.hasSubreaper {
		for p := tg.parent; p != nil && p.pid.ns == ns && p != ns.reaper; p = p.parent {
			if p.subreaper && p.live > 0 {
				return p
			}
		}
	}
	if ns.reaper != nil && ns.reaper != tg && ns.reaper.live > 0 {
		return ns.reaper
	}
	return nil
}

// notifyParentLocked sends the exit signal of a dead process to its parent, or
// reaps it at once if the parent does not care.
func (k *Kernel) notifyParentLocked(tg *ThreadGroup, after *afterUnlock) {
	if tg.reaped {
		return
	}
	parent := tg.parent
	if tg.leader.traced.Load() && tg.leader.trace.tracer != nil && tg.leader.trace.tracer.tg != parent {
		// The tracer sees it first and gives it back (releaseTraceeLocked).
		k.notifyTracerExitLocked(tg.leader, after)
		return
	}
	if parent == nil || parent.live == 0 {
		if parent == nil {
			k.reapLocked(tg)
		}
		return
	}
	sig := tg.exitSignal
	auto := false
	if sig == sigCHLD {
		act := parent.handlers.get(sigCHLD)
		auto = act.Handler == signal.Ignore || act.Flags&signal.SANoCldWait != 0
		if act.Handler == signal.Ignore {
			sig = 0
		}
	}
	if sig != 0 {
		info := tg.childInfoLocked(tg.leader, parent, sig)
		target := tg.parentTask
		_ = target
		after.add(func() { parent.SendSignal(info) })
	}
	if auto {
		k.reapLocked(tg)
	}
	after.add(func() { parent.childQ.Notify(wait.All) })
}

// childInfoLocked is the siginfo of the death of a child.
func (tg *ThreadGroup) childInfoLocked(t *Task, parent *ThreadGroup, sig int32) *signal.Info {
	info := &signal.Info{Signo: sig}
	info.SetPID(t.pid.Load().In(parent.pid.ns))
	info.SetUID(parent.leader.UserNS().UID(t.Creds().RUID))
	r := tg.resourcesLocked()
	info.SetTimes(r.UserNs/1e7, r.SysNs/1e7)
	st := t.exitStatus
	if t == tg.leader && tg.live == 0 {
		st = tg.exitStatus
	}
	code, val := exitCode(st)
	info.Code = code
	info.SetStatus(val)
	return info
}

// exitCode splits a wait status into si_code and si_status.
func exitCode(st uint32) (code, val int32) {
	switch {
	case st&0x80 != 0:
		return signal.CLDDumped, int32(st & 0x7f)
	case st&0x7f != 0:
		return signal.CLDKilled, int32(st & 0x7f)
	}
	return signal.CLDExited, int32(st >> 8 & 0xff)
}

// reapLocked forgets a dead process.
func (k *Kernel) reapLocked(tg *ThreadGroup) {
	if tg.reaped {
		return
	}
	tg.reaped = true
	if tg.parent != nil {
		tg.parent.children.removeChild(tg)
	}
	for _, x := range append([]*Task(nil), tg.tasks...) {
		k.forgetTaskLocked(x)
	}
	tg.leaveGroupLocked()
	p := tg.pid
	p.tg = nil
	p.reaped, p.exitStatus = true, tg.exitStatus
	for n := p.ns; n != nil; n = n.parent {
		n.procs--
	}
	p.releaseLocked()
}

// exitRecord is what WaitExited returns.
type exitRecord struct{ status uint32 }

// WaitExited returns the wait status of a process made by CreateProcess, once
// it is dead.
func (tg *ThreadGroup) WaitExited() uint32 {
	e := wait.NewEntry(wait.All)
	tg.exitedQ.Add(e)
	defer tg.exitedQ.Remove(e)
	for {
		if r := tg.exitInfo.Load(); r != nil {
			return r.status
		}
		<-e.C
	}
}

// Exited says whether the process is dead, and its wait status.
func (tg *ThreadGroup) Exited() (uint32, bool) {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.exitStatus, tg.live == 0
}
