package vfs

import (
	"sync"

	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"

	"golang.org/x/sys/unix"
)

// Kinds of Owner (F_OWNER_*).
const (
	OwnerTID  = 0
	OwnerPID  = 1
	OwnerPGRP = 2
)

// Owner is who gets SIGIO and SIGURG of a file (fcntl(2), F_SETOWN_EX).
type Owner struct {
	Type int32 // OwnerTID, OwnerPID, OwnerPGRP
	PID  int32 // as the setter saw it
	// Target is the kernel's object for it; vfs only keeps it.
	Target any
}

// asyncIO is the signal-driven part of a file, made when it is first used.
type asyncIO struct {
	mu    sync.Mutex
	owner Owner
	sig   int32
	fd    int32
	entry *wait.Entry
	dn    *dnotify
}

// SendIO sends sig (0: SIGIO without information) to owner because fd became
// ready; the kernel installs it at start.
var SendIO func(owner Owner, sig, fd int32, ev wait.Events)

func (f *File) asyncPart() *asyncIO {
	if a := f.async.Load(); a != nil {
		return a
	}
	f.async.CompareAndSwap(nil, &asyncIO{})
	return f.async.Load()
}

// Owner returns who gets signals of f.
func (f *File) Owner() Owner {
	a := f.async.Load()
	if a == nil {
		return Owner{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owner
}

// SetOwner sets who gets signals of f.
func (f *File) SetOwner(o Owner) {
	a := f.asyncPart()
	a.mu.Lock()
	a.owner = o
	a.mu.Unlock()
}

// Sig returns what F_SETSIG set.
func (f *File) Sig() int32 {
	if a := f.async.Load(); a != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.sig
	}
	return 0
}

// SetSig is F_SETSIG.
func (f *File) SetSig(sig int32) {
	a := f.asyncPart()
	a.mu.Lock()
	a.sig = sig
	a.mu.Unlock()
}

// SetStatus is fcntl(F_SETFL): the settable flags, and O_ASYNC takes effect.
func (f *File) SetStatus(ctx kctx.Ctx, fd int32, flags uint32) {
	old := f.Flags()
	f.SetFlags(flags)
	if (old^flags)&unix.O_ASYNC != 0 {
		f.setAsync(fd, flags&unix.O_ASYNC != 0)
	}
}

func (f *File) setAsync(fd int32, on bool) {
	a := f.asyncPart()
	q := f.WaitQueue()
	if q == nil {
		return
	}
	a.mu.Lock()
	old := a.entry
	a.entry = nil
	if on {
		a.fd = fd
		a.entry = &wait.Entry{Mask: wait.In | wait.Out | wait.Pri | wait.RdHup}
		a.entry.Callback = func(ev wait.Events) {
			// Under the queue's lock, which sending to a process allows; a
			// process group needs the process tree.
			if a.toGroup() {
				go a.send(ev)
			} else {
				a.send(ev)
			}
		}
	}
	e := a.entry
	a.mu.Unlock()
	if old != nil {
		q.Remove(old)
	}
	if e != nil {
		q.Add(e)
	}
}

func (a *asyncIO) toGroup() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owner.Type == OwnerPGRP
}

func (a *asyncIO) send(ev wait.Events) {
	a.mu.Lock()
	o, sig, fd := a.owner, a.sig, a.fd
	a.mu.Unlock()
	if o.PID != 0 && SendIO != nil {
		SendIO(o, sig, fd, ev)
	}
}
