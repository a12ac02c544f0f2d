package kernel

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/wait"
)

// Events and options that x/sys may not name.
const (
	ptraceEventStop = 128
	flagTF          = 0x100
	sigTRAP         = int32(unix.SIGTRAP)
	resumeStep      = 1 << 0
	resumeCall      = 1 << 1
	resumeEmu       = 1 << 2
	stopNone        = 0
	StopEntry       = 1 // PTRACE_SYSCALL_INFO_ENTRY
	StopExit        = 2
	StopSeccomp     = 3
)

// traceState is the tracee's side of ptrace(2). tracer, seized and options are
// under TaskSet.mu, seized is written under the tracee's sigMu, too; the rest is under the tracee's sigMu. While stopped the
// tracer may use the tracee's registers and its platform thread.
type traceState struct {
	tracer  *Task
	seized  bool
	options uint32

	stopped   bool
	waitable  bool
	code      int32 // what wait(2) shows: signal | event << 8
	info      *signal.Info
	msg       uint64
	resumeSig int32
	mode      int
	kind      int // StopEntry, ...
	seccomp   uint64
	trapStop  bool // a stop without a signal is wanted (INTERRUPT, new child, group stop change)
	listening bool
	inExit    bool
}

// stopTraced stops t for its tracer until the tracer resumes it or it dies; it
// says whether a tracer was there. info is nil for stops without a siginfo.
func (t *Task) stopTraced(code int32, info *signal.Info, msg uint64, kind int) bool {
	k, tg := t.k, t.tg
	k.ts.mu.RLock()
	tracer := t.trace.tracer
	if tracer == nil {
		k.ts.mu.RUnlock()
		return false
	}
	tg.sigMu.Lock()
	tr := &t.trace
	if t.killed && !tr.inExit {
		tg.sigMu.Unlock()
		k.ts.mu.RUnlock()
		return false
	}
	tr.stopped, tr.waitable, tr.code, tr.info, tr.msg, tr.kind = true, true, code, info, msg, kind
	tr.resumeSig, tr.listening = 0, false
	t.state.Store(stateTraced)
	tg.sigMu.Unlock()
	t.tellTracerLocked(tracer, code)
	k.ts.mu.RUnlock()
	tracer.tg.childQ.Notify(wait.All)

	t.cpu.pause(k)
	for {
		tg.sigMu.Lock()
		on := tr.stopped && (!t.killed || tr.inExit && !tg.killedHard)
		if !on {
			tr.stopped, tr.waitable = false, false
			tg.sigMu.Unlock()
			break
		}
		tg.sigMu.Unlock()
		<-t.wakeC
	}
	t.cpu.start(k)
	t.state.Store(stateRunning)
	return true
}

// tellTracerLocked sends SIGCHLD for a stop. TaskSet.mu is held for reading.
func (t *Task) tellTracerLocked(tracer *Task, code int32) {
	info := &signal.Info{Signo: sigCHLD, Code: signal.CLDTrapped}
	info.SetPID(t.pid.Load().In(tracer.pid.Load().ns))
	info.SetUID(tracer.UserNS().UID(t.Creds().RUID))
	info.SetStatus(code & 0x7f)
	act := tracer.tg.handlersPtr().get(sigCHLD)
	if act.Handler != signal.Ignore && act.Flags&signal.SANoCldStop == 0 {
		tracer.tg.SendSignal(info)
	}
}

func trapInfo(code int32) *signal.Info { return &signal.Info{Signo: sigTRAP, Code: code} }

// options of the tracer, 0 if there is none.
func (t *Task) traceOptions() (opts uint32, seized bool) {
	if !t.traced.Load() {
		return 0, false
	}
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	return t.trace.options, t.trace.seized
}

// traceSyscallStop stops at the entry or exit of a call.
func (t *Task) traceSyscallStop(entry bool) {
	opts, _ := t.traceOptions()
	code := sigTRAP
	if opts&unix.PTRACE_O_TRACESYSGOOD != 0 {
		code |= 0x80
	}
	info := trapInfo(code)
	kind := StopExit
	if entry {
		kind = StopEntry
	}
	info.SetPID(t.TID())
	info.SetUID(t.UserNS().UID(t.Creds().RUID))
	t.stopTraced(code, info, 0, kind)
	t.injectResume()
}

// injectResume sends the signal a tracer resumed with from a stop that is no
// signal-delivery stop.
func (t *Task) injectResume() {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	if sig := t.trace.resumeSig; sig != 0 {
		t.trace.resumeSig = 0
		t.tg.sendLocked(t, &signal.Info{Signo: sig, Code: signal.SIUser}, false, sendOpts{})
	}
}

// traceSeccomp is SECCOMP_RET_TRACE; false if nobody traces it.
func (t *Task) traceSeccomp(data uint64) bool {
	opts, _ := t.traceOptions()
	if opts&unix.PTRACE_O_TRACESECCOMP == 0 {
		return false
	}
	t.trace.seccomp = data
	return t.stopTraced(sigTRAP|unix.PTRACE_EVENT_SECCOMP<<8, trapInfo(sigTRAP|unix.PTRACE_EVENT_SECCOMP<<8), data, StopSeccomp)
}

// traceStepDone is told of a hardware trap: the step flag was ours.
func (t *Task) traceStepDone() {
	if t.trace.mode&resumeStep != 0 {
		t.clearStep()
	}
}

func (t *Task) clearStep() {
	t.trace.mode &^= resumeStep
	t.regs.Eflags &^= flagTF
}

// traceStepHandler reports the entry to a handler as a step.
func (t *Task) traceStepHandler() {
	t.clearStep()
	t.forceSignal(trapInfo(signal.TrapBrkpt))
}

// traceStepSyscall reports a stepped system call.
func (t *Task) traceStepSyscall() {
	if t.trace.mode&resumeStep != 0 && t.traced.Load() {
		t.clearStep()
		t.forceSignal(trapInfo(signal.TrapBrkpt))
	}
}

// traceTrap makes the stop that PTRACE_INTERRUPT, a new seized child or a
// change of a group stop asked for.
func (t *Task) traceTrap() {
	tg := t.tg
	tg.sigMu.Lock()
	want := t.trace.trapStop
	t.trace.trapStop = false
	sig := sigTRAP
	if s := &tg.stop; s.sig != 0 && s.done {
		sig = s.sig
	}
	tg.sigMu.Unlock()
	if !want {
		return
	}
	code := sig | ptraceEventStop<<8
	if t.stopTraced(code, trapInfo(code), 0, stopNone) {
		t.injectResume()
	}
}

// traceSignal is the signal-delivery stop; false drops the signal.
func (t *Task) traceSignal(info *signal.Info) bool {
	i := *info
	if !t.stopTraced(info.Signo, &i, 0, stopNone) {
		return true
	}
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	sig := t.trace.resumeSig
	t.trace.resumeSig = 0
	if sig == 0 {
		return false
	}
	*info = i // the tracer may have changed it (PTRACE_SETSIGINFO)
	if sig != info.Signo {
		*info = signal.Info{Signo: sig, Code: signal.SIUser}
	}
	return true
}

// traceGroupStop is the stop a tracer sees instead of a group stop.
func (t *Task) traceGroupStop(sig int32) {
	_, seized := t.traceOptions()
	code := sig
	var info *signal.Info
	if seized {
		// SIGCONT may have come since: then there is no stop to report, but its end.
		t.tg.sigMu.Lock()
		if t.tg.stop.sig == 0 {
			code, t.trace.trapStop = sigTRAP, false
		}
		t.tg.sigMu.Unlock()
		code |= ptraceEventStop << 8
		info = trapInfo(code)
	}
	if t.stopTraced(code, info, 0, stopNone) {
		t.tg.sigMu.Lock()
		t.stopped = false
		t.tg.sigMu.Unlock()
		t.injectResume()
	}
}

// cloneEvent is the event a clone reports, 0 if the tracer does not want it.
func (t *Task) cloneEvent(a *CloneArgs) int {
	opts, _ := t.traceOptions()
	if opts == 0 || a.Flags&unix.CLONE_UNTRACED != 0 {
		return 0
	}
	ev := unix.PTRACE_EVENT_FORK
	switch {
	case a.Flags&unix.CLONE_VFORK != 0:
		ev = unix.PTRACE_EVENT_VFORK
	case a.ExitSignal != sigCHLD || a.Flags&unix.CLONE_THREAD != 0:
		ev = unix.PTRACE_EVENT_CLONE
	}
	if opts>>ev&1 == 0 {
		return 0
	}
	return ev
}

// traceClone makes the parent's tracer the child's, too.
func (t *Task) traceClone(c *Task, a *CloneArgs, event int) {
	if event == 0 && (a.Flags&unix.CLONE_PTRACE == 0 || !t.traced.Load()) {
		return
	}
	k := t.k
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	tr := t.trace.tracer
	if tr == nil {
		return
	}
	k.attachTracerLocked(c, tr, t.trace.seized, t.trace.options)
	c.tg.sigMu.Lock()
	defer c.tg.sigMu.Unlock()
	if t.trace.seized {
		c.trace.trapStop = true
		c.setWork(workTrace)
		return
	}
	c.pending.Add(&signal.Entry{Info: signal.Info{Signo: sigSTOP, Code: signal.SIUser}})
	c.setWork(workSignal)
}

// traceEvent makes an event stop.
func (t *Task) traceEvent(event int, msg uint64) {
	code := sigTRAP | int32(event)<<8
	t.stopTraced(code, trapInfo(code), msg, stopNone)
	t.injectResume()
}

// traceEventIf makes an event stop if the tracer asked for it.
func (t *Task) traceEventIf(event int, msg uint64) {
	if opts, _ := t.traceOptions(); opts>>event&1 != 0 {
		t.traceEvent(event, msg)
	}
}

// traceExec reports a successful execve(2).
func (t *Task) traceExec(oldTID int32) {
	if !t.traced.Load() {
		return
	}
	t.clearStep()
	opts, seized := t.traceOptions()
	if opts>>unix.PTRACE_EVENT_EXEC&1 != 0 {
		t.traceEvent(unix.PTRACE_EVENT_EXEC, uint64(oldTID))
	} else if !seized {
		info := &signal.Info{Signo: sigTRAP, Code: signal.SIUser}
		info.SetPID(t.TID())
		t.SendSignal(info)
	}
}

// traceExitStop is PTRACE_EVENT_EXIT.
func (t *Task) traceExitStop(status uint32) {
	opts, _ := t.traceOptions()
	if opts>>unix.PTRACE_EVENT_EXIT&1 == 0 {
		return
	}
	t.tg.sigMu.Lock()
	t.trace.inExit = true
	t.tg.sigMu.Unlock()
	t.stopTraced(sigTRAP|unix.PTRACE_EVENT_EXIT<<8, trapInfo(sigTRAP|unix.PTRACE_EVENT_EXIT<<8), uint64(status), stopNone)
}

// tracerCapable says whether the tracer may see t gain privilege.
func (t *Task) tracerCapable() bool {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	tr := t.trace.tracer
	return tr != nil && tr.Creds().HasCap(19, t.UserNS()) // CAP_SYS_PTRACE
}

func (k *Kernel) attachTracerLocked(t, tracer *Task, seized bool, options uint32) {
	t.tg.sigMu.Lock()
	t.trace.tracer, t.trace.seized, t.trace.options = tracer, seized, options
	t.tg.sigMu.Unlock()
	t.traced.Store(true)
	tracer.tg.tracees = append(tracer.tg.tracees, t)
}

// untraceLocked ends the tracing of t. TaskSet.mu is held for writing.
func (k *Kernel) untraceLocked(t *Task) {
	tr := t.trace.tracer
	if tr == nil {
		return
	}
	l := tr.tg.tracees
	for i, x := range l {
		if x == t {
			tr.tg.tracees = append(l[:i:i], l[i+1:]...)
			break
		}
	}
	t.tg.sigMu.Lock()
	t.trace.tracer, t.trace.options, t.trace.seized = nil, 0, false
	t.tg.sigMu.Unlock()
	t.traced.Store(false)
	t.sysWork.And(^uint32(sysTraceCalls | sysTraceEmu | sysStep))
}

// detachTracerLocked frees the tracees of a task that exits.
func (k *Kernel) detachTracerLocked(t *Task, after *afterUnlock) {
	for _, x := range append([]*Task(nil), t.tg.tracees...) {
		if x.trace.tracer != t {
			continue
		}
		kill := x.trace.options&unix.PTRACE_O_EXITKILL != 0
		k.untraceLocked(x)
		if x.exitState != exitNone {
			k.releaseTraceeLocked(x, after)
			continue
		}
		x.tg.sigMu.Lock()
		if kill {
			x.tg.groupExitLocked(uint32(sigKILL))
		}
		x.resumeLocked(0, 0)
		x.tg.sigMu.Unlock()
	}
}

// releaseTraceeLocked gives a dead tracee back to whoever waits for it now.
func (k *Kernel) releaseTraceeLocked(x *Task, after *afterUnlock) {
	if x != x.tg.leader {
		k.forgetTaskLocked(x)
		return
	}
	if x.tg.live == 0 {
		k.notifyParentLocked(x.tg, after)
	}
}

// resumeLocked lets a stopped tracee go on. sigMu of t is held.
func (t *Task) resumeLocked(sig int32, mode int) {
	tr := &t.trace
	tr.resumeSig, tr.mode = sig, mode
	tr.stopped, tr.waitable, tr.listening = false, false, false
	set := uint32(0)
	if mode&resumeCall != 0 {
		set |= sysTraceCalls
	}
	if mode&resumeEmu != 0 {
		set |= sysTraceEmu
	}
	if mode&resumeStep != 0 {
		set |= sysStep
		t.regs.Eflags |= flagTF
	} else if t.sysWork.Load()&sysStep != 0 {
		t.regs.Eflags &^= flagTF
	}
	t.sysWork.And(^uint32(sysTraceCalls | sysTraceEmu | sysStep))
	t.sysWork.Or(set)
	t.kick(0)
}

// notifyTracerExitLocked tells the tracer of a dead tracee.
func (k *Kernel) notifyTracerExitLocked(t *Task, after *afterUnlock) {
	tracer := t.trace.tracer
	if tracer == nil {
		return
	}
	if t == t.tg.leader && t.tg.live > 0 {
		return // reported when the whole process is dead
	}
	info := t.tg.childInfoLocked(t, tracer.tg, sigCHLD)
	after.add(func() {
		tracer.tg.SendSignal(info)
		tracer.tg.childQ.Notify(wait.All)
	})
}

// reportTraceeLocked fills r if tracee x has something for its tracer.
func (t *Task) reportTraceeLocked(x *Task, a *WaitArgs, r *WaitResult, after *afterUnlock) bool {
	k := t.k
	if x.exitState != exitNone {
		leader := x == x.tg.leader
		if a.Options&unix.WEXITED == 0 || leader && x.tg.live > 0 {
			return false
		}
		if leader && x.tg.parent == t.tg {
			return false // an ordinary child: reported as such
		}
		t.fillLocked(x, r)
		r.Status = x.exitStatus
		if leader {
			r.Status = x.tg.exitStatus
		}
		r.Code, r.SiStatus = exitCode(r.Status)
		r.Resources = x.Resources()
		if a.Options&unix.WNOWAIT == 0 {
			k.untraceLocked(x)
			k.releaseTraceeLocked(x, after)
		}
		return true
	}
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	tr := &x.trace
	if !tr.stopped || !tr.waitable {
		return false
	}
	t.fillLocked(x, r)
	r.Status = uint32(tr.code)<<8 | 0x7f
	r.Code, r.SiStatus = signal.CLDTrapped, tr.code
	r.Resources = x.Resources()
	if a.Options&unix.WNOWAIT == 0 {
		tr.waitable = false
	}
	return true
}

// TraceMe is PTRACE_TRACEME.
func (t *Task) TraceMe() error {
	k := t.k
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	if t.trace.tracer != nil || t.tg.parentTask == nil {
		return errno.EPERM
	}
	k.attachTracerLocked(t, t.tg.parentTask, false, 0)
	return nil
}

// Attach is PTRACE_ATTACH and PTRACE_SEIZE.
func (t *Task) Attach(x *Task, seize bool, options uint32) error {
	if x.tg == t.tg {
		return errno.EPERM
	}
	if err := t.MayTrace(x, true); err != nil {
		return err
	}
	k := t.k
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	if x.trace.tracer != nil || x.exitState != exitNone {
		return errno.EPERM
	}
	k.attachTracerLocked(x, t, seize, options)
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	if !seize {
		x.tg.sendLocked(x, &signal.Info{Signo: sigSTOP, Code: signal.SIUser}, false, sendOpts{fromParentNS: true, force: true})
	}
	if x.stopped {
		// Its group stop becomes one for the tracer.
		x.retrap = true
		x.kick(0)
	}
	return nil
}

// Tracee finds x stopped for t, or ESRCH; with any also running ones.
func (t *Task) Tracee(x *Task, any bool) error {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	if x.trace.tracer != t {
		return errno.ESRCH
	}
	if any {
		return nil
	}
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	if !x.trace.stopped || x.trace.listening || x.killed && !x.trace.inExit {
		return errno.ESRCH
	}
	return nil
}

// Kinds of resuming.
const (
	ResumeCont = iota
	ResumeSyscall
	ResumeStep
	ResumeEmu
	ResumeEmuStep
)

// Resume lets tracee x go on with sig.
func (t *Task) Resume(x *Task, how int, sig int32) error {
	if sig < 0 || sig > signal.Max {
		return errno.EIO
	}
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	x.resumeLocked(sig, [...]int{0, resumeCall, resumeStep, resumeEmu, resumeEmu | resumeStep}[how])
	return nil
}

// Detach is PTRACE_DETACH.
func (t *Task) Detach(x *Task, sig int32) error {
	if sig < 0 || sig > signal.Max {
		return errno.EIO
	}
	k := t.k
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	k.untraceLocked(x)
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	if x.tg.stop.sig != 0 {
		x.stopPending = true
		x.tg.stop.waiting++
	}
	x.resumeLocked(sig, 0)
	x.regs.Eflags &^= flagTF
	return nil
}

// Interrupt is PTRACE_INTERRUPT.
func (t *Task) InterruptTracee(x *Task) error {
	k := t.k
	k.ts.mu.RLock()
	defer k.ts.mu.RUnlock()
	if !x.trace.seized {
		return errno.EIO
	}
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	x.trace.trapStop = true
	x.kick(workTrace)
	return nil
}

// Listen is PTRACE_LISTEN.
func (t *Task) Listen(x *Task) error {
	k := t.k
	k.ts.mu.RLock()
	defer k.ts.mu.RUnlock()
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	if !x.trace.seized || x.trace.code>>8 != ptraceEventStop {
		return errno.EIO
	}
	if x.trace.trapStop {
		x.trace.stopped, x.trace.waitable = false, false
		x.kick(workTrace)
		return nil
	}
	x.trace.listening = true
	return nil
}

// SetTraceOptions is PTRACE_SETOPTIONS.
func (t *Task) SetTraceOptions(x *Task, options uint32) {
	t.k.ts.mu.Lock()
	defer t.k.ts.mu.Unlock()
	x.trace.options = options
}

// TraceStop describes the stop x is in: its siginfo (nil if it has none), the
// event message and the kind for PTRACE_GET_SYSCALL_INFO.
func (x *Task) TraceStop() (info *signal.Info, msg uint64, kind int, seccomp uint64) {
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	tr := &x.trace
	return tr.info, tr.msg, tr.kind, tr.seccomp
}

// SetTraceInfo is PTRACE_SETSIGINFO.
func (x *Task) SetTraceInfo(i *signal.Info) error {
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	if x.trace.info == nil {
		return errno.EINVAL
	}
	*x.trace.info = *i
	return nil
}

// PeekSignals is PTRACE_PEEKSIGINFO.
func (x *Task) PeekSignals(shared bool, off uint64, n int) []signal.Info {
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	q := &x.pending
	if shared {
		q = &x.tg.pending
	}
	var l []signal.Info
	i := uint64(0)
	q.Each(func(s *signal.Info) bool {
		if i >= off && len(l) < n {
			l = append(l, *s)
		}
		i++
		return len(l) < n
	})
	return l
}

// TraceMask is PTRACE_GETSIGMASK and PTRACE_SETSIGMASK of a stopped tracee.
func (x *Task) TraceMask(set *signal.Set) signal.Set {
	x.tg.sigMu.Lock()
	defer x.tg.sigMu.Unlock()
	old := x.mask
	if x.work.Load()&workRestoreMask != 0 {
		old = x.savedMask
	}
	if set != nil {
		x.mask = *set &^ signal.Unblockable
		if x.work.Load()&workRestoreMask != 0 {
			x.savedMask = x.mask
		}
		x.setWork(workSignal)
	}
	return old
}

// FPState and SetFPState are the floating-point state of a stopped tracee.
func (x *Task) FPState() []byte { return x.th.FPState() }

// SetFPState replaces it.
func (x *Task) SetFPState(b []byte) error { return x.th.SetFPState(b) }
