package systrap

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/platform"
)

// interruptSignal makes user code trap. Handlers run with every signal blocked.
const interruptSignal = unix.SIGUSR1

// deafSeconds is how long an interrupt may take.
const deafSeconds = 10

// napNs is how long a wait holds on to its P. User code that traps often does
// so within this time; for the rest one more futex call is not much.
const napNs = 50e3

// channel is how the sentry reaches one stub thread: its pages and its socket.
type channel struct {
	sock  int
	index int
	mem   *[areaSize]byte
	a     *area
	cmd   *[slots]slot
	round uint32
}

// plainSlot is for batches without descriptors; the others take turns.
const plainSlot = slots - 1

// send writes a batch to the next slot and sends the message that names it.
// It is false if the stub did not receive the message before. That it did
// proves that it has left the batch before that one, so the slot is not in
// use, whatever acknowledgements were forged (two slots would do).
func (c *channel) send(ops []op, fds []int32) bool {
	if outQueue(c.sock) != 0 {
		return false
	}
	n := c.round % plainSlot
	c.round++
	c.fill(n, ops)
	return sendFDs(c.sock, 1+c.index*slots+int(n), fds) == nil
}

func (c *channel) fill(n uint32, ops []op) {
	sl := &c.cmd[n]
	copy(sl.ops[:], ops)
	sl.count = uint64(len(ops))
}

// hungUp says whether the stub's end of the socket is closed.
func (c *channel) hungUp() bool {
	var b [1]byte
	n, _, err := unix.Recvfrom(c.sock, b[:], unix.MSG_DONTWAIT)
	return n == 0 && err == nil || err == unix.ECONNRESET
}

// awaitEnd waits until the stub's end of the socket is closed, not for long.
func (c *channel) awaitEnd() bool {
	f, ts := unix.PollFd{Fd: int32(c.sock)}, unix.Timespec{Nsec: 50e6}
	pollBlock(&f, &ts)
	return f.Revents&unix.POLLHUP != 0
}

func (c *channel) drop() {
	if c.mem == nil {
		return
	}
	unix.Close(c.sock)
	unmapArea(c.mem, c.cmd)
	c.mem, c.a, c.cmd = nil, nil, nil
}

// Thread implements platform.Thread.
type Thread struct {
	channel
	s *Space

	booted bool
	used   bool  // user code ran
	tid    int32 // as the stub says; only good for tgkill within its process

	// fast says that the stub waits in a patched call, not in a handler.
	fast bool
	// memo is the last answer of patchTable.resume.
	memo struct {
		tab      *patchTable
		rip, dst uint64
	}
	hits hitCounter

	// intr is a wanted interrupt, inUser that Switch is about to enter.
	intr, inUser atomic.Bool

	spinner spinner
	active  bool // counted in Platform.active
}

// boot waits for the first trap of a new thread.
func (t *Thread) boot() bool {
	if t.booted {
		return true
	}
	t.await(true)
	if t.s.dead.Load() {
		return false
	}
	if unix.Signal(t.a.sig) != unix.SIGSYS {
		t.s.kill("thread did not start")
		return false
	}
	t.tid = t.a.tid
	t.booted = true
	if t.s.p.xstate.Load() == nil {
		t.s.p.xstate.Store(learnXState(t.mem[:], t.a.fp))
	}
	return true
}

// handOver lets the stub go on and waits until it comes back.
func (t *Thread) handOver(cmd uint32) {
	a := t.a
	a.cmd = cmd
	slept := a.stubSleep.Load() != 0
	a.spin = t.spinner.stub(t.s.p, slept)
	a.sentryCPU = currentCPU()
	a.turn.Store(turnStub)
	woke := a.stubSleep.Load() != 0
	if woke {
		futexWake(&a.turn)
	}
	t.await(woke)
}

// await returns when it is the sentry's turn or the space died.
func (t *Thread) await(woke bool) {
	a := t.a
	if t.spinner.spin(t.s.p, &a.turn, woke) {
		return
	}
	napped := false
	for deaf := 0; ; {
		a.sentrySleep.Store(1)
		if a.turn.Load() != turnStub || t.s.dead.Load() {
			break
		}
		if !napped {
			napped = true
			futexNap(&a.turn, turnStub, &unix.Timespec{Nsec: napNs})
			continue
		}
		timedOut := futexBlock(&a.turn, turnStub, &unix.Timespec{Sec: 1})
		if a.turn.Load() != turnStub || t.s.dead.Load() {
			break
		}
		// User code can make its thread miss the signal (by changing the mask
		// in its signal frame, say). It must not become immortal by that.
		if timedOut && t.intr.Load() {
			if deaf++; deaf == deafSeconds {
				t.s.kill("thread does not react to an interrupt")
				break
			}
			t.signal()
		}
	}
	a.sentrySleep.Store(0)
}

// flush runs the space's queue on t. With last it leaves the last batch to the
// caller, who hands it over with the bits returned.
func (t *Thread) flush(last bool) (cmd uint32, ok bool) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settleLocked(t) {
		return 0, false
	}
	for len(s.mu.queue) > 0 {
		var ops [slotOps]op
		var fds [maxFDs]int32
		n, nfds := s.batchLocked(&ops, &fds)
		if nfds == 0 {
			t.fill(plainSlot, ops[:n])
			t.a.slot = uint32(t.index*slots + plainSlot)
			cmd = cmdPlain
		} else {
			if !t.send(ops[:n], fds[:nfds]) {
				s.kill("thread does not receive")
				return 0, false
			}
			cmd = cmdGate
		}
		if last && len(s.mu.queue) == 0 {
			s.mu.flying, s.mu.flyingAck = t, t.a.ack.Load()
			return cmd, true
		}
		t.handOver(cmd)
		if cmd&cmdGate != 0 {
			t.fast = false
		}
		if s.dead.Load() {
			return 0, false
		}
	}
	s.pending.Store(false)
	return 0, t.batchWorked()
}

// batchWorked checks the error of the batches so far. The stub is the guest's
// to corrupt, so an error is not trusted, but it ends the process either way.
func (t *Thread) batchWorked() bool {
	if e := t.a.err; e != 0 {
		klog.Warningf("systrap: mapping in process %d: error %d", t.s.proc.pid, -e)
		t.s.kill("mapping failed")
		return false
	}
	return true
}

// deepen makes a stub that waits in a patched call take a real trap, so that
// there is a frame with its floating-point state.
func (t *Thread) deepen() bool {
	if !t.fast {
		return true
	}
	t.handOver(cmdDeep)
	t.fast = false
	return !t.s.dead.Load()
}

// Switch implements platform.Thread.
func (t *Thread) Switch(regs *arch.Regs) platform.Event {
	if !t.boot() {
		return platform.Event{Kind: platform.EventDied}
	}
	for {
		ev, done := t.enter(regs)
		if done {
			return ev
		}
	}
}

// enter runs user code until one trap. It is not done if the trap was the
// business of patching alone.
func (t *Thread) enter(regs *arch.Regs) (platform.Event, bool) {
	died := platform.Event{Kind: platform.EventDied}
	s := t.s
	t.used = true
	t.activate()
	t.inUser.Store(true)
	for s.patching.Load() {
		t.inUser.Store(false)
		s.patchMu.Lock()
		s.patchMu.Unlock() //nolint:staticcheck // waits until the text is changed
		t.inUser.Store(true)
	}
	if t.intr.Load() {
		t.intr.Store(false)
		t.inUser.Store(false)
		return platform.Event{Kind: platform.EventInterrupted}, true
	}
	cmd := uint32(cmdResume)
	flew := false
	if s.pending.Load() {
		more, ok := t.flush(true)
		if !ok {
			t.inUser.Store(false)
			return died, true
		}
		cmd |= more
		flew = more != 0
	}
	a := t.a
	flags := regs.Eflags&arch.UserEflagsMask | 0x202
	a.regs = *regs
	a.regs.Eflags = flags
	a.regs.FsBase = canonical(regs.FsBase)
	a.regs.GsBase = canonical(regs.GsBase)
	if t.fast && (regs.Rcx != regs.Rip || regs.R11 != flags || regs.GsBase != 0 || flags&flagTF != 0) {
		// A patched call returns like a system call; this needs more.
		cmd |= cmdDeep
	}
	if tab := s.patches.Load(); tab != nil {
		if tab.seconds > 0 {
			a.regs.Rip = t.resumeAt(tab, regs.Rip)
		}
		if regs.GsBase != 0 && !tab.slow {
			s.slowPatches()
		}
	}
	t.handOver(cmd)
	t.inUser.Store(false)
	if s.dead.Load() {
		return died, true
	}
	if flew {
		t.landed()
		if !t.batchWorked() {
			return died, true
		}
	}
	sig := a.sig
	t.fast = sig == sigFast || sig == sigFastInt
	*regs = a.regs
	regs.Cs, regs.Ss = arch.UserCS, arch.UserSS
	regs.Ds, regs.Es, regs.Fs, regs.Gs = 0, 0, 0, 0
	regs.Eflags = regs.Eflags&arch.UserEflagsMask | 0x202
	regs.FsBase = canonical(regs.FsBase)
	regs.GsBase = canonical(regs.GsBase)
	regs.OrigRax = ^uint64(0)
	switch sig {
	case sigFastInt:
		t.intr.Store(false)
		return platform.Event{Kind: platform.EventInterrupted}, true
	case sigFast:
		regs.OrigRax = regs.Rax
		regs.Rax = negENOSYS
		return platform.Event{Kind: platform.EventSyscall}, true
	}
	return t.event(regs, sig)
}

const flagTF = 0x100

// landed notes that the batch t was resumed with is done.
func (t *Thread) landed() {
	s := t.s
	s.mu.Lock()
	if s.mu.flying == t {
		s.mu.flying = nil
		s.pending.Store(len(s.mu.queue) > 0)
	}
	s.mu.Unlock()
}

// event makes an Event of what the stub published.
func (t *Thread) event(regs *arch.Regs, sig int32) (platform.Event, bool) {
	a := t.a
	ev := platform.Event{Signo: sig, Code: a.code, Addr: a.addr, TrapNo: a.trapNo & 0xff, ErrNo: a.errCode & 0xffffffff}
	tab := t.s.patches.Load()
	if tab != nil {
		ev.Signo = tab.hide(regs, sig)
	}
	switch unix.Signal(ev.Signo) {
	case unix.SIGSYS:
		if sig == ev.Signo && a.arch != unix.AUDIT_ARCH_X86_64 {
			// int $0x80: what a kernel without 32-bit support does.
			regs.Rip -= 2
			return platform.Event{Kind: platform.EventSignal, Signo: int32(unix.SIGSEGV), Code: siKernel,
				TrapNo: 13, ErrNo: 0x80*8 + 2, Addr: regs.Rip}, true
		}
		regs.OrigRax = regs.Rax
		regs.Rax = negENOSYS
		if t.hits.add(regs.Rip) {
			t.s.patch(t, regs.Rip, regs.OrigRax)
		}
		return platform.Event{Kind: platform.EventSyscall}, true
	case interruptSignal:
		t.intr.Store(false)
		return platform.Event{Kind: platform.EventInterrupted}, true
	case unix.SIGSEGV:
		ev.Kind = platform.EventSignal
		if ev.Code == segvMapErr || ev.Code == segvAccErr {
			ev.Kind = platform.EventFault
			if tab != nil && ev.Addr-tableAddr < pageSize && ev.Code == segvMapErr {
				// The guest (or an exec) unmapped what patched code reads.
				t.s.mapTable()
				return ev, false
			}
		}
	case unix.SIGBUS:
		ev.Kind = platform.EventSignal
		if ev.Code == busAdrErr {
			ev.Kind = platform.EventFault
		}
	case unix.SIGILL, unix.SIGFPE, unix.SIGTRAP:
		ev.Kind = platform.EventSignal
	default:
		t.s.kill("unknown signal reported")
		return platform.Event{Kind: platform.EventDied}, true
	}
	if ev.Kind == platform.EventSignal {
		ev.Addr = regs.Rip
		return ev, true
	}
	// Page-fault error code: bit 1 write, bit 4 instruction fetch.
	switch {
	case ev.ErrNo&16 != 0:
		ev.Access = platform.Exec
	case ev.ErrNo&2 != 0:
		ev.Access = platform.Write
	default:
		ev.Access = platform.Read
	}
	return ev, true
}

const (
	siKernel   = 0x80
	segvMapErr = 1
	segvAccErr = 2
	busAdrErr  = 2
	negENOSYS  = ^uint64(0) - uint64(unix.ENOSYS) + 1
)

// canonical returns v, or 0 if it is no address of user space.
func canonical(v uint64) uint64 {
	if v>>47 != 0 {
		return 0
	}
	return v
}

// Interrupt implements platform.Thread.
func (t *Thread) Interrupt() {
	t.intr.Store(true)
	if t.inUser.Load() {
		t.signal()
	}
}

// Park implements platform.Parker.
func (t *Thread) Park() {
	if t.a == nil {
		return
	}
	// Not stored blindly: the stub must never see its turn taken away.
	t.a.turn.CompareAndSwap(turnSentry, turnPark)
	t.spinner.parked = true
	t.deactivate()
}

func (t *Thread) signal() {
	_ = unix.Tgkill(t.s.proc.pid, int(t.tid), interruptSignal)
}

// Release implements platform.Thread.
func (t *Thread) Release() {
	s := t.s
	t.landed() // its pages may go
	t.deactivate()
	th := &s.threads
	th.Lock()
	defer th.Unlock()
	if s.dead.Load() || !t.booted {
		delete(th.live, t)
		if t.mem != nil {
			t.drop()
		}
		return
	}
	if len(th.idle) < maxIdle {
		th.idle = append(th.idle, t)
		return
	}
	t.exit()
	th.leaving = append(th.leaving, t)
}

// exit tells the stub's thread to end.
func (t *Thread) exit() {
	t.a.cmd = cmdExit
	t.a.turn.Store(turnStub)
	if t.a.stubSleep.Load() != 0 {
		futexWake(&t.a.turn)
	}
}
