package syscalls

import (
	"math"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/futex"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
)

var futexRows = []Row{
	{202, "futex", sysFutex, "ptr,futexop,uint,ptr,ptr,hex", Partial, "PI futexes inherit no priority"},
	{273, "set_robust_list", sysSetRobustList, "ptr,size", Full, ""},
	{274, "get_robust_list", sysGetRobustList, "int,ptr,ptr", Full, ""},
	{449, "futex_waitv", sysFutexWaitv, "ptr,uint,hex,ptr,int", Full, ""},
	{454, "futex_wake", sysFutexWake, "ptr,hex,int,hex", Full, ""},
	{455, "futex_wait", sysFutexWait2, "ptr,hex,hex,hex,ptr,int", Full, ""},
	{456, "futex_requeue", sysFutexRequeue2, "ptr,hex,int,int", Full, ""},
}

// Commands of futex(2).
const (
	fWait          = 0
	fWake          = 1
	fRequeue       = 3
	fCmpRequeue    = 4
	fWakeOp        = 5
	fLockPI        = 6
	fUnlockPI      = 7
	fTrylockPI     = 8
	fWaitBitset    = 9
	fWakeBitset    = 10
	fWaitRequeuePI = 11
	fCmpRequeuePI  = 12
	fLockPI2       = 13
	fPrivate       = 128
	fRealtime      = 256
)

// futex(2).
func sysFutex(t *kernel.Task, a arch.Args) (uint64, error) {
	op := a.Uint(1)
	cmd := op &^ (fPrivate | fRealtime)
	addr, val := a.Ptr(0), a.Uint(2)
	shared := op&fPrivate == 0
	if op&fRealtime != 0 {
		switch cmd {
		case fWaitBitset, fWaitRequeuePI, fLockPI2:
		default:
			return 0, errno.ENOSYS
		}
	}
	switch cmd {
	case fWait, fWake, fRequeue, fCmpRequeue, fWakeOp, fLockPI, fUnlockPI, fTrylockPI, fWaitBitset, fWakeBitset,
		fWaitRequeuePI, fCmpRequeuePI, fLockPI2:
	default:
		return 0, errno.ENOSYS
	}
	var deadline time.Time
	var ts *unix.Timespec
	switch cmd {
	case fWait, fWaitBitset, fLockPI, fLockPI2, fWaitRequeuePI:
		if a.Ptr(3) != 0 {
			ts = new(unix.Timespec)
			if err := usermem.Get(t.Mem(), a.Ptr(3), ts); err != nil {
				return 0, err
			}
			if !validTimespec(ts) {
				return 0, errno.EINVAL
			}
			switch {
			case cmd == fWait:
				deadline = relDeadline(ts)
			case op&fRealtime != 0 || cmd == fLockPI:
				deadline = time.Unix(ts.Sec, ts.Nsec)
			default:
				deadline = t.MonotonicDeadline(ts.Nano())
			}
		}
	}
	if cmd == fWake || cmd == fWait {
		// The common cases, without more words.
		if addr&3 != 0 {
			return 0, errno.EINVAL
		}
		k, err := t.MM().FutexKey(t, addr, shared)
		if err != nil {
			return 0, err
		}
		if cmd == fWake {
			return uint64(t.Kernel().Futexes().Wake(k, count(val), math.MaxUint32)), nil
		}
		return futexWait(t, k, addr, val, math.MaxUint32, deadline, ts != nil)
	}
	if addr&3 != 0 {
		return 0, errno.EINVAL
	}
	k, err := t.MM().FutexKey(t, addr, shared)
	if err != nil {
		return 0, err
	}
	tab := t.Kernel().Futexes()
	alive := func(tid uint32) bool {
		x := t.PIDNamespace().Task(int32(tid))
		return x != nil && x.State() != 'Z' && x.State() != 'X'
	}
	var k2 futex.Key
	switch cmd {
	case fRequeue, fCmpRequeue, fWakeOp, fWaitRequeuePI, fCmpRequeuePI:
		if a.Ptr(4)&3 != 0 {
			return 0, errno.EINVAL
		}
		if k2, err = t.MM().FutexKey(t, a.Ptr(4), shared); err != nil {
			return 0, err
		}
	}
	switch cmd {
	case fWaitBitset:
		if a.Uint(5) == 0 {
			return 0, errno.EINVAL
		}
		return futexWait(t, k, addr, val, a.Uint(5), deadline, ts != nil)
	case fWakeBitset:
		if a.Uint(5) == 0 {
			return 0, errno.EINVAL
		}
		return uint64(tab.Wake(k, count(val), a.Uint(5))), nil
	case fRequeue, fCmpRequeue:
		if int32(val) < 0 || a.Int(3) < 0 {
			return 0, errno.EINVAL
		}
		var cmp *uint32
		if cmd == fCmpRequeue {
			v := a.Uint(5)
			cmp = &v
		}
		n, err := tab.Requeue(t.Mem(), k, k2, addr, cmp, int(int32(val)), int(a.Int(3)))
		return uint64(n), err
	case fWakeOp:
		n, err := tab.WakeOp(t.Mem(), k, k2, a.Ptr(4), count(val), count(a.Uint(3)), a.Uint(5))
		return uint64(n), err
	case fLockPI, fLockPI2, fTrylockPI:
		return 0, tab.LockPI(t, t.Mem(), k, addr, uint32(t.TID()), cmd == fTrylockPI, alive, deadline, t.FutexWaiter())
	case fUnlockPI:
		return 0, tab.UnlockPI(t.Mem(), k, addr, uint32(t.TID()))
	case fWaitRequeuePI:
		return 0, tab.WaitRequeuePI(t, t.Mem(), k, addr, val, math.MaxUint32, k2, uint32(t.TID()), deadline, t.FutexWaiter())
	case fCmpRequeuePI:
		if val != 1 {
			return 0, errno.EINVAL
		}
		n, err := tab.CmpRequeuePI(t.Mem(), k, k2, addr, a.Ptr(4), a.Uint(5), int(a.Int(3)), alive)
		return uint64(n), err
	}
	return 0, errno.ENOSYS
}

// count is how many waiters a wake means: at least one, as Linux does.
func count(v uint32) int {
	n := int(int32(v))
	if n <= 0 {
		return 1
	}
	return n
}

func futexWait(t *kernel.Task, k futex.Key, addr uint64, val, bitset uint32, deadline time.Time, timed bool) (uint64, error) {
	err := t.Kernel().Futexes().Wait(t, t.Mem(), k, addr, val, bitset, deadline, t.FutexWaiter())
	if err == errno.ERESTARTSYS && timed {
		t.SetRestart(func() (uint64, error) { return futexWait(t, k, addr, val, bitset, deadline, true) })
		return 0, errno.ERESTARTBLOCK
	}
	return 0, err
}

// set_robust_list(2).
func sysSetRobustList(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Size(1) != 24 {
		return 0, errno.EINVAL
	}
	t.SetRobustList(a.Ptr(0), a.Size(1))
	return 0, nil
}

// get_robust_list(2).
func sysGetRobustList(t *kernel.Task, a arch.Args) (uint64, error) {
	x := t
	if a.Int(0) != 0 {
		x = t.PIDNamespace().Task(a.Int(0))
		if x == nil {
			return 0, errno.ESRCH
		}
		if err := t.MayTrace(x, false); err != nil && !t.Creds().Capable(creds.CapSysPtrace) {
			return 0, err
		}
	}
	head, n := x.RobustList()
	if n == 0 {
		n = 24
	}
	if err := usermem.Put(t.Mem(), a.Ptr(2), &n); err != nil {
		return 0, err
	}
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &head)
}

// Flags of the futex2 calls.
const (
	f2SizeMask = 3
	f2Size32   = 2
	f2Private  = 128
)

func futex2Key(t *kernel.Task, addr uint64, fl uint32) (futex.Key, error) {
	if fl&^(f2SizeMask|f2Private) != 0 || fl&f2SizeMask != f2Size32 || addr&3 != 0 {
		return futex.Key{}, errno.EINVAL
	}
	return t.MM().FutexKey(t, addr, fl&f2Private == 0)
}

func futex2Deadline(t *kernel.Task, addr uint64, clock int32) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	var ts unix.Timespec
	if clock != unix.CLOCK_MONOTONIC && clock != unix.CLOCK_REALTIME {
		return time.Time{}, errno.EINVAL
	}
	if err := usermem.Get(t.Mem(), addr, &ts); err != nil {
		return time.Time{}, err
	}
	if !validTimespec(&ts) {
		return time.Time{}, errno.EINVAL
	}
	if clock == unix.CLOCK_REALTIME {
		return time.Unix(ts.Sec, ts.Nsec), nil
	}
	return t.MonotonicDeadline(ts.Nano()), nil
}

type waitv struct {
	Val, Addr uint64
	Flags     uint32
	Reserved  uint32
}

func copyWaitv(t *kernel.Task, addr uint64, n uint32) ([]futex.VecItem, error) {
	v := make([]waitv, n)
	if err := usermem.GetSlice(t.Mem(), addr, v); err != nil {
		return nil, err
	}
	items := make([]futex.VecItem, n)
	for i, w := range v {
		if w.Reserved != 0 {
			return nil, errno.EINVAL
		}
		k, err := futex2Key(t, w.Addr, w.Flags)
		if err != nil {
			return nil, err
		}
		items[i] = futex.VecItem{Key: k, Addr: w.Addr, Val: uint32(w.Val)}
	}
	return items, nil
}

// futex_waitv(2).
func sysFutexWaitv(t *kernel.Task, a arch.Args) (uint64, error) {
	n := a.Uint(1)
	if a.Uint(2) != 0 || n == 0 || n > 128 || a.Ptr(0) == 0 {
		return 0, errno.EINVAL
	}
	deadline, err := futex2Deadline(t, a.Ptr(3), a.Int(4))
	if err != nil {
		return 0, err
	}
	items, err := copyWaitv(t, a.Ptr(0), n)
	if err != nil {
		return 0, err
	}
	i, err := t.Kernel().Futexes().WaitVec(t, t.Mem(), items, deadline)
	return uint64(i), err
}

// futex_wake(2).
func sysFutexWake(t *kernel.Task, a arch.Args) (uint64, error) {
	k, err := futex2Key(t, a.Ptr(0), a.Uint(3))
	if err != nil {
		return 0, err
	}
	if a.Uint(1) == 0 {
		return 0, errno.EINVAL
	}
	return uint64(t.Kernel().Futexes().Wake(k, int(a.Int(2)), a.Uint(1))), nil
}

// futex_wait(2).
func sysFutexWait2(t *kernel.Task, a arch.Args) (uint64, error) {
	k, err := futex2Key(t, a.Ptr(0), a.Uint(3))
	if err != nil {
		return 0, err
	}
	if a.Uint(2) == 0 {
		return 0, errno.EINVAL
	}
	deadline, err := futex2Deadline(t, a.Ptr(4), a.Int(5))
	if err != nil {
		return 0, err
	}
	return futexWait(t, k, a.Ptr(0), a.Uint(1), a.Uint(2), deadline, a.Ptr(4) != 0)
}

// futex_requeue(2).
func sysFutexRequeue2(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(1) != 0 || a.Int(2) < 0 || a.Int(3) < 0 {
		return 0, errno.EINVAL
	}
	items, err := copyWaitv(t, a.Ptr(0), 2)
	if err != nil {
		return 0, err
	}
	n, err := t.Kernel().Futexes().Requeue(t.Mem(), items[0].Key, items[1].Key, items[0].Addr, &items[0].Val, int(a.Int(2)), int(a.Int(3)))
	return uint64(n), err
}
