package signal

import "math/bits"

// Entry is one queued signal.
type Entry struct {
	Info Info
	// Forced marks a signal without a full siginfo (the queue was full).
	next *Entry
	// Owner gets the queue slot back (RLIMIT_SIGPENDING); nil if none was taken.
	Owner Owner
	// Static entries are part of another object (a POSIX timer), which is
	// told when it leaves the queue and may be queued only once.
	Static func(*Info)
}

// Owner counts the queued signals of one user.
type Owner interface{ SignalDone() }

// Queue has the pending signals of a task or a process. Standard signals are
// queued once; real-time signals in order, as often as sent.
type Queue struct {
	set        Set
	head, tail *Entry
}

// Pending is the set of signals in the queue.
func (q *Queue) Pending() Set { return q.set }

// Has says whether sig is queued.
func (q *Queue) Has(sig int32) bool { return q.set.Has(sig) }

// Add queues e.
func (q *Queue) Add(e *Entry) {
	e.next = nil
	if q.tail == nil {
		q.head = e
	} else {
		q.tail.next = e
	}
	q.tail = e
	q.set |= 1 << (e.Info.Signo - 1)
}

// Mark makes sig pending without a siginfo (no memory or quota for one).
func (q *Queue) Mark(sig int32) { q.set |= 1 << (sig - 1) }

// Next returns the signal that Take would take under mask: synchronous ones
// first, then the lowest number; 0 if none (linux: next_signal).
func (q *Queue) Next(mask Set) int32 {
	s := q.set &^ mask
	if s == 0 {
		return 0
	}
	if sync := s & Synchronous; sync != 0 {
		s = sync
	}
	return int32(bits.TrailingZeros64(uint64(s))) + 1
}

// Take removes the first queued signal sig and fills info.
func (q *Queue) Take(sig int32, info *Info) bool {
	if !q.set.Has(sig) {
		return false
	}
	var found, prev, foundPrev *Entry
	more := false
	for e := q.head; e != nil; prev, e = e, e.next {
		if e.Info.Signo != sig {
			continue
		}
		if found != nil {
			more = true
			break
		}
		found, foundPrev = e, prev
	}
	if !more {
		q.set &^= 1 << (sig - 1)
	}
	if found == nil {
		// Marked only: what is known is that it was sent by someone.
		*info = Info{Signo: sig, Code: SIUser}
		return true
	}
	q.unlink(found, foundPrev)
	*info = found.Info
	found.done(info)
	return true
}

func (e *Entry) done(info *Info) {
	if e.Owner != nil {
		e.Owner.SignalDone()
	}
	if e.Static != nil {
		e.Static(info)
	}
}

func (q *Queue) unlink(e, prev *Entry) {
	if prev == nil {
		q.head = e.next
	} else {
		prev.next = e.next
	}
	if q.tail == e {
		q.tail = prev
	}
	e.next = nil
}

// Discard drops every queued signal of set.
func (q *Queue) Discard(set Set) {
	if q.set&set == 0 {
		return
	}
	q.set &^= set
	var prev *Entry
	for e := q.head; e != nil; {
		next := e.next
		if set.Has(e.Info.Signo) {
			q.unlink(e, prev)
			e.done(&e.Info)
		} else {
			prev = e
		}
		e = next
	}
}

// Remove takes one entry out (a timer that is deleted while its signal waits).
func (q *Queue) Remove(x *Entry) {
	var prev *Entry
	left, seen := false, false
	for e := q.head; e != nil; e = e.next {
		if e == x {
			seen = true
			break
		}
		prev = e
	}
	if !seen {
		return
	}
	q.unlink(x, prev)
	for e := q.head; e != nil; e = e.next {
		left = left || e.Info.Signo == x.Info.Signo
	}
	if !left {
		q.set &^= 1 << (x.Info.Signo - 1)
	}
}

// Each calls fn for every queued siginfo in order (PTRACE_PEEKSIGINFO).
func (q *Queue) Each(fn func(*Info) bool) {
	for e := q.head; e != nil; e = e.next {
		if !fn(&e.Info) {
			return
		}
	}
}
