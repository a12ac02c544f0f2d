// Package eventfd has the files of eventfd2(2): a 64-bit counter to wait on.
package eventfd

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// File is one event counter. mu is a leaf.
type File struct {
	vfs.StreamBase
	semaphore bool
	queue     wait.Queue

	mu    sync.Mutex
	count uint64
}

// Ops returns the operations of a new counter.
func Ops(initial uint64, semaphore bool) *File { return &File{count: initial, semaphore: semaphore} }

// New returns an open eventfd; flags are O_NONBLOCK or 0.
func New(ctx kctx.Ctx, sys *vfs.System, initial uint64, semaphore bool, flags uint32) *vfs.File {
	return vfs.NewAnonFileFor(ctx, sys, "anon_inode:[eventfd]", Ops(initial, semaphore), unix.O_RDWR|flags)
}

// Read implements vfs.FileOps.
func (e *File) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	if dst.Len() < 8 {
		return 0, errno.EINVAL
	}
	e.mu.Lock()
	v := e.count
	if v == 0 {
		e.mu.Unlock()
		return 0, errno.EAGAIN
	}
	if e.semaphore {
		v = 1
	}
	e.count -= v
	e.mu.Unlock()
	e.queue.Notify(wait.Out | wait.WrNorm)
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], v)
	if _, err := dst.Put(b[:]); err != nil {
		return 0, err
	}
	return 8, nil
}

// Write implements vfs.FileOps.
func (e *File) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	if src.Len() != 8 {
		return 0, errno.EINVAL
	}
	// File.Write tries again after EAGAIN with the same Buf: look, do not take.
	var b [8]byte
	if n, err := src.Peek(b[:]); err != nil {
		return 0, err
	} else if n < 8 {
		return 0, errno.EFAULT
	}
	if err := e.Add(binary.NativeEndian.Uint64(b[:])); err != nil {
		return 0, err
	}
	src.Skip(8)
	return 8, nil
}

// Add adds v: EINVAL for 2^64-1, EAGAIN if it does not fit now.
func (e *File) Add(v uint64) error {
	if v == math.MaxUint64 {
		return errno.EINVAL
	}
	e.mu.Lock()
	if v > math.MaxUint64-1-e.count {
		e.mu.Unlock()
		return errno.EAGAIN
	}
	e.count += v
	e.mu.Unlock()
	e.queue.Notify(wait.In | wait.RdNorm)
	return nil
}

// Ready implements vfs.FileOps. Linux's eventfd, timerfd and signalfd give no
// RDNORM and WRNORM.
func (e *File) Ready(mask wait.Events) wait.Events {
	e.mu.Lock()
	defer e.mu.Unlock()
	var r wait.Events
	if e.count > 0 {
		r |= wait.In
	}
	if e.count < math.MaxUint64-1 {
		r |= wait.Out
	}
	return r & mask
}

// Seek implements vfs.FileOps: accepted, and without a meaning.
func (e *File) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) { return 0, nil }

// NotPositional implements vfs.NotPositional.
func (e *File) NotPositional() {}

// WaitQueue implements vfs.FileOps.
func (e *File) WaitQueue() *wait.Queue { return &e.queue }

// FDInfo is what /proc/pid/fdinfo shows besides the generic lines.
func (e *File) FDInfo() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	sem := 0
	if e.semaphore {
		sem = 1
	}
	return fmt.Sprintf("eventfd-count: %16x\neventfd-semaphore: %d\n", e.count, sem)
}
