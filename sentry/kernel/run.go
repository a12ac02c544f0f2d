package kernel

import (
	"fmt"
	"runtime/debug"
	_ "unsafe" // for linkname

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/wait"
)

// Bits of Task.work: reasons not to enter user code yet. Others set them; the
// task's goroutine clears them.
const (
	workSignal      = 1 << iota // signals, stops and death, under sigMu
	workPause                   // the sandbox is paused
	workRestoreMask             // put savedMask back if no handler runs
	workRestart                 // the last call returned a restart code
	workTrace                   // ptrace wants a stop (seize, interrupt, step)
)

// Bits of Task.sysWork: reasons to look closer at every system call.
const (
	sysTraceCalls = 1 << iota // ptrace stops at calls
	sysSeccomp
	sysTraceEmu // PTRACE_SYSEMU
	sysStep     // PTRACE_SINGLESTEP over a call
)

// monotonic is the host's CLOCK_MONOTONIC in nanoseconds.
//
//go:linkname monotonic runtime.nanotime
func monotonic() int64

// run is the life of a task's goroutine.
func (t *Task) run() {
	defer t.recover()
	t.cpu.start(t.k)
	for {
		if t.work.Load() != 0 {
			if !t.doWork() {
				t.exit()
				return
			}
		}
		t.inSwitch.Store(true)
		if t.work.Load() != 0 {
			t.inSwitch.Store(false)
			continue
		}
		ev := t.th.Switch(&t.regs)
		t.inSwitch.Store(false)
		switch ev.Kind {
		case platform.EventSyscall:
			t.doSyscall()
		case platform.EventInterrupted:
			t.entries.Add(1)
			t.regs.OrigRax = ^uint64(0)
		default:
			t.regs.OrigRax = ^uint64(0)
			t.doEvent(&ev)
		}
	}
}

// recover ends the sandbox when a task's goroutine panics; the last call is
// the best name for what broke.
func (t *Task) recover() {
	v := recover()
	if v == nil {
		return
	}
	nr, _ := t.Call()
	what := fmt.Sprintf("task %d (%s), call %d", t.ThreadID(), t.Name(), nr)
	if t.k.args.OnPanic == nil {
		klog.Errorf("sentry panic in %s: %v\n%s", what, v, debug.Stack())
	}
	t.k.Panic(what, v)
}

func (t *Task) doSyscall() {
	nr := t.regs.OrigRax
	args := t.regs.SyscallArgs()
	t.call.Store((t.call.Load()>>16+1)<<16 | nr&0xffff)
	t.regs.Rax = ^uint64(errno.ENOSYS) + 1
	if t.sysWork.Load() != 0 || t.k.trace.Load() {
		t.slowSyscall()
		return
	}
	ret, err := t.k.args.Dispatch(t, nr, args)
	if err != nil {
		ret = t.sysErr(err)
	}
	t.regs.Rax = ret
}

// Values of restart codes in rax, as a tracer sees them.
const (
	rERESTARTSYS      = 512
	rERESTARTNOINTR   = 513
	rERESTARTNOHAND   = 514
	rERESTARTRESTBLK  = 516
	sysRestartSyscall = 219
)

// sysErr turns a handler's error into the value of rax.
func (t *Task) sysErr(err error) uint64 {
	code := uint64(0)
	switch err {
	case errno.ERESTARTSYS:
		code = rERESTARTSYS
	case errno.ERESTARTNOINTR:
		code = rERESTARTNOINTR
	case errno.ERESTARTNOHAND:
		code = rERESTARTNOHAND
	case errno.ERESTARTBLOCK:
		code = rERESTARTRESTBLK
	default:
		e, ok := errno.Of(err)
		if !ok {
			klog.Errorf("call %d returned a strange error: %v", t.regs.OrigRax, err)
		}
		return ^uint64(e) + 1
	}
	t.setWork(workRestart)
	return ^code + 1
}

// slowSyscall is doSyscall with tracing and filters.
func (t *Task) slowSyscall() {
	w := t.sysWork.Load()
	if w&(sysTraceCalls|sysTraceEmu) != 0 {
		t.traceSyscallStop(true)
		if w&sysTraceEmu != 0 {
			t.traceStepSyscall()
			return
		}
		if t.work.Load()&workSignal != 0 && t.dying() {
			return
		}
	}
	// The tracer may have changed the call.
	nr := t.regs.OrigRax
	args := t.regs.SyscallArgs()
	if w&sysSeccomp != 0 {
		if !t.filterSyscall() {
			if t.sysWork.Load()&sysTraceCalls != 0 {
				t.traceSyscallStop(false)
			}
			return
		}
		nr, args = t.regs.OrigRax, t.regs.SyscallArgs()
	}
	if int32(nr) != -1 {
		log := t.k.trace.Load()
		if log {
			t.k.args.Tracer.Enter(t, nr, args)
		}
		ret, err := t.k.args.Dispatch(t, nr, args)
		if log {
			t.k.args.Tracer.Exit(t, nr, args, ret, err)
		}
		if err != nil {
			ret = t.sysErr(err)
		}
		t.regs.Rax = ret
	}
	if t.sysWork.Load()&sysTraceCalls != 0 {
		t.traceSyscallStop(false)
	}
	t.traceStepSyscall()
}

// doEvent handles everything but calls and interruptions.
func (t *Task) doEvent(ev *platform.Event) {
	switch ev.Kind {
	case platform.EventFault:
		t.cpu.minFlt.Add(1)
		err := t.space.HandleFault(t, ev.Addr, ev.Access)
		if err == nil {
			return
		}
		t.setFault(ev)
		info := signal.Info{Signo: int32(unix.SIGSEGV), Code: signal.SEGVMaperr}
		switch e := err.(type) {
		case *mm.FaultError:
			info.Signo, info.Code = e.Signo, e.Code
		default:
			if err == errno.ENOMEM {
				klog.Warningf("task %d (%s): out of memory at fault of %#x", t.ThreadID(), t.Name(), ev.Addr)
				t.tg.kill(int32(unix.SIGKILL))
				return
			}
		}
		info.SetAddr(ev.Addr)
		t.forceSignal(&info)
	case platform.EventSignal:
		t.setFault(ev)
		info := signal.Info{Signo: ev.Signo, Code: ev.Code}
		if info.Signo == int32(unix.SIGTRAP) {
			t.traceStepDone()
		}
		info.SetAddr(ev.Addr)
		t.forceSignal(&info)
	case platform.EventDied:
		if !t.k.killed.Load() && !t.dying() {
			klog.Warningf("task %d (%s): stub process died", t.ThreadID(), t.Name())
		}
		t.tg.kill(int32(unix.SIGKILL))
	}
}

func (t *Task) setFault(ev *platform.Event) {
	t.trapNo, t.errCode = ev.TrapNo, ev.ErrNo
	if ev.Kind == platform.EventFault {
		t.cr2 = ev.Addr
	}
}

// setWork sets bits of work without waking anybody (the owner itself).
func (t *Task) setWork(bits uint32) { t.work.Or(bits) }

// kick makes t look at its work soon, wherever it is. The caller holds sigMu or
// otherwise knows that t's thread is not being replaced.
func (t *Task) kick(bits uint32) {
	t.work.Or(bits)
	select {
	case t.wakeC <- struct{}{}:
	default:
	}
	if t.inSwitch.Load() {
		if th := t.thPtr.Load(); th != nil {
			(*th).Interrupt()
		}
	}
}

// doWork does what must be done before user code runs; false means that the
// task exits.
func (t *Task) doWork() bool {
	for {
		w := t.work.Load()
		if w == 0 {
			return true
		}
		if w&workPause != 0 {
			t.pausePoint()
			continue
		}
		if !t.handleSignals() {
			return false
		}
		if t.work.Load()&^(workPause) == 0 {
			continue
		}
	}
}

// dying says whether the task has been told to exit.
func (t *Task) dying() bool {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.killed
}

// waitQueueOn is a helper for loops that wait for a condition under a lock.
func (t *Task) waitOn(q *wait.Queue, done func() bool) error {
	if done() {
		return nil
	}
	e := wait.NewEntry(wait.All)
	q.Add(e)
	defer q.Remove(e)
	for !done() {
		if err := t.Block(e, noDeadline); err != nil {
			return err
		}
	}
	return nil
}
