package vfs

import (
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"
)

// Locks on files: record locks of fcntl(2), owned by a descriptor table
// (POSIX) or a description (OFD), and flock(2), owned by a description. They
// hang at the inode.

// LockMax is the end of a record lock up to the end of the file.
const LockMax = math.MaxInt64

// Record is a record lock or a request for one: bytes [Start, End].
type Record struct {
	Type       int16 // F_RDLCK, F_WRLCK, F_UNLCK
	Start, End int64
	// Owner is the descriptor table, or the File for OFD locks.
	Owner any
	PID   int32 // in the root PID namespace; -1 for OFD locks
}

type flockEntry struct {
	f    *File
	excl bool
}

// fileLocks is the locks of one inode, under inodeState.mu.
type fileLocks struct {
	records []Record
	flocks  []flockEntry
	queue   wait.Queue
}

// lockTable knows who waits for whom, to find deadlocks of POSIX locks.
type lockTable struct {
	mu    sync.Mutex
	waits map[any]any // owner -> owner of the lock in the way
}

func conflict(a, b *Record) bool {
	return a.Owner != b.Owner && a.Start <= b.End && b.Start <= a.End &&
		(a.Type == unix.F_WRLCK || b.Type == unix.F_WRLCK)
}

// insertRecord replaces what r's owner holds in r's range by r (nothing, for
// F_UNLCK), and joins neighbours.
func insertRecord(l []Record, r Record) []Record {
	out := make([]Record, 0, len(l)+2)
	for _, x := range l {
		if x.Owner != r.Owner {
			out = append(out, x)
			continue
		}
		touch := x.Type == r.Type && (x.End == LockMax || x.End+1 >= r.Start) && (r.End == LockMax || r.End+1 >= x.Start)
		if touch {
			r.Start, r.End = min(r.Start, x.Start), max(r.End, x.End)
			continue
		}
		if x.End < r.Start || x.Start > r.End {
			out = append(out, x)
			continue
		}
		if x.Start < r.Start {
			y := x
			y.End = r.Start - 1
			out = append(out, y)
		}
		if x.End > r.End {
			y := x
			y.Start = r.End + 1
			out = append(out, y)
		}
	}
	if r.Type != unix.F_UNLCK {
		at := len(out)
		for i := range out {
			if out[i].Start > r.Start {
				at = i
				break
			}
		}
		out = append(out, Record{})
		copy(out[at+1:], out[at:])
		out[at] = r
	}
	return out
}

func (f *File) lockState() *inodeState { return f.sys.base(f.inode).get() }

// SetLock is F_SETLK and F_OFD_SETLK, with block F_SETLKW and F_OFD_SETLKW.
func (f *File) SetLock(ctx kctx.Ctx, r Record, block bool) error {
	st := f.lockState()
	if r.Owner == any(f) {
		f.locked.Store(true)
	}
	var e *wait.Entry
	for {
		st.mu.Lock()
		var in *Record
		if r.Type != unix.F_UNLCK {
			for i := range st.locks.records {
				if conflict(&st.locks.records[i], &r) {
					in = &st.locks.records[i]
					break
				}
			}
		}
		if in == nil {
			st.locks.records = insertRecord(st.locks.records, r)
			st.mu.Unlock()
			st.locks.queue.Notify(wait.In)
			return nil
		}
		holder := in.Owner
		st.mu.Unlock()
		if !block {
			return errno.EAGAIN
		}
		if e == nil {
			e = wait.NewEntry(wait.In)
			st.locks.queue.Add(e)
			defer st.locks.queue.Remove(e)
			continue
		}
		if !f.sys.locks.wait(r.Owner, holder) {
			return errno.EDEADLK
		}
		err := ctx.Block(e, time.Time{})
		f.sys.locks.done(r.Owner)
		if err != nil {
			return err
		}
	}
}

// wait records that owner waits for holder; false if that closes a circle.
// OFD locks take no part in that, as in Linux.
func (t *lockTable) wait(owner, holder any) bool {
	if _, ofd := owner.(*File); ofd {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for o, n := holder, 0; o != nil && n < 10000; n++ {
		if o == owner {
			return false
		}
		o = t.waits[o]
	}
	if t.waits == nil {
		t.waits = map[any]any{}
	}
	t.waits[owner] = holder
	return true
}

func (t *lockTable) done(owner any) {
	t.mu.Lock()
	delete(t.waits, owner)
	t.mu.Unlock()
}

// TestLock is F_GETLK: the first lock in r's way, or ok false.
func (f *File) TestLock(r Record) (in Record, ok bool) {
	st := f.lockState()
	st.mu.Lock()
	defer st.mu.Unlock()
	for i := range st.locks.records {
		if conflict(&st.locks.records[i], &r) {
			return st.locks.records[i], true
		}
	}
	return Record{}, false
}

// releaseRecordLocks ends owner's POSIX locks on the file.
func (f *File) releaseRecordLocks(owner any) {
	b := f.sys.peek(f.inode)
	if b == nil {
		return
	}
	st := b.state.Load()
	if st == nil {
		return
	}
	st.mu.Lock()
	had := false
	for i := range st.locks.records {
		had = had || st.locks.records[i].Owner == owner
	}
	if had {
		st.locks.records = insertRecord(st.locks.records, Record{Type: unix.F_UNLCK, Start: 0, End: LockMax, Owner: owner})
	}
	st.mu.Unlock()
	if had {
		st.locks.queue.Notify(wait.In)
	}
}

// releaseLocks ends the flock and OFD locks of a description.
func (f *File) releaseLocks() {
	f.releaseRecordLocks(f)
	f.flockRemove()
	f.dropLease()
}

func (f *File) flockRemove() {
	st := f.lockState()
	st.mu.Lock()
	for i := range st.locks.flocks {
		if st.locks.flocks[i].f == f {
			st.locks.flocks = append(st.locks.flocks[:i], st.locks.flocks[i+1:]...)
			break
		}
	}
	st.mu.Unlock()
	st.locks.queue.Notify(wait.In)
}

// Flock is flock(2) with LOCK_SH, LOCK_EX or LOCK_UN, and LOCK_NB.
func (f *File) Flock(ctx kctx.Ctx, op int32) error {
	if op&unix.LOCK_UN != 0 {
		if f.locked.Load() {
			f.flockRemove()
		}
		return nil
	}
	excl := op&unix.LOCK_EX != 0
	f.locked.Store(true)
	st := f.lockState()
	var e *wait.Entry
	for {
		st.mu.Lock()
		mine, blocked := -1, false
		for i := range st.locks.flocks {
			x := &st.locks.flocks[i]
			if x.f == f {
				mine = i
			} else if x.excl || excl {
				blocked = true
			}
		}
		if mine >= 0 && st.locks.flocks[mine].excl == excl {
			st.mu.Unlock()
			return nil
		}
		if !blocked {
			if mine >= 0 {
				st.locks.flocks[mine].excl = excl
			} else {
				st.locks.flocks = append(st.locks.flocks, flockEntry{f, excl})
			}
			st.mu.Unlock()
			st.locks.queue.Notify(wait.In)
			return nil
		}
		if mine >= 0 {
			// A conversion gives up the old lock first (flock(2)).
			st.locks.flocks = append(st.locks.flocks[:mine], st.locks.flocks[mine+1:]...)
		}
		st.mu.Unlock()
		if mine >= 0 {
			st.locks.queue.Notify(wait.In)
		}
		if op&unix.LOCK_NB != 0 {
			return errno.EAGAIN
		}
		if e == nil {
			e = wait.NewEntry(wait.In)
			st.locks.queue.Add(e)
			defer st.locks.queue.Remove(e)
			continue
		}
		if err := ctx.Block(e, time.Time{}); err != nil {
			return err
		}
	}
}
