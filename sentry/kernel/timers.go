package kernel

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/signal"
)

// Realtime is CLOCK_REALTIME in nanoseconds.
func (k *Kernel) Realtime() int64 { return time.Now().UnixNano() }

// Monotonic is CLOCK_MONOTONIC of the root time namespace in nanoseconds.
func (k *Kernel) Monotonic() int64 { return monotonic() }

// Boottime is CLOCK_BOOTTIME of the root time namespace.
func (k *Kernel) Boottime() int64 { return monotonic() + k.bootOffset }

func bootOffset() int64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return ts.Nano() - monotonic()
}

// MonotonicDeadline turns a time of t's CLOCK_MONOTONIC into a deadline.
func (t *Task) MonotonicDeadline(ns int64) time.Time {
	if n := t.TimeNS(); n != nil {
		ns -= n.MonotonicNs.Load()
	}
	return deadlineIn(ns - monotonic())
}

// deadlineIn is the time d nanoseconds from now, bounded.
func deadlineIn(d int64) time.Time {
	const far = 1 << 61
	if d > far {
		d = far
	}
	if d < -far {
		d = -far
	}
	return time.Now().Add(time.Duration(d))
}

// Clock reads a clock of clock_gettime(2) as t sees it; EINVAL for others.
func (t *Task) Clock(id int32) (int64, error) {
	switch id {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_REALTIME_ALARM:
		return t.k.Realtime(), nil
	case unix.CLOCK_TAI:
		return t.k.Realtime(), nil
	case unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_COARSE, unix.CLOCK_MONOTONIC_RAW:
		ns := monotonic()
		if n := t.TimeNS(); n != nil {
			ns += n.MonotonicNs.Load()
		}
		return ns, nil
	case unix.CLOCK_BOOTTIME, unix.CLOCK_BOOTTIME_ALARM:
		ns := t.k.Boottime()
		if n := t.TimeNS(); n != nil {
			ns += n.BoottimeNs.Load()
		}
		return ns, nil
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		return t.tg.CPUTime(), nil
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return t.CPUTime(), nil
	}
	if id < 0 {
		fn, err := t.cpuClock(id)
		if err != nil {
			return 0, err
		}
		return fn(), nil
	}
	return 0, errno.EINVAL
}

// cpuClock resolves a dynamic clock id (clock_getcpuclockid(3)).
func (t *Task) cpuClock(id int32) (func() int64, error) {
	if id&3 == 3 { // CLOCKFD
		return nil, errno.EINVAL
	}
	pid := ^(id >> 3)
	if id&4 != 0 {
		x := t
		if pid != 0 {
			x = t.PIDNamespace().Task(pid)
		}
		if x == nil || x.tg != t.tg {
			return nil, errno.EINVAL
		}
		return x.CPUTime, nil
	}
	tg := t.tg
	if pid != 0 {
		tg = t.PIDNamespace().ThreadGroup(pid)
	}
	if tg == nil {
		return nil, errno.EINVAL
	}
	return tg.CPUTime, nil
}

// timerSet has the timers of a process. Everything in it is under sigMu.
type timerSet struct {
	cpuArmed atomic.Bool // a CPU timer or limit is to be checked at ticks

	real       itimer // in monotonic time
	virt, prof itimer // in CPU time
	posix      map[int32]*PosixTimer
	nextID     int32
	xcpuAt     uint64 // seconds of CPU time at which the next SIGXCPU is due
}

// itimer is one interval timer: due at, then every, interval; 0 is off.
type itimer struct {
	due, interval int64
	timer         *time.Timer
	gen           uint64
}

// PosixTimer is a timer of timer_create(2). Under sigMu.
type PosixTimer struct {
	tg       *ThreadGroup
	ID       int32
	clock    int32
	cpu      func() int64 // of CPU-time clocks
	thread   *Task        // whose CPU time, nil for the process's
	notify   int32
	sig      int32
	value    uint64
	target   *Task // SIGEV_THREAD_ID
	due      int64 // in the timer's base (see now); 0 is off
	interval int64
	entry    signal.Entry
	queued   bool
	overrun  int32 // of the last delivered signal
	timer    *time.Timer
	gen      uint64
	dead     bool
}

// Itimerval is what getitimer(2) shows, in nanoseconds.
type Itimerval struct{ Interval, Value int64 }

func (tg *ThreadGroup) itimer(which int32) (*itimer, func() int64) {
	switch which {
	case unix.ITIMER_REAL:
		return &tg.timers.real, monotonic
	case unix.ITIMER_VIRTUAL:
		return &tg.timers.virt, func() int64 { u, _ := tg.cpuTotal(); return u }
	case unix.ITIMER_PROF:
		return &tg.timers.prof, tg.CPUTime
	}
	return nil, nil
}

// Itimer is getitimer(2).
func (tg *ThreadGroup) Itimer(which int32) (Itimerval, error) {
	it, clock := tg.itimer(which)
	if it == nil {
		return Itimerval{}, errno.EINVAL
	}
	now := clock()
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return it.get(now), nil
}

func (it *itimer) get(now int64) Itimerval {
	if it.due == 0 {
		return Itimerval{Interval: it.interval}
	}
	return Itimerval{it.interval, max(it.due-now, 1000)}
}

// SetItimer is setitimer(2).
func (tg *ThreadGroup) SetItimer(which int32, v Itimerval) (Itimerval, error) {
	it, clock := tg.itimer(which)
	if it == nil {
		return Itimerval{}, errno.EINVAL
	}
	now := clock()
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	old := it.get(now)
	it.gen++
	it.interval = v.Interval
	it.due = 0
	if it.timer != nil {
		it.timer.Stop()
		it.timer = nil
	}
	if v.Value > 0 {
		it.due = now + v.Value
		if it.due < 0 {
			it.due = 1<<63 - 1
		}
		if which == unix.ITIMER_REAL {
			tg.armRealLocked(v.Value)
		} else {
			tg.timers.cpuArmed.Store(true)
		}
	}
	return old, nil
}

// minRearm bounds how often an interval timer costs the sentry anything, and
// ignoredRearm how often one does whose signal is ignored (linux:
// kernel/time/posix-timers.c, which waits a tick).
const (
	minRearm     = 20e3
	ignoredRearm = 4e6
)

func (tg *ThreadGroup) armRealLocked(d int64) {
	it := &tg.timers.real
	gen := it.gen
	it.timer = time.AfterFunc(time.Duration(d), func() {
		tg.sigMu.Lock()
		defer tg.sigMu.Unlock()
		if it.gen != gen || it.due == 0 {
			return
		}
		tg.sendLocked(nil, signal.Kernel(int32(unix.SIGALRM)), true, sendOpts{})
		if it.interval == 0 {
			it.due = 0
			return
		}
		now := monotonic()
		it.due += it.interval * (1 + max(0, (now-it.due)/it.interval))
		tg.armRealLocked(max(it.due-now, minRearm))
	})
}

// exec deletes POSIX timers; interval timers survive execve(2).
func (s *timerSet) exec(tg *ThreadGroup) {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	for id := range s.posix {
		tg.deleteTimerLocked(id)
	}
}

// stopAll ends every timer when the process dies.
func (s *timerSet) stopAll(tg *ThreadGroup) {
	s.exec(tg)
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	s.real.gen++
	s.real.due = 0
	if s.real.timer != nil {
		s.real.timer.Stop()
	}
	s.virt.due, s.prof.due = 0, 0
	s.cpuArmed.Store(false)
}

// ArmCPULimit makes ticks look at RLIMIT_CPU; call it when the limit changed.
func (tg *ThreadGroup) ArmCPULimit() {
	if tg.limits.Cur(unix.RLIMIT_CPU) != limits.Infinity {
		tg.timers.cpuArmed.Store(true)
	}
}

// checkCPUTimers runs at ticks while cpuArmed.
func (tg *ThreadGroup) checkCPUTimers() {
	user, sys := tg.cpuTotal()
	total := user + sys
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	s := &tg.timers
	armed := false
	fire := func(it *itimer, now int64, sig int32) {
		if it.due == 0 {
			return
		}
		if now >= it.due {
			tg.sendLocked(nil, signal.Kernel(sig), true, sendOpts{})
			if it.interval == 0 {
				it.due = 0
				return
			}
			it.due += it.interval * (1 + (now-it.due)/it.interval)
		}
		armed = true
	}
	fire(&s.virt, user, int32(unix.SIGVTALRM))
	fire(&s.prof, total, int32(unix.SIGPROF))
	for _, p := range s.posix {
		if p.cpu == nil || p.due == 0 {
			continue
		}
		armed = true
		if now := p.cpuNow(total); now >= p.due && !p.queued {
			p.expireLocked()
		}
	}
	if l := tg.limits.Get(unix.RLIMIT_CPU); l.Cur != limits.Infinity {
		armed = true
		secs := uint64(total / 1e9)
		switch {
		case l.Max != limits.Infinity && secs >= l.Max:
			tg.groupExitLocked(uint32(sigKILL))
		case secs >= l.Cur && secs >= s.xcpuAt:
			s.xcpuAt = secs + 1
			tg.sendLocked(nil, signal.Kernel(int32(unix.SIGXCPU)), true, sendOpts{})
		}
	}
	if !armed {
		s.cpuArmed.Store(false)
	}
}

// cpuNow reads a thread's CPU clock; a process clock cannot be read under
// sigMu, so its value comes in.
func (p *PosixTimer) cpuNow(total int64) int64 {
	if p.thread != nil {
		return p.thread.CPUTime()
	}
	return total
}

// TimerSpec is what timer_create(2) asks for.
type TimerSpec struct {
	Clock  int32
	Notify int32
	Signo  int32
	Value  uint64
	TID    int32
	// ValueIsID: without a sigevent si_value is the timer's id.
	ValueIsID bool
}

// CreateTimer is timer_create(2).
func (t *Task) CreateTimer(s TimerSpec) (int32, error) {
	tg := t.tg
	p := &PosixTimer{tg: tg, clock: s.Clock, notify: s.Notify, sig: s.Signo, value: s.Value}
	switch s.Clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_TAI:
	case unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		if !t.Creds().Capable(creds.CapWakeAlarm) {
			return 0, errno.EPERM
		}
	case unix.CLOCK_PROCESS_CPUTIME_ID:
		p.cpu = tg.CPUTime
	case unix.CLOCK_THREAD_CPUTIME_ID:
		p.cpu, p.thread = t.CPUTime, t
	default:
		if s.Clock >= 0 {
			return 0, errno.EINVAL
		}
		fn, err := t.cpuClock(s.Clock)
		if err != nil {
			return 0, err
		}
		p.cpu = fn
		if s.Clock&4 != 0 {
			p.thread = t
			if pid := ^(s.Clock >> 3); pid != 0 {
				p.thread = t.PIDNamespace().Task(pid)
			}
		}
	}
	switch s.Notify {
	case 0, 1, 2: // SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD
	case 4: // SIGEV_THREAD_ID
		p.target = t.PIDNamespace().Task(s.TID)
		if p.target == nil || p.target.tg != tg {
			return 0, errno.EINVAL
		}
	default:
		return 0, errno.EINVAL
	}
	if s.Notify != 1 && !signal.Valid(s.Signo) {
		return 0, errno.EINVAL
	}
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	set := &tg.timers
	if uint64(len(set.posix)) >= tg.limits.Cur(limits.SigPending) {
		return 0, errno.EAGAIN
	}
	for set.posix[set.nextID] != nil {
		set.nextID++
		if set.nextID < 0 {
			set.nextID = 0
		}
	}
	p.ID = set.nextID
	set.nextID++
	if set.nextID < 0 {
		set.nextID = 0
	}
	if s.ValueIsID {
		p.value = uint64(uint32(p.ID))
	}
	if set.posix == nil {
		set.posix = make(map[int32]*PosixTimer)
	}
	set.posix[p.ID] = p
	return p.ID, nil
}

// DeleteTimer is timer_delete(2).
func (tg *ThreadGroup) DeleteTimer(id int32) error {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return tg.deleteTimerLocked(id)
}

func (tg *ThreadGroup) deleteTimerLocked(id int32) error {
	p := tg.timers.posix[id]
	if p == nil {
		return errno.EINVAL
	}
	delete(tg.timers.posix, id)
	p.disarmLocked()
	p.dead = true
	return nil
}

func (p *PosixTimer) disarmLocked() {
	p.gen++
	p.due = 0
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if p.queued {
		p.queued = false
		if p.target != nil {
			p.target.pending.Remove(&p.entry)
		} else {
			p.tg.pending.Remove(&p.entry)
		}
	}
}

// now is the time in the timer's base: CPU time, or host monotonic time for
// all others (absolute times of other clocks are converted when set).
func (p *PosixTimer) now() int64 {
	if p.cpu != nil {
		return p.cpu()
	}
	return monotonic()
}

// GetTimer is timer_gettime(2).
func (tg *ThreadGroup) GetTimer(id int32) (Itimerval, error) {
	tg.sigMu.Lock()
	p := tg.timers.posix[id]
	tg.sigMu.Unlock()
	if p == nil {
		return Itimerval{}, errno.EINVAL
	}
	now := p.now()
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return p.getLocked(now), nil
}

func (p *PosixTimer) getLocked(now int64) Itimerval {
	v := Itimerval{Interval: p.interval}
	if p.due == 0 {
		return v
	}
	due := p.due
	if due <= now && p.interval > 0 {
		due += p.interval * (1 + (now-due)/p.interval)
	}
	v.Value = max(due-now, 1)
	if due <= now && p.notify == 1 {
		v.Value = 0
	}
	return v
}

// SetTimer is timer_settime(2).
func (t *Task) SetTimer(id int32, v Itimerval, absolute bool) (Itimerval, error) {
	tg := t.tg
	tg.sigMu.Lock()
	p := tg.timers.posix[id]
	tg.sigMu.Unlock()
	if p == nil {
		return Itimerval{}, errno.EINVAL
	}
	now := p.now()
	due := int64(0)
	if v.Value > 0 {
		due = now + v.Value
		if absolute {
			due = v.Value
			if p.cpu == nil {
				c, err := t.Clock(p.clock)
				if err != nil {
					return Itimerval{}, err
				}
				due = now + v.Value - c
			}
			due = max(due, 1)
		}
		if due < 0 {
			due = 1<<63 - 1
		}
	}
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	old := p.getLocked(now)
	if p.dead {
		return old, errno.EINVAL
	}
	p.disarmLocked()
	p.interval = v.Interval
	p.overrun = 0
	if v.Value > 0 {
		p.due = due
		p.armLocked(now)
	}
	return old, nil
}

func (p *PosixTimer) armLocked(now int64) {
	if p.cpu != nil {
		p.tg.timers.cpuArmed.Store(true)
		return
	}
	p.gen++
	gen := p.gen
	p.timer = time.AfterFunc(time.Duration(max(p.due-now, 0)), func() {
		p.tg.sigMu.Lock()
		defer p.tg.sigMu.Unlock()
		if p.gen == gen && p.due != 0 {
			p.expireLocked()
		}
	})
}

// expireLocked queues the timer's signal. A periodic timer goes on when the
// signal is taken, which counts what was missed (timer_getoverrun(2)).
func (p *PosixTimer) expireLocked() {
	if p.notify == 1 {
		return // whoever asks computes what it reads
	}
	p.queued = true
	p.entry = signal.Entry{Info: signal.Info{Signo: p.sig, Code: signal.SITimer}, Static: p.taken}
	p.entry.Info.SetTimer(p.ID, 0)
	p.entry.Info.SetValue(p.value)
	if p.target != nil {
		if p.target.exiting || p.target.dead {
			p.queued = false
			return
		}
		p.tg.sendLocked(p.target, &p.entry.Info, false, sendOpts{entry: &p.entry})
		return
	}
	p.tg.sendLocked(nil, &p.entry.Info, true, sendOpts{entry: &p.entry})
}

func (p *PosixTimer) dueBase() int64 {
	if p.cpu == nil {
		return monotonic()
	}
	if p.thread != nil {
		return p.thread.CPUTime()
	}
	return p.due
}

// taken runs under sigMu when the signal leaves the queue; info is nil if it
// was dropped (ignored).
func (p *PosixTimer) taken(info *signal.Info) {
	if !p.queued {
		return
	}
	p.queued = false
	if p.interval == 0 {
		p.due = 0
		p.overrun = 0
		return
	}
	now := p.dueBase()
	n := max(0, (now-p.due)/p.interval)
	p.due += p.interval * (n + 1)
	p.overrun = int32(min(n, 1<<31-1))
	if info != nil {
		info.SetTimer(p.ID, p.overrun)
	} else if p.interval < ignoredRearm {
		p.due = now + ignoredRearm
	}
	p.armLocked(now)
}

// TimerOverrun is timer_getoverrun(2).
func (tg *ThreadGroup) TimerOverrun(id int32) (int32, error) {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	p := tg.timers.posix[id]
	if p == nil {
		return 0, errno.EINVAL
	}
	return p.overrun, nil
}

// TimerInfo is one line of /proc/pid/timers.
type TimerInfo struct {
	ID, Signo, Notify, Clock int32
	Value                    uint64
	TID                      int32
}

// Timers lists the POSIX timers.
func (tg *ThreadGroup) Timers() []TimerInfo {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	var l []TimerInfo
	for _, p := range tg.timers.posix {
		i := TimerInfo{p.ID, p.sig, p.notify, p.clock, p.value, 0}
		if p.target != nil {
			i.TID = p.target.TID()
		}
		l = append(l, i)
	}
	return l
}
