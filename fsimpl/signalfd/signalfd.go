// Package signalfd has the files of signalfd4(2): pending signals of whoever
// reads, as records.
//
// A read takes the reader's signals, so after fork(2) parent and child share
// the description and see different things. Readiness for poll(2) is that of
// the task that made the file or read it last.
package signalfd

import (
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// File is one signalfd. mu is a leaf.
type File struct {
	vfs.StreamBase
	mask  atomic.Uint64
	queue wait.Queue
	task  atomic.Pointer[kernel.Task]

	mu      sync.Mutex
	watched map[*kernel.ThreadGroup]*wait.Entry
}

// New returns an open signalfd for the signals of mask.
func New(t *kernel.Task, mask signal.Set, flags uint32) *vfs.File {
	s := &File{watched: map[*kernel.ThreadGroup]*wait.Entry{}}
	s.SetMask(mask)
	s.watch(t)
	return vfs.NewAnonFileFor(t, t.Kernel().VFS(), "anon_inode:[signalfd]", s, unix.O_RDWR|flags)
}

// SetMask changes the signals (signalfd4 on an existing descriptor).
func (s *File) SetMask(mask signal.Set) {
	s.mask.Store(uint64(mask &^ signal.Unblockable))
	s.queue.Notify(wait.In)
}

// watch makes new signals of t's process wake those who wait for s.
func (s *File) watch(t *kernel.Task) {
	s.task.Store(t)
	tg := t.ThreadGroup()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watched[tg] != nil {
		return
	}
	e := &wait.Entry{Mask: wait.All, Callback: func(wait.Events) { s.queue.Notify(wait.In | wait.RdNorm) }}
	s.watched[tg] = e
	tg.SignalQueue().Add(e)
}

// Read implements vfs.FileOps.
func (s *File) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	var rec unix.SignalfdSiginfo
	const size = 128 // of struct signalfd_siginfo
	if dst.Len() < size {
		return 0, errno.EINVAL
	}
	t, ok := ctx.(*kernel.Task)
	if !ok {
		return 0, errno.EAGAIN
	}
	if s.task.Load() != t {
		s.watch(t)
	}
	var done int64
	for dst.Len() >= size {
		var info signal.Info
		if !t.TakeSignal(signal.Set(s.mask.Load()), &info) {
			break
		}
		rec = record(&info)
		if _, err := dst.Put(usermem.AsBytes(&rec)); err != nil {
			if done > 0 {
				return done, nil
			}
			return 0, err
		}
		done += size
	}
	if done == 0 {
		return 0, errno.EAGAIN
	}
	return done, nil
}

// record fills the fields that a signal's code gives meaning to (linux:
// signalfd_copyinfo).
func record(i *signal.Info) unix.SignalfdSiginfo {
	r := unix.SignalfdSiginfo{Signo: uint32(i.Signo), Errno: i.Errno, Code: i.Code}
	switch {
	case i.Code == signal.SITimer:
		r.Tid, r.Overrun = uint32(i.TimerID()), uint32(i.Overrun())
		r.Ptr, r.Int = i.Value(), int32(i.Value())
	case i.Code == signal.SISigIO || i.Signo == int32(unix.SIGIO) && i.Code > 0:
		r.Band, r.Fd = uint32(i.Band()), i.FD()
	case i.Code == signal.SIUser || i.Code == signal.SITkill:
		r.Pid, r.Uid = uint32(i.PID()), i.UID()
	case i.Code < 0:
		r.Pid, r.Uid = uint32(i.PID()), i.UID()
		r.Ptr, r.Int = i.Value(), int32(i.Value())
	case i.Signo == int32(unix.SIGCHLD):
		u, st := i.Times()
		r.Pid, r.Uid, r.Status = uint32(i.PID()), i.UID(), i.Status()
		r.Utime, r.Stime = uint64(u), uint64(st)
	case signal.Synchronous.Has(i.Signo) && i.Code != signal.SIKernel:
		r.Addr = i.Addr()
	}
	return r
}

// Ready implements vfs.FileOps.
func (s *File) Ready(mask wait.Events) wait.Events {
	if t := s.task.Load(); t != nil && t.HasPending(signal.Set(s.mask.Load())) {
		return mask & wait.In
	}
	return 0
}

// Seek implements vfs.FileOps: accepted, and without a meaning.
func (s *File) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) { return 0, nil }

// NotPositional implements vfs.NotPositional.
func (s *File) NotPositional() {}

// WaitQueue implements vfs.FileOps.
func (s *File) WaitQueue() *wait.Queue { return &s.queue }

// Release implements vfs.FileOps.
func (s *File) Release(ctx kctx.Ctx, f *vfs.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tg, e := range s.watched {
		tg.SignalQueue().Remove(e)
	}
	s.watched = nil
	s.task.Store(nil)
}

// FDInfo is what /proc/pid/fdinfo shows besides the generic lines.
func (s *File) FDInfo() string { return fmt.Sprintf("sigmask:\t%016x\n", s.mask.Load()) }

// Transfers implements vfs.OneWay.
func (f *File) Transfers(write bool) bool { return !write }
