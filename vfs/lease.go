package vfs

import (
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"
)

// Leases (fcntl(2), F_SETLEASE): a holder is told by a signal when somebody
// opens the file in a conflicting way, who waits until the lease is given up
// or leaseBreakTime is over.

const leaseBreakTime = 45 * time.Second // fs.lease-break-time

type lease struct {
	f        *File
	fd       int32
	kind     int16 // F_RDLCK or F_WRLCK
	breaking bool
	target   int16
}

// Lease is F_GETLEASE.
func (f *File) Lease() int16 {
	b := f.sys.peek(f.inode)
	if b == nil || b.state.Load() == nil {
		return unix.F_UNLCK
	}
	st := b.state.Load()
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, l := range st.leases {
		if l.f == f {
			if l.breaking {
				return l.target
			}
			return l.kind
		}
	}
	return unix.F_UNLCK
}

// SetLease is F_SETLEASE; the owner of signals is set by the caller.
func (f *File) SetLease(ctx kctx.Ctx, fd int32, kind int16) error {
	mode, uid, gid := f.inode.Attr()
	cr := ctx.Creds()
	if cr.FSUID != uid && !capable(cr, creds.CapLease, uid, gid) {
		return errno.EACCES
	}
	if mode&typeMask != typeReg {
		return errno.EINVAL
	}
	b := f.sys.base(f.inode)
	st := b.get()
	st.mu.Lock()
	defer st.mu.Unlock()
	mine := -1
	for i, l := range st.leases {
		if l.f == f {
			mine = i
		} else if kind == unix.F_WRLCK || kind != unix.F_UNLCK && l.kind == unix.F_WRLCK {
			return errno.EAGAIN
		}
	}
	switch kind {
	case unix.F_UNLCK:
		if mine < 0 {
			return errno.EAGAIN
		}
		st.leases = append(st.leases[:mine], st.leases[mine+1:]...)
		st.locks.queue.Notify(wait.In)
		return nil
	case unix.F_RDLCK:
		if b.writers.Load() > 0 {
			return errno.EAGAIN
		}
	case unix.F_WRLCK:
		if f.path.Dentry.refs.Load() > 1 {
			return errno.EAGAIN
		}
	default:
		return errno.EINVAL
	}
	if mine >= 0 {
		st.leases[mine].kind, st.leases[mine].breaking = kind, false
		st.locks.queue.Notify(wait.In)
		return nil
	}
	f.locked.Store(true)
	st.leases = append(st.leases, &lease{f: f, fd: fd, kind: kind})
	return nil
}

// dropLease ends f's lease when it is released.
func (f *File) dropLease() {
	st := f.lockState()
	st.mu.Lock()
	defer st.mu.Unlock()
	for i, l := range st.leases {
		if l.f == f {
			st.leases = append(st.leases[:i], st.leases[i+1:]...)
			st.locks.queue.Notify(wait.In)
			return
		}
	}
}

// breakLeases makes way for an open: write says that it may write.
func (s *System) breakLeases(ctx kctx.Ctx, i Inode, write, nonblock bool) error {
	b := s.peek(i)
	if b == nil {
		return nil
	}
	st := b.state.Load()
	if st == nil {
		return nil
	}
	var e *wait.Entry
	deadline := time.Now().Add(leaseBreakTime)
	for {
		st.mu.Lock()
		waiting := false
		for _, l := range st.leases {
			if l.kind == unix.F_RDLCK && !write {
				continue
			}
			target := int16(unix.F_RDLCK)
			if write {
				target = unix.F_UNLCK
			}
			waiting = true
			if !l.breaking {
				l.breaking, l.target = true, target
				a := l.f.asyncPart()
				a.mu.Lock()
				o, sig := a.owner, a.sig
				a.mu.Unlock()
				if o.PID != 0 && SendIO != nil {
					go SendIO(o, sig, l.fd, wait.Msg)
				}
			}
		}
		st.mu.Unlock()
		if !waiting {
			return nil
		}
		if nonblock {
			return errno.EAGAIN
		}
		if e == nil {
			e = wait.NewEntry(wait.In)
			st.locks.queue.Add(e)
			defer st.locks.queue.Remove(e)
			continue
		}
		if err := ctx.Block(e, deadline); err == errno.ETIMEDOUT {
			st.mu.Lock()
			st.leases = nil
			st.mu.Unlock()
			return nil
		} else if err != nil {
			return err
		}
	}
}
