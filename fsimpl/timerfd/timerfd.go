// Package timerfd has the files of timerfd_create(2).
//
// Guest clocks are the host's, so a timer counts in nanoseconds of its own
// clock and sleeps on the host's monotonic one. Setting CLOCK_REALTIME is not
// offered to guests; TFD_TIMER_CANCEL_ON_SET therefore fires only when the
// host's clock jumps, which is checked whenever a sleep ends or a read starts.
package timerfd

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// File is one timer. mu is a leaf.
type File struct {
	vfs.StreamBase
	clock int32
	queue wait.Queue

	mu       sync.Mutex
	next     int64 // clock time of the next expiration, 0 if disarmed
	interval int64
	ticks    uint64
	flags    uint32 // of timerfd_settime
	offset   int64  // realtime minus monotonic, for TFD_TIMER_CANCEL_ON_SET
	canceled bool
	gen      uint64 // of the armed host timer
	timer    *time.Timer
}

// New returns an open timerfd for a clock of timerfd_create(2).
func New(ctx kctx.Ctx, sys *vfs.System, clock int32, flags uint32) (*vfs.File, error) {
	switch clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_MONOTONIC, unix.CLOCK_BOOTTIME, unix.CLOCK_REALTIME_ALARM, unix.CLOCK_BOOTTIME_ALARM:
	default:
		return nil, errno.EINVAL
	}
	return vfs.NewAnonFileFor(ctx, sys, "anon_inode:[timerfd]", &File{clock: clock}, unix.O_RDWR|flags), nil
}

func (t *File) hostClock() int32 {
	switch t.clock {
	case unix.CLOCK_REALTIME_ALARM:
		return unix.CLOCK_REALTIME
	case unix.CLOCK_BOOTTIME_ALARM:
		return unix.CLOCK_BOOTTIME
	}
	return t.clock
}

func read(clock int32) int64 {
	var ts unix.Timespec
	unix.ClockGettime(clock, &ts)
	return ts.Nano()
}

func realOffset() int64 { return read(unix.CLOCK_REALTIME) - read(unix.CLOCK_MONOTONIC) }

// valid says whether ts is a sane timespec; nano clamps it like ktime_t.
func valid(ts unix.Timespec) bool { return ts.Sec >= 0 && ts.Nsec >= 0 && ts.Nsec < 1e9 }

func nano(ts unix.Timespec) int64 {
	if ts.Sec >= (1<<63-1)/1_000_000_000 {
		return 1<<63 - 1
	}
	return ts.Sec*1e9 + ts.Nsec
}

func spec(ns int64) unix.Timespec { return unix.NsecToTimespec(ns) }

// Set is timerfd_settime(2); it returns the old setting.
func (t *File) Set(flags uint32, it unix.ItimerSpec) (unix.ItimerSpec, error) {
	if flags&^(unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET) != 0 || !valid(it.Value) || !valid(it.Interval) {
		return unix.ItimerSpec{}, errno.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := read(t.hostClock())
	old := t.getLocked(now)
	t.flags, t.ticks, t.canceled = flags, 0, false
	t.offset = realOffset()
	t.interval = nano(it.Interval)
	t.next = nano(it.Value)
	if t.next != 0 && flags&unix.TFD_TIMER_ABSTIME == 0 {
		if t.next > 1<<63-1-now {
			t.next = 1<<63 - 1
		} else {
			t.next += now
		}
	}
	t.armLocked(now)
	return old, nil
}

// Get is timerfd_gettime(2).
func (t *File) Get() unix.ItimerSpec {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := read(t.hostClock())
	t.expireLocked(now)
	if t.ticks == 0 {
		t.wakeLocked(now)
	}
	return t.getLocked(now)
}

func (t *File) getLocked(now int64) unix.ItimerSpec {
	it := unix.ItimerSpec{Interval: spec(t.interval)}
	if t.next != 0 {
		it.Value = spec(max(t.next-now, 1))
	}
	return it
}

// expireLocked counts what has expired by now.
func (t *File) expireLocked(now int64) {
	if t.next == 0 || now < t.next {
		return
	}
	if t.interval == 0 {
		t.ticks++
		t.next = 0
		return
	}
	n := (now-t.next)/t.interval + 1
	t.ticks += uint64(n)
	t.next += n * t.interval
}

func (t *File) armLocked(now int64) {
	t.gen++
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if t.next == 0 {
		return
	}
	gen := t.gen
	t.timer = time.AfterFunc(time.Duration(max(t.next-now, 0)), func() { t.fire(gen) })
}

// wakeLocked starts a periodic timer again that rested since it expired.
func (t *File) wakeLocked(now int64) {
	if t.timer == nil && t.next != 0 {
		t.armLocked(now)
	}
}

func (t *File) fire(gen uint64) {
	t.mu.Lock()
	if gen != t.gen {
		t.mu.Unlock()
		return
	}
	now := read(t.hostClock())
	t.expireLocked(now)
	ready := t.ticks > 0
	// As in Linux a periodic timer rests until somebody looks: what expires
	// meanwhile is counted from the clock (timerfd_tmrproc, timerfd_read_iter).
	t.timer = nil
	if !ready {
		t.armLocked(now)
	}
	t.mu.Unlock()
	if ready {
		t.queue.Notify(wait.In | wait.RdNorm)
	}
}

func (t *File) jumpedLocked() bool {
	if t.flags&unix.TFD_TIMER_CANCEL_ON_SET == 0 || t.flags&unix.TFD_TIMER_ABSTIME == 0 || t.hostClock() != unix.CLOCK_REALTIME {
		return false
	}
	// Slewing moves the offset slowly; a set clock moves it by much.
	if d := realOffset() - t.offset; d > 5e8 || d < -5e8 {
		t.offset += d
		t.canceled = true
	}
	return t.canceled
}

// Read implements vfs.FileOps.
func (t *File) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	if dst.Len() < 8 {
		return 0, errno.EINVAL
	}
	t.mu.Lock()
	now := read(t.hostClock())
	t.expireLocked(now)
	if t.jumpedLocked() {
		t.canceled, t.ticks = false, 0
		t.mu.Unlock()
		return 0, errno.ECANCELED
	}
	n := t.ticks
	t.ticks = 0
	t.wakeLocked(now)
	t.mu.Unlock()
	if n == 0 {
		return 0, errno.EAGAIN
	}
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], n)
	if _, err := dst.Put(b[:]); err != nil {
		return 0, err
	}
	return 8, nil
}

// Write implements vfs.FileOps.
func (t *File) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	return 0, errno.EINVAL
}

// tfdSetTicks is TFD_IOC_SET_TICKS (checkpoint and restore of timers).
const tfdSetTicks = 0x40085400

// Ioctl implements vfs.FileOps.
func (t *File) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	if cmd != tfdSetTicks {
		return 0, errno.ENOTTY
	}
	var n uint64
	if err := usermem.Get(io, arg, &n); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, errno.EINVAL
	}
	t.mu.Lock()
	t.ticks = n
	t.mu.Unlock()
	t.queue.Notify(wait.In | wait.RdNorm)
	return 0, nil
}

// Ready implements vfs.FileOps.
func (t *File) Ready(mask wait.Events) wait.Events {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expireLocked(read(t.hostClock()))
	if t.ticks > 0 || t.jumpedLocked() {
		return wait.In & mask
	}
	return 0
}

// Seek implements vfs.FileOps: accepted, and without a meaning.
func (t *File) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) { return 0, nil }

// NotPositional implements vfs.NotPositional.
func (t *File) NotPositional() {}

// WaitQueue implements vfs.FileOps.
func (t *File) WaitQueue() *wait.Queue { return &t.queue }

// Release implements vfs.FileOps.
func (t *File) Release(ctx kctx.Ctx, f *vfs.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = 0
	t.armLocked(0)
}

// FDInfo is what /proc/pid/fdinfo shows besides the generic lines.
func (t *File) FDInfo() string {
	it := t.Get()
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("clockid: %d\nticks: %d\nsettime flags: 0%o\nit_value: (%d, %d)\nit_interval: (%d, %d)\n",
		t.clock, t.ticks, t.flags, it.Value.Sec, it.Value.Nsec, it.Interval.Sec, it.Interval.Nsec)
}

// Transfers implements vfs.OneWay.
func (f *File) Transfers(write bool) bool { return !write }
