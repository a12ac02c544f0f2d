package kernel

import (
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/wait"
)

const (
	sigKILL = int32(unix.SIGKILL)
	sigSTOP = int32(unix.SIGSTOP)
	sigCONT = int32(unix.SIGCONT)
	sigCHLD = int32(unix.SIGCHLD)
)

// SendSignal sends info to this thread.
func (t *Task) SendSignal(info *signal.Info) error {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.tg.sendLocked(t, info, false, sendOpts{})
}

// SendSignal sends info to the process.
func (tg *ThreadGroup) SendSignal(info *signal.Info) error {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return tg.sendLocked(nil, info, true, sendOpts{})
}

// kill sends SIGKILL-like death from the kernel: nothing holds it back.
func (tg *ThreadGroup) kill(sig int32) {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	tg.groupExitLocked(uint32(sig))
}

// SendSignalFrom sends a signal to a process as the control server does:
// from outside every namespace, so that init can be killed.
func (tg *ThreadGroup) SendSignalFrom(sig int32) error {
	if !signal.Valid(sig) {
		return errno.EINVAL
	}
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return tg.sendLocked(nil, &signal.Info{Signo: sig, Code: signal.SIUser}, true, sendOpts{fromParentNS: true})
}

type sendOpts struct {
	fromParentNS bool          // the sender is outside the target's namespace
	entry        *signal.Entry // preallocated (timers)
	force        bool          // synchronous: init is not protected
}

// ignoredLocked says whether sig sent to t (or the process) is dropped.
func (tg *ThreadGroup) ignoredLocked(t *Task, sig int32, o *sendOpts) bool {
	check := t
	if check == nil {
		check = tg.mainLocked()
	}
	if check != nil {
		// A blocked signal is kept: its action may change before it is unblocked.
		if check.mask.Has(sig) {
			return false
		}
		if check.traced.Load() && sig != sigKILL {
			return false
		}
	}
	h := tg.handlers.get(sig).Handler
	if tg.unkillable && h == signal.Default && !(o.fromParentNS && signal.Unblockable.Has(sig)) && !o.force {
		return true
	}
	return h == signal.Ignore || h == signal.Default && signal.IgnoredByDefault.Has(sig)
}

// mainLocked is the thread a process signal is tried on first.
func (tg *ThreadGroup) mainLocked() *Task { return tg.main.Load() }

// sendLocked queues a signal and wakes who should take it (linux:
// kernel/signal.c __send_signal_locked). sigMu is held.
func (tg *ThreadGroup) sendLocked(t *Task, info *signal.Info, group bool, o sendOpts) error {
	sig := info.Signo
	if tg.exiting || t != nil && (t.exiting || t.dead) {
		if tg.exiting || !group {
			return nil
		}
	}
	tg.prepareLocked(sig)
	if tg.ignoredLocked(t, sig, &o) {
		if o.entry != nil && o.entry.Static != nil {
			o.entry.Static(nil)
		}
		return nil
	}
	q := &tg.pending
	if !group {
		q = &t.pending
	}
	if sig < signal.RTMin && q.Has(sig) {
		if o.entry != nil && o.entry.Static != nil {
			o.entry.Static(nil)
		}
		return nil
	}
	if o.entry != nil {
		q.Add(o.entry)
	} else {
		owner := tg.sigOwner(t)
		n := owner.signals.Add(1)
		if lim := tg.limits.Cur(limits.SigPending); uint64(n) > lim {
			owner.signals.Add(-1)
			if sig >= signal.RTMin && info.Code != signal.SIUser && !info.FromKernel() {
				return errno.EAGAIN
			}
			if info.Code == signal.SIUser || sig < signal.RTMin {
				// Without a place for its siginfo the signal is only marked.
				q.Mark(sig)
			} else {
				return errno.EAGAIN
			}
		} else {
			e := &signal.Entry{Info: *info, Owner: owner}
			q.Add(e)
		}
	}
	if tg.wantedByFds.Load() > 0 {
		tg.signalfdQ.Notify(wait.In)
	}
	tg.completeLocked(t, sig, group, &o)
	return nil
}

func (tg *ThreadGroup) sigOwner(t *Task) *userCount {
	if t == nil {
		t = tg.mainLocked()
	}
	if t == nil {
		return tg.k.user(0)
	}
	if u := t.ucount.Load(); u != nil {
		return u
	}
	return tg.k.user(t.Creds().RUID)
}

// prepareLocked makes stop signals and SIGCONT cancel each other.
func (tg *ThreadGroup) prepareLocked(sig int32) {
	switch {
	case signal.StopSet.Has(sig):
		cont := signal.Of(sigCONT)
		tg.pending.Discard(cont)
		for _, x := range tg.threads() {
			x.pending.Discard(cont)
		}
	case sig == sigCONT:
		tg.pending.Discard(signal.StopSet)
		for _, x := range tg.threads() {
			x.pending.Discard(signal.StopSet)
		}
		tg.continueLocked()
	}
}

// threads is the list of live threads for holders of sigMu.
func (tg *ThreadGroup) threads() []*Task {
	if l := tg.threadList.Load(); l != nil {
		return *l
	}
	return nil
}

// wantsLocked says whether t can take sig now.
func (t *Task) wantsLocked(sig int32) bool {
	if t.exiting || t.dead {
		return false
	}
	if sig == sigKILL {
		return true
	}
	if t.stopped {
		return false
	}
	return !t.mask.Has(sig) || t.sigWait.Has(sig)
}

// completeLocked picks a thread and wakes it; a fatal signal ends the process
// at once.
func (tg *ThreadGroup) completeLocked(t *Task, sig int32, group bool, o *sendOpts) {
	var pick *Task
	switch {
	case !group:
		if t.wantsLocked(sig) {
			pick = t
		}
	default:
		if m := tg.mainLocked(); m != nil && m.wantsLocked(sig) {
			pick = m
			break
		}
		for _, x := range tg.threads() {
			if x.wantsLocked(sig) {
				pick = x
				break
			}
		}
	}
	if pick == nil {
		return
	}
	if tg.fatalLocked(pick, sig, o) {
		tg.groupExitLocked(uint32(sig))
		return
	}
	pick.kick(workSignal)
}

// fatalLocked says whether sig certainly ends the process without a core.
func (tg *ThreadGroup) fatalLocked(t *Task, sig int32, o *sendOpts) bool {
	if sig != sigKILL && (t.mask.Has(sig) || t.sigWait.Has(sig) || t.traced.Load()) {
		return false
	}
	if tg.handlers.get(sig).Handler != signal.Default {
		return false
	}
	if signal.IgnoredByDefault.Has(sig) || signal.StopSet.Has(sig) || signal.CoreSet.Has(sig) {
		return false
	}
	if tg.unkillable && !o.force && !(o.fromParentNS && sig == sigKILL) {
		return false
	}
	return true
}

// groupExitLocked makes every thread exit with status.
func (tg *ThreadGroup) groupExitLocked(status uint32) {
	if !tg.exiting {
		tg.exiting = true
		tg.exitStatus = status
	}
	tg.stop.abort()
	if status == uint32(sigKILL) {
		tg.killedHard = true
	}
	for _, x := range tg.threads() {
		if !x.killed {
			x.killed = true
			x.stopPending = false
			x.stopped = false
		}
		x.kick(workSignal)
	}
}

// forceSignal raises a synchronous signal in t itself: if it is blocked or
// ignored, its action becomes the default (linux: force_sig_info_to_task).
func (t *Task) forceSignal(info *signal.Info) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	t.forceLocked(info)
}

func (t *Task) forceLocked(info *signal.Info) {
	sig := info.Signo
	tg := t.tg
	h := tg.handlers
	h.mu.Lock()
	a := &h.actions[sig]
	if t.mask.Has(sig) || a.Handler == signal.Ignore {
		a.Handler = signal.Default
		t.mask &^= signal.Of(sig)
	}
	def := a.Handler == signal.Default
	h.mu.Unlock()
	if def && !t.traced.Load() {
		tg.unkillable = false
	}
	if tg.exiting || t.pending.Has(sig) {
		t.kick(workSignal)
		return
	}
	t.pending.Add(&signal.Entry{Info: *info})
	t.setWork(workSignal)
}

// ForceSignal is for handlers that must end a call with a signal (SIGSYS,
// SIGSEGV of a bad frame).
func (t *Task) ForceSignal(sig int32) { t.forceSignal(signal.Kernel(sig)) }

// MayKill checks kill(2)'s permission of t to signal target (linux:
// kill_ok_by_cred, and SIGCONT within a session).
func (t *Task) MayKill(target *Task, sig int32) error {
	if target.tg == t.tg {
		return nil
	}
	c, tc := t.Creds(), target.Creds()
	if c.EUID == tc.SUID || c.EUID == tc.RUID || c.RUID == tc.SUID || c.RUID == tc.RUID {
		return nil
	}
	if c.HasCap(creds.CapKill, tc.UserNS) {
		return nil
	}
	if sig == sigCONT {
		t.k.ts.mu.RLock()
		same := t.tg.pgrp != nil && target.tg.pgrp != nil && t.tg.pgrp.session == target.tg.pgrp.session
		t.k.ts.mu.RUnlock()
		if same {
			return nil
		}
	}
	return errno.EPERM
}

// userInfo fills who sent a signal, as the target sees it.
func (t *Task) userInfo(sig, code int32, to *ThreadGroup) *signal.Info {
	info := &signal.Info{Signo: sig, Code: code}
	target := to.mainLocked()
	info.SetPID(t.tg.pid.In(to.pid.ns))
	if target != nil {
		info.SetUID(target.UserNS().UID(t.Creds().RUID))
	}
	return info
}

// KillProcess is kill(2) for one process.
func (t *Task) KillProcess(tg *ThreadGroup, sig int32, info *signal.Info) error {
	leader := tg.Leader()
	if err := t.MayKill(leader, sig); err != nil {
		return err
	}
	if sig == 0 {
		return nil
	}
	if info == nil {
		info = t.userInfo(sig, signal.SIUser, tg)
	}
	o := sendOpts{fromParentNS: t.pid.Load().In(tg.pid.ns) == 0}
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return tg.sendLocked(nil, info, true, o)
}

// KillThread is tgkill(2) for one thread.
func (t *Task) KillThread(target *Task, sig int32, info *signal.Info) error {
	if err := t.MayKill(target, sig); err != nil {
		return err
	}
	if sig == 0 {
		return nil
	}
	tg := target.tg
	if info == nil {
		info = t.userInfo(sig, signal.SITkill, tg)
	}
	o := sendOpts{fromParentNS: t.pid.Load().In(tg.pid.ns) == 0}
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	if target.dead || target.exiting && !tg.exiting {
		return nil
	}
	return tg.sendLocked(target, info, false, o)
}

// KillGroup is kill(2) for a process group: success if one member got it.
func (t *Task) KillGroup(pg *ProcessGroup, sig int32) error {
	members := pg.Members()
	if len(members) == 0 {
		return errno.ESRCH
	}
	return t.killMany(members, sig)
}

func (t *Task) killMany(l []*ThreadGroup, sig int32) error {
	ok := false
	err := error(errno.ESRCH)
	for _, tg := range l {
		e := t.KillProcess(tg, sig, nil)
		if e == nil {
			ok = true
		} else {
			err = e
		}
	}
	if ok {
		return nil
	}
	return err
}

// KillAll is kill(-1): everything t may signal but itself and init.
func (t *Task) KillAll(sig int32) error {
	ns := t.PIDNamespace()
	var l []*ThreadGroup
	for _, tg := range ns.ThreadGroups() {
		if tg != t.tg && tg.PIDIn(ns) > 1 {
			l = append(l, tg)
		}
	}
	if len(l) == 0 {
		return errno.ESRCH
	}
	count, err := 0, error(nil)
	for _, tg := range l {
		e := t.KillProcess(tg, sig, nil)
		if e != errno.EPERM {
			count++
			err = e
		}
	}
	if count == 0 {
		return errno.ESRCH
	}
	return err
}

// HasPending says whether signals of set wait for t (signalfd, sigtimedwait).
func (t *Task) HasPending(set signal.Set) bool {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return (t.pending.Pending()|t.tg.pending.Pending())&set != 0
}

// TakeSignal dequeues a pending signal of set (signalfd, sigtimedwait).
func (t *Task) TakeSignal(set signal.Set, info *signal.Info) bool {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.dequeueLocked(^set, info)
}

// dequeueLocked takes the next signal not in mask, the thread's own first.
func (t *Task) dequeueLocked(mask signal.Set, info *signal.Info) bool {
	if n := t.pending.Next(mask); n != 0 {
		return t.pending.Take(n, info)
	}
	if n := t.tg.pending.Next(mask); n != 0 {
		return t.tg.pending.Take(n, info)
	}
	return false
}

// SignalQueue is notified whenever a signal is queued for the process
// (signalfd). Use Add and Remove of the watch, so that senders know.
func (tg *ThreadGroup) SignalQueue() *wait.Queue {
	tg.wantedByFds.Store(1)
	return &tg.signalfdQ
}

// Mask is the set of blocked signals.
func (t *Task) Mask() signal.Set {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.mask
}

// SetMask replaces the set of blocked signals; only by the task itself.
func (t *Task) SetMask(m signal.Set) signal.Set {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	old := t.mask
	t.setMaskLocked(m)
	return old
}

// setMaskLocked changes the mask; process signals t now blocks go to others.
func (t *Task) setMaskLocked(m signal.Set) {
	m &^= signal.Unblockable
	newly := m &^ t.mask
	t.mask = m
	if moved := t.tg.pending.Pending() & newly; moved != 0 {
		t.tg.retargetLocked(t, moved)
	}
	if (t.pending.Pending()|t.tg.pending.Pending())&^m != 0 {
		t.setWork(workSignal)
	}
}

// retargetLocked wakes other threads for process signals that t will not take.
func (tg *ThreadGroup) retargetLocked(t *Task, set signal.Set) {
	for _, x := range tg.threads() {
		if set == 0 {
			return
		}
		if x == t || x.exiting {
			continue
		}
		if can := set &^ x.mask; can != 0 {
			set &^= can
			x.kick(workSignal)
		}
	}
}

// SuspendMask sets a temporary mask that is undone when the call ends: by the
// signal frame if a handler runs, else before user code runs again.
// (sigsuspend, ppoll, pselect, epoll_pwait)
func (t *Task) SuspendMask(m signal.Set) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	if t.work.Load()&workRestoreMask == 0 {
		t.savedMask = t.mask
	}
	t.setWork(workRestoreMask)
	t.setMaskLocked(m)
}

// RestoreMask undoes SuspendMask at once, for a call that ended without a
// signal.
func (t *Task) RestoreMask() {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	if t.work.Load()&workRestoreMask == 0 {
		return
	}
	t.work.And(^uint32(workRestoreMask))
	t.setMaskLocked(t.savedMask)
}

// Pending is the set of pending blocked signals (sigpending(2)).
func (t *Task) Pending() signal.Set {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return (t.pending.Pending() | t.tg.pending.Pending()) & t.mask
}

// SignalSets are for /proc/pid/status.
func (t *Task) SignalSets() (pending, shared, blocked, ignored, caught signal.Set, queued int64) {
	tg := t.tg
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	pending, shared, blocked = t.pending.Pending(), tg.pending.Pending(), t.mask
	h := tg.handlers
	h.mu.Lock()
	for n := int32(1); n <= signal.Max; n++ {
		switch h.actions[n].Handler {
		case signal.Default:
		case signal.Ignore:
			ignored |= signal.Of(n)
		default:
			caught |= signal.Of(n)
		}
	}
	h.mu.Unlock()
	return pending, shared, blocked, ignored, caught, tg.sigOwner(t).signals.Load()
}

// Action returns and optionally replaces the action of sig (rt_sigaction(2)).
func (t *Task) Action(sig int32, act *signal.Action) (signal.Action, error) {
	if !signal.Valid(sig) || act != nil && signal.Unblockable.Has(sig) {
		return signal.Action{}, errno.EINVAL
	}
	tg := t.tg
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	h := tg.handlers
	h.mu.Lock()
	old := h.actions[sig]
	if act != nil {
		a := *act
		a.Mask &^= signal.Unblockable
		a.Flags &= signal.SAFlagsKnown
		h.actions[sig] = a
	}
	h.mu.Unlock()
	if act != nil && (act.Handler == signal.Ignore || act.Handler == signal.Default && signal.IgnoredByDefault.Has(sig)) {
		tg.pending.Discard(signal.Of(sig))
		for _, x := range tg.threads() {
			x.pending.Discard(signal.Of(sig))
		}
	}
	return old, nil
}

// AltStack returns and optionally replaces the alternate stack; only by the
// task itself.
func (t *Task) AltStack() *signal.Stack { return &t.altStack }

// WaitSignal is sigtimedwait(2): EAGAIN at the deadline, EINTR if another
// signal has a handler to run.
func (t *Task) WaitSignal(set signal.Set, deadline time.Time, info *signal.Info) error {
	tg := t.tg
	for {
		tg.sigMu.Lock()
		if t.dequeueLocked(^set, info) {
			t.sigWait = 0
			tg.sigMu.Unlock()
			return nil
		}
		// While it sleeps, senders treat these signals as wanted.
		t.sigWait = set
		tg.sigMu.Unlock()
		err := t.blockAny(deadline)
		tg.sigMu.Lock()
		t.sigWait = 0
		got := t.dequeueLocked(^set, info)
		other := t.killed || t.stopPending || (t.pending.Pending()|tg.pending.Pending())&^t.mask != 0
		if !got && !other {
			t.work.And(^uint32(workSignal))
		}
		tg.sigMu.Unlock()
		switch {
		case got:
			return nil
		case err == errno.ETIMEDOUT:
			return errno.EAGAIN
		case other || t.work.Load()&workTrace != 0:
			return errno.EINTR
		}
	}
}

// blockAny sleeps until any kick or the deadline.
func (t *Task) blockAny(deadline time.Time) error {
	if t.work.Load()&(workSignal|workTrace) != 0 {
		return nil
	}
	if err := t.block(nil, deadline, 0, stateSleeping); err == errno.ETIMEDOUT {
		return err
	}
	return nil
}
