package kernel

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
)

// handleSignals acts on everything that workSignal and its kin stand for,
// builds frames, and settles restarts; false means that the task exits
// (linux: get_signal and arch_do_signal_or_restart).
func (t *Task) handleSignals() bool {
	tg := t.tg
	for {
		tg.sigMu.Lock()
		if t.killed {
			tg.sigMu.Unlock()
			return false
		}
		if t.stopPending {
			t.groupStop() // unlocks
			continue
		}
		if t.work.Load()&workTrace != 0 {
			t.work.And(^uint32(workTrace))
			tg.sigMu.Unlock()
			t.traceTrap()
			continue
		}
		var info signal.Info
		// Synchronous signals of this very thread come first.
		ok := t.pending.Pending()&signal.Synchronous&^t.mask != 0 && t.takeSync(&info) || t.dequeueLocked(t.mask, &info)
		if !ok {
			t.work.And(^uint32(workSignal))
			tg.sigMu.Unlock()
			t.finishCall()
			return true
		}
		sig := info.Signo
		if t.traced.Load() && sig != sigKILL {
			tg.sigMu.Unlock()
			if !t.traceSignal(&info) {
				continue
			}
			sig = info.Signo
			tg.sigMu.Lock()
			if t.mask.Has(sig) {
				// The tracer chose a blocked signal: it waits.
				t.pending.Add(&signal.Entry{Info: info})
				tg.sigMu.Unlock()
				continue
			}
		}
		h := tg.handlers
		h.mu.Lock()
		act := h.actions[sig]
		if act.Handler > signal.Ignore && act.Flags&signal.SAResetHand != 0 {
			h.actions[sig].Handler = signal.Default
		}
		h.mu.Unlock()
		switch {
		case act.Handler == signal.Ignore:
			tg.sigMu.Unlock()
			continue
		case act.Handler != signal.Default:
			tg.sigMu.Unlock()
			t.runHandler(&info, &act)
			continue
		}
		if signal.IgnoredByDefault.Has(sig) {
			tg.sigMu.Unlock()
			continue
		}
		if tg.unkillable && sig != sigKILL && !signal.Unblockable.Has(sig) {
			tg.sigMu.Unlock()
			continue
		}
		if signal.StopSet.Has(sig) {
			tg.stop.dequeued = true
			tg.sigMu.Unlock()
			if sig != sigSTOP && t.orphaned() {
				continue
			}
			tg.sigMu.Lock()
			// A SIGCONT or SIGKILL may have come in between.
			if !t.killed && tg.stop.dequeued {
				tg.startStopLocked(sig)
			}
			tg.sigMu.Unlock()
			continue
		}
		status := uint32(sig)
		if signal.CoreSet.Has(sig) {
			// Differs: no core file is written; the status says so only if
			// one would have been allowed.
			if tg.limits.Cur(unix.RLIMIT_CORE) != 0 {
				status |= 0x80
			}
			klog.Debugf("task %d (%s): fatal signal %d at rip %#x addr %#x", t.ThreadID(), t.Name(), sig, t.regs.Rip, info.Addr())
		}
		tg.groupExitLocked(status)
		tg.sigMu.Unlock()
		return false
	}
}

// takeSync dequeues a synchronous signal of the thread.
func (t *Task) takeSync(info *signal.Info) bool {
	n := t.pending.Next(t.mask | ^signal.Synchronous)
	return n != 0 && t.pending.Take(n, info)
}

// finishCall settles the restart of a call that no handler interrupted, and a
// temporary mask.
func (t *Task) finishCall() {
	w := t.work.Load()
	if w&workRestart != 0 {
		t.work.And(^uint32(workRestart))
		r := &t.regs
		if int64(r.OrigRax) >= 0 {
			switch -int64(r.Rax) {
			case rERESTARTSYS, rERESTARTNOINTR, rERESTARTNOHAND:
				r.Rax = r.OrigRax
				r.Rip -= 2
			case rERESTARTRESTBLK:
				r.Rax = sysRestartSyscall
				r.Rip -= 2
			}
		}
	}
	if w&workRestoreMask != 0 {
		t.RestoreMask()
	}
}

// runHandler settles the restart of an interrupted call and pushes a frame.
func (t *Task) runHandler(info *signal.Info, act *signal.Action) {
	r := &t.regs
	if t.work.Load()&workRestart != 0 {
		t.work.And(^uint32(workRestart))
		if int64(r.OrigRax) >= 0 {
			eintr := ^uint64(errno.EINTR) + 1
			switch -int64(r.Rax) {
			case rERESTARTSYS:
				if act.Flags&signal.SARestart == 0 {
					r.Rax = eintr
				} else {
					r.Rax, r.Rip = r.OrigRax, r.Rip-2
				}
			case rERESTARTNOINTR:
				r.Rax, r.Rip = r.OrigRax, r.Rip-2
			case rERESTARTNOHAND, rERESTARTRESTBLK:
				r.Rax = eintr
			}
		}
	}
	t.restartFn = nil
	stepping := r.Eflags&0x100 != 0 && t.traced.Load()
	oldMask := t.mask
	if t.work.Load()&workRestoreMask != 0 {
		oldMask = t.savedMask
	}
	f := arch.Frame{
		Signo:    info.Signo,
		Info:     usermem.AsBytes(info),
		Handler:  act.Handler,
		Restorer: act.Restorer,
		Mask:     uint64(oldMask),
		TrapNo:   t.trapNo, ErrCode: t.errCode, CR2: t.cr2,
		FP: t.th.FPState(),
	}
	st := &t.altStack
	onStack := t.onAltStack(r.Rsp)
	f.StackAddr, f.StackSize, f.StackFlags = st.Addr, st.Size, t.stackFlags(r.Rsp)
	if act.Flags&signal.SAOnStack != 0 && st.Size != 0 && st.Flags&signal.SSDisable == 0 {
		if !onStack {
			f.Top = st.Addr + st.Size
		}
		f.LowLimit = st.Addr
	}
	var err error = errno.EFAULT
	if act.Flags&signal.SARestorer != 0 {
		err = arch.PushFrame(t.space, r, &f)
	}
	if err != nil {
		if info.Signo == int32(unix.SIGSEGV) {
			t.tg.sigMu.Lock()
			h := t.tg.handlers
			h.mu.Lock()
			h.actions[unix.SIGSEGV].Handler = signal.Default
			h.mu.Unlock()
			t.tg.sigMu.Unlock()
		}
		t.ForceSignal(int32(unix.SIGSEGV))
		return
	}
	if st.Flags&signal.SSAutodisarm != 0 && act.Flags&signal.SAOnStack != 0 {
		*st = signal.Stack{Flags: signal.SSDisable}
	}
	t.tg.sigMu.Lock()
	t.work.And(^uint32(workRestoreMask))
	m := t.mask | act.Mask
	if act.Flags&signal.SANoDefer == 0 {
		m |= signal.Of(info.Signo)
	}
	t.setMaskLocked(m)
	t.tg.sigMu.Unlock()
	if stepping {
		t.traceStepHandler()
	}
}

// onAltStack says whether sp is on the alternate stack.
func (t *Task) onAltStack(sp uint64) bool {
	st := &t.altStack
	if st.Flags&signal.SSAutodisarm != 0 {
		return false
	}
	return sp > st.Addr && sp-st.Addr <= st.Size
}

func (t *Task) stackFlags(sp uint64) uint32 {
	st := &t.altStack
	f := st.Flags & signal.SSAutodisarm
	switch {
	case st.Size == 0 || st.Flags&signal.SSDisable != 0:
		return f | signal.SSDisable
	case t.onAltStack(sp):
		return f | signal.SSOnStack
	}
	return f
}

// SigAltStack is sigaltstack(2).
func (t *Task) SigAltStack(set *signal.Stack) (signal.Stack, error) {
	sp := t.regs.Rsp
	old := signal.Stack{Addr: t.altStack.Addr, Size: t.altStack.Size, Flags: t.stackFlags(sp)}
	if set == nil {
		return old, nil
	}
	if t.onAltStack(sp) {
		return old, errno.EPERM
	}
	mode := set.Flags &^ signal.SSAutodisarm
	if mode != 0 && mode != signal.SSDisable && mode != signal.SSOnStack {
		return old, errno.EINVAL
	}
	if a := t.altStack; mode != signal.SSDisable && set.Addr == a.Addr && set.Size == a.Size && (set.Flags == a.Flags || a.Size == 0 && set.Flags == 0) {
		return old, nil // nothing changes: not looked at further
	}
	if mode == signal.SSDisable {
		t.altStack = signal.Stack{Flags: set.Flags}
		return old, nil
	}
	if set.Size < signal.MinStack {
		return old, errno.ENOMEM
	}
	t.altStack = signal.Stack{Addr: set.Addr, Size: set.Size, Flags: set.Flags &^ signal.SSOnStack}
	return old, nil
}

// SigReturn is rt_sigreturn(2); it returns what rax gets.
func (t *Task) SigReturn() uint64 {
	ret, err := arch.PopFrame(t.space, &t.regs)
	if err == nil {
		err = t.th.SetFPState(ret.FP)
	}
	if err != nil {
		t.regs.OrigRax = ^uint64(0)
		t.ForceSignal(int32(unix.SIGSEGV))
		return t.regs.Rax
	}
	t.SetMask(signal.Set(ret.Mask))
	// As restore_altstack: errors are ignored.
	t.SigAltStack(&signal.Stack{Addr: ret.StackAddr, Size: ret.StackSize, Flags: ret.StackFlags})
	return t.regs.Rax
}

// stopState is a job-control stop of a process; under sigMu.
type stopState struct {
	sig     int32 // what stopped it; 0 if not stopped or stopping
	waiting int   // threads that have not stopped yet
	done    bool  // all have
	// dequeued: a stop signal was taken and not cancelled by a SIGCONT since.
	dequeued bool
	// What wait(2) has not seen yet.
	reportStop, reportCont bool
}

// abort forgets a stop because the process dies.
func (s *stopState) abort() {
	s.sig, s.waiting, s.done, s.reportStop = 0, 0, false, false
}

// startStopLocked asks every thread to stop.
func (tg *ThreadGroup) startStopLocked(sig int32) {
	if tg.exiting {
		return
	}
	s := &tg.stop
	if s.sig != 0 && !s.done {
		return // already stopping
	}
	if s.sig == 0 {
		s.sig = sig
		s.done = false
		s.waiting = 0
		s.reportCont = false
	}
	for _, x := range tg.threads() {
		if x.exiting || x.stopped || x.stopPending {
			continue
		}
		x.stopPending = true
		s.waiting++
		s.done = false
		x.kick(workSignal)
	}
}

// continueLocked undoes a stop (SIGCONT was sent).
func (tg *ThreadGroup) continueLocked() {
	s := &tg.stop
	s.dequeued = false
	if s.sig == 0 {
		return
	}
	was := s.done
	s.sig, s.waiting, s.done, s.reportStop = 0, 0, false, false
	for _, x := range tg.threads() {
		x.stopPending = false
		x.stopped = false
		if x.trace.seized {
			// The end of the stop is a new trap: at once under PTRACE_LISTEN, else
			// when the tracer lets x go on or listens.
			x.trace.trapStop = true
			if x.trace.listening {
				x.trace.listening, x.trace.stopped = false, false
			}
			x.kick(workTrace)
		}
		x.kick(workSignal)
	}
	s.reportCont = was
	if was {
		// The parent is told by whoever runs first, outside sigMu.
		tg.contNotify.Store(true)
		go tg.notifyContinued()
	}
}

func (tg *ThreadGroup) notifyContinued() {
	if tg.contNotify.CompareAndSwap(true, false) {
		tg.notifyParentStop(signal.CLDContinued, sigCONT)
	}
}

// groupStop stops t until SIGCONT or death. sigMu is held and released.
func (t *Task) groupStop() {
	tg := t.tg
	s := &tg.stop
	t.stopPending = false
	t.stopped = true
	sig := s.sig
	last := false
	if s.waiting > 0 {
		s.waiting--
		if s.waiting == 0 && !s.done {
			s.done = true
			s.reportStop = true
			last = true
		}
	}
	tg.sigMu.Unlock()
	if last {
		tg.notifyParentStop(signal.CLDStopped, sig)
	}
	if t.traced.Load() {
		t.traceGroupStop(sig)
	}
	t.state.Store(stateStopped)
	t.cpu.pause(t.k)
	for {
		tg.sigMu.Lock()
		on := t.stopped && !t.killed
		retrap := t.retrap
		t.retrap = false
		tg.sigMu.Unlock()
		if !on {
			break
		}
		if retrap && t.traced.Load() {
			t.cpu.start(t.k)
			t.traceGroupStop(sig)
			t.cpu.pause(t.k)
			continue
		}
		<-t.wakeC
	}
	t.cpu.start(t.k)
	t.state.Store(stateRunning)
}
