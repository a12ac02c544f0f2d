package syscalls

import (
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
)

var timeRows = []Row{
	{35, "nanosleep", sysNanosleep, "timespec,ptr", Full, ""},
	{36, "getitimer", sysGetitimer, "int,ptr", Full, ""},
	{37, "alarm", sysAlarm, "uint", Full, ""},
	{38, "setitimer", sysSetitimer, "int,itimerval,ptr", Full, ""},
	{96, "gettimeofday", sysGettimeofday, "ptr,ptr", Full, ""},
	{98, "getrusage", sysGetrusage, "int,ptr", Full, ""},
	{100, "times", sysTimes, "ptr", Full, ""},
	{159, "adjtimex", sysAdjtimex, "ptr", Partial, "reads only"},
	{164, "settimeofday", sysSettimeofday, "ptr,ptr", Partial, "EPERM: the clock is the host's"},
	{201, "time", sysTime, "ptr", Full, ""},
	{222, "timer_create", sysTimerCreate, "clockid,ptr,ptr", Full, ""},
	{223, "timer_settime", sysTimerSettime, "int,hex,itimerspec,ptr", Full, ""},
	{224, "timer_gettime", sysTimerGettime, "int,ptr", Full, ""},
	{225, "timer_getoverrun", sysTimerGetoverrun, "int", Full, ""},
	{226, "timer_delete", sysTimerDelete, "int", Full, ""},
	{227, "clock_settime", sysClockSettime, "clockid,timespec", Partial, "EPERM: the clock is the host's"},
	{228, "clock_gettime", sysClockGettime, "clockid,ptr", Full, ""},
	{229, "clock_getres", sysClockGetres, "clockid,ptr", Full, ""},
	{230, "clock_nanosleep", sysClockNanosleep, "clockid,hex,timespec,ptr", Full, ""},
	{305, "clock_adjtime", sysClockAdjtime, "clockid,ptr", Partial, "reads only"},
}

func validTimespec(ts *unix.Timespec) bool {
	return ts.Sec >= 0 && ts.Nsec >= 0 && ts.Nsec < 1e9
}

// nanos is a valid timespec in nanoseconds, bounded.
func nanos(ts *unix.Timespec) int64 {
	if ts.Sec > 1<<33 {
		return 1<<63 - 1
	}
	return ts.Nano()
}

// relDeadline is when a relative timeout ends.
func relDeadline(ts *unix.Timespec) time.Time {
	return time.Now().Add(time.Duration(min(nanos(ts), 1<<62)))
}

// copyTimeout reads an optional relative timeout: zero time for none.
func copyTimeout(t *kernel.Task, addr uint64) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	var ts unix.Timespec
	if err := usermem.Get(t.Mem(), addr, &ts); err != nil {
		return time.Time{}, err
	}
	if !validTimespec(&ts) {
		return time.Time{}, errno.EINVAL
	}
	return relDeadline(&ts), nil
}

// nanosleep(2).
func sysNanosleep(t *kernel.Task, a arch.Args) (uint64, error) {
	var ts unix.Timespec
	if err := usermem.Get(t.Mem(), a.Ptr(0), &ts); err != nil {
		return 0, err
	}
	if !validTimespec(&ts) {
		return 0, errno.EINVAL
	}
	return sleepUntil(t, relDeadline(&ts), a.Ptr(1))
}

// sleepUntil sleeps relatively: an interruption writes what is left and
// restarts for the rest.
func sleepUntil(t *kernel.Task, deadline time.Time, rem uint64) (uint64, error) {
	err := t.Sleep(deadline)
	if err == errno.ETIMEDOUT {
		return 0, nil
	}
	if rem != 0 {
		left := unix.NsecToTimespec(max(0, int64(time.Until(deadline))))
		if err := usermem.Put(t.Mem(), rem, &left); err != nil {
			return 0, err
		}
	}
	t.SetRestart(func() (uint64, error) { return sleepUntil(t, deadline, rem) })
	return 0, errno.ERESTARTBLOCK
}

// clock_nanosleep(2).
func sysClockNanosleep(t *kernel.Task, a arch.Args) (uint64, error) {
	id := a.Int(0)
	var ts unix.Timespec
	switch id {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_TAI:
	case unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
		if !capable(t, creds.CapWakeAlarm) {
			return 0, errno.EPERM
		}
	case unix.CLOCK_THREAD_CPUTIME_ID:
		return 0, errno.EOPNOTSUPP
	case unix.CLOCK_PROCESS_CPUTIME_ID:
	default:
		if id >= 0 {
			const sgiCycle = 10 // gone
			if id <= unix.CLOCK_TAI && id != sgiCycle {
				return 0, errno.EOPNOTSUPP
			}
			return 0, errno.EINVAL
		}
	}
	if err := usermem.Get(t.Mem(), a.Ptr(2), &ts); err != nil {
		return 0, err
	}
	if !validTimespec(&ts) {
		return 0, errno.EINVAL
	}
	if id < 0 {
		if _, err := t.Clock(id); err != nil {
			return 0, err
		}
	}
	cpu := id < 0 || id == unix.CLOCK_PROCESS_CPUTIME_ID
	absolute := a.Int(1)&unix.TIMER_ABSTIME != 0
	if cpu {
		return cpuSleep(t, id, nanos(&ts), absolute)
	}
	if !absolute {
		return sleepUntil(t, relDeadline(&ts), a.Ptr(3))
	}
	var deadline time.Time
	if id == unix.CLOCK_REALTIME || id == unix.CLOCK_TAI || id == unix.CLOCK_REALTIME_ALARM {
		deadline = time.Unix(min(ts.Sec, 1<<34), ts.Nsec)
	} else {
		now, err := t.Clock(id)
		if err != nil {
			return 0, err
		}
		deadline = time.Now().Add(time.Duration(min(nanos(&ts)-now, 1<<62)))
	}
	if err := t.Sleep(deadline); err != errno.ETIMEDOUT {
		return 0, errno.ERESTARTNOHAND
	}
	return 0, nil
}

// cpuSleep waits for a CPU clock, looking at every tick.
func cpuSleep(t *kernel.Task, id int32, ns int64, absolute bool) (uint64, error) {
	now, err := t.Clock(id)
	if err != nil {
		return 0, err
	}
	if !absolute {
		ns += now
	}
	for now < ns {
		if err := t.Sleep(time.Now().Add(min(time.Duration(ns-now), 10*time.Millisecond))); err != errno.ETIMEDOUT {
			return 0, errno.ERESTARTNOHAND
		}
		if now, err = t.Clock(id); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// clock_gettime(2).
func sysClockGettime(t *kernel.Task, a arch.Args) (uint64, error) {
	ns, err := t.Clock(a.Int(0))
	if err != nil {
		return 0, err
	}
	ts := unix.NsecToTimespec(ns)
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &ts)
}

// clock_getres(2).
func sysClockGetres(t *kernel.Task, a arch.Args) (uint64, error) {
	if _, err := t.Clock(a.Int(0)); err != nil {
		return 0, err
	}
	if a.Ptr(1) == 0 {
		return 0, nil
	}
	ts := unix.Timespec{Nsec: 1}
	switch a.Int(0) {
	case unix.CLOCK_REALTIME_COARSE, unix.CLOCK_MONOTONIC_COARSE:
		ts.Nsec = 4000000
	}
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &ts)
}

// clock_settime(2).
func sysClockSettime(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(0) > unix.CLOCK_REALTIME {
		return 0, errno.EINVAL
	}
	var ts unix.Timespec
	if err := usermem.Get(t.Mem(), a.Ptr(1), &ts); err != nil {
		return 0, err
	}
	if _, err := t.Clock(a.Int(0)); err != nil {
		return 0, err
	}
	return 0, errno.EPERM
}

// settimeofday(2).
func sysSettimeofday(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Ptr(0) != 0 {
		var tv unix.Timeval
		if err := usermem.Get(t.Mem(), a.Ptr(0), &tv); err != nil {
			return 0, err
		}
		if tv.Usec < 0 || tv.Usec > 1e6 {
			return 0, errno.EINVAL
		}
	}
	return 0, errno.EPERM
}

// gettimeofday(2).
func sysGettimeofday(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Ptr(0) != 0 {
		tv := unix.NsecToTimeval(t.Kernel().Realtime())
		if err := usermem.Put(t.Mem(), a.Ptr(0), &tv); err != nil {
			return 0, err
		}
	}
	if a.Ptr(1) != 0 {
		var tz [2]int32
		return 0, usermem.Put(t.Mem(), a.Ptr(1), &tz)
	}
	return 0, nil
}

// time(2).
func sysTime(t *kernel.Task, a arch.Args) (uint64, error) {
	s := t.Kernel().Realtime() / 1e9
	if a.Ptr(0) != 0 {
		if err := usermem.Put(t.Mem(), a.Ptr(0), &s); err != nil {
			return 0, err
		}
	}
	return uint64(s), nil
}

// times(2).
func sysTimes(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Ptr(0) != 0 {
		tg := t.ThreadGroup()
		r, c := tg.Resources(), tg.ChildResources()
		tms := unix.Tms{Utime: r.UserNs / 1e7, Stime: r.SysNs / 1e7, Cutime: c.UserNs / 1e7, Cstime: c.SysNs / 1e7}
		if err := usermem.Put(t.Mem(), a.Ptr(0), &tms); err != nil {
			return 0, err
		}
	}
	return uint64(t.Kernel().Boottime() / 1e7), nil
}

// getrusage(2).
func sysGetrusage(t *kernel.Task, a arch.Args) (uint64, error) {
	var r kernel.Resources
	switch a.Int(0) {
	case unix.RUSAGE_SELF:
		r = t.ThreadGroup().Resources()
	case unix.RUSAGE_CHILDREN:
		r = t.ThreadGroup().ChildResources()
	case unix.RUSAGE_THREAD:
		r = t.Resources()
		r.MaxRSSBytes = t.ThreadGroup().Resources().MaxRSSBytes
	default:
		return 0, errno.EINVAL
	}
	ru := rusage(r)
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &ru)
}

func validTimeval(tv *unix.Timeval) bool { return tv.Sec >= 0 && tv.Usec >= 0 && tv.Usec < 1e6 }

func timevalNs(tv *unix.Timeval) int64 {
	if tv.Sec > 1<<33 {
		return 1 << 62
	}
	return tv.Sec*1e9 + tv.Usec*1000
}

func itimerval(v kernel.Itimerval) unix.Itimerval {
	return unix.Itimerval{Interval: unix.NsecToTimeval(v.Interval), Value: unix.NsecToTimeval(v.Value)}
}

// getitimer(2).
func sysGetitimer(t *kernel.Task, a arch.Args) (uint64, error) {
	v, err := t.ThreadGroup().Itimer(a.Int(0))
	if err != nil {
		return 0, err
	}
	u := itimerval(v)
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &u)
}

// setitimer(2).
func sysSetitimer(t *kernel.Task, a arch.Args) (uint64, error) {
	var u unix.Itimerval
	if a.Ptr(1) != 0 {
		if err := usermem.Get(t.Mem(), a.Ptr(1), &u); err != nil {
			return 0, err
		}
	}
	if !validTimeval(&u.Interval) || !validTimeval(&u.Value) {
		return 0, errno.EINVAL
	}
	old, err := t.ThreadGroup().SetItimer(a.Int(0), kernel.Itimerval{Interval: timevalNs(&u.Interval), Value: timevalNs(&u.Value)})
	if err != nil {
		return 0, err
	}
	if a.Ptr(2) != 0 {
		o := itimerval(old)
		return 0, usermem.Put(t.Mem(), a.Ptr(2), &o)
	}
	return 0, nil
}

// alarm(2).
func sysAlarm(t *kernel.Task, a arch.Args) (uint64, error) {
	old, err := t.ThreadGroup().SetItimer(unix.ITIMER_REAL, kernel.Itimerval{Value: int64(a.Uint(0)) * 1e9})
	if err != nil || old.Value == 0 {
		return 0, err
	}
	// Rounded, but never to zero.
	s := (old.Value + 5e8) / 1e9
	return uint64(max(s, 1)), nil
}

// sigevent is struct sigevent.
type sigevent struct {
	Value  uint64
	Signo  int32
	Notify int32
	TID    int32
	_      [44]byte
}

// timer_create(2).
func sysTimerCreate(t *kernel.Task, a arch.Args) (uint64, error) {
	s := kernel.TimerSpec{Clock: a.Int(0), Signo: int32(unix.SIGALRM), ValueIsID: true}
	if a.Ptr(1) != 0 {
		var ev sigevent
		if err := usermem.Get(t.Mem(), a.Ptr(1), &ev); err != nil {
			return 0, err
		}
		s = kernel.TimerSpec{Clock: a.Int(0), Notify: ev.Notify, Signo: ev.Signo, Value: ev.Value, TID: ev.TID}
	}
	switch a.Int(0) {
	case unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_REALTIME_COARSE, unix.CLOCK_MONOTONIC_COARSE:
		return 0, errno.EOPNOTSUPP
	}
	id, err := t.CreateTimer(s)
	if err != nil {
		return 0, err
	}
	if err := usermem.Put(t.Mem(), a.Ptr(2), &id); err != nil {
		t.ThreadGroup().DeleteTimer(id)
		return 0, err
	}
	return 0, nil
}

func itimerspec(v kernel.Itimerval) unix.ItimerSpec {
	return unix.ItimerSpec{Interval: unix.NsecToTimespec(v.Interval), Value: unix.NsecToTimespec(v.Value)}
}

// timer_settime(2).
func sysTimerSettime(t *kernel.Task, a arch.Args) (uint64, error) {
	var u unix.ItimerSpec
	if a.Ptr(2) == 0 {
		return 0, errno.EINVAL
	}
	if err := usermem.Get(t.Mem(), a.Ptr(2), &u); err != nil {
		return 0, err
	}
	if !validTimespec(&u.Interval) || !validTimespec(&u.Value) {
		return 0, errno.EINVAL
	}
	old, err := t.SetTimer(a.Int(0), kernel.Itimerval{Interval: nanos(&u.Interval), Value: nanos(&u.Value)}, a.Int(1)&unix.TIMER_ABSTIME != 0)
	if err != nil {
		return 0, err
	}
	if a.Ptr(3) != 0 {
		o := itimerspec(old)
		return 0, usermem.Put(t.Mem(), a.Ptr(3), &o)
	}
	return 0, nil
}

// timer_gettime(2).
func sysTimerGettime(t *kernel.Task, a arch.Args) (uint64, error) {
	v, err := t.ThreadGroup().GetTimer(a.Int(0))
	if err != nil {
		return 0, err
	}
	u := itimerspec(v)
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &u)
}

// timer_getoverrun(2).
func sysTimerGetoverrun(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.ThreadGroup().TimerOverrun(a.Int(0))
	return uint64(n), err
}

// timer_delete(2).
func sysTimerDelete(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.ThreadGroup().DeleteTimer(a.Int(0))
}

// adjtime reads the clock state; nobody may change the host's clock.
func adjtime(t *kernel.Task, addr uint64) (uint64, error) {
	var tx unix.Timex
	if err := usermem.Get(t.Mem(), addr, &tx); err != nil {
		return 0, err
	}
	if tx.Modes != 0 && tx.Modes != 0xa001 { // ADJ_OFFSET_SS_READ
		return 0, errno.EPERM
	}
	tx = unix.Timex{Time: unix.NsecToTimeval(t.Kernel().Realtime()), Tick: 10000, Status: 0x40, Maxerror: 16000000, Esterror: 16000000, Precision: 1, Tolerance: 32768000, Constant: 2}
	const timeError = 5
	return timeError, usermem.Put(t.Mem(), addr, &tx)
}

// adjtimex(2).
func sysAdjtimex(t *kernel.Task, a arch.Args) (uint64, error) { return adjtime(t, a.Ptr(0)) }

// clock_adjtime(2).
func sysClockAdjtime(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(0) != unix.CLOCK_REALTIME {
		return 0, errno.EOPNOTSUPP
	}
	return adjtime(t, a.Ptr(1))
}
