// Package wait lets one goroutine sleep until an object becomes ready.
//
// An object that can become ready (pipe, socket, futex, child process) embeds
// a Queue. A waiter puts an Entry on it, re-checks the condition, and blocks
// on the Entry's channel through kctx.Ctx.Block; whoever changes the object
// calls Notify. epoll and other observers use an Entry with a callback.
//
// Lock order: Queue.mu is a leaf; callbacks run under it and must not block
// or take the queue's lock again.
package wait

import (
	"sync"
	"sync/atomic"
)

// Events is a set of POLL* bits (poll(2)).
type Events uint32

// Readiness bits with the values of poll(2) and epoll(7).
const (
	In     Events = 0x001
	Pri    Events = 0x002
	Out    Events = 0x004
	Err    Events = 0x008
	Hup    Events = 0x010
	Nval   Events = 0x020
	RdNorm Events = 0x040
	RdBand Events = 0x080
	WrNorm Events = 0x100
	WrBand Events = 0x200
	Msg    Events = 0x400
	RdHup  Events = 0x2000

	// Readable and Writable group what select(2) calls so.
	Readable = In | RdNorm | RdBand | Hup | Err
	Writable = Out | WrNorm | WrBand | Err
	// All is every event.
	All Events = 0xffff
)

// Entry is one waiter on one queue. Not to be copied while registered.
type Entry struct {
	// Mask selects the events that wake this entry (Err and Hup always do).
	Mask Events
	// C receives one token at most; NewEntry makes it with room for one.
	C chan struct{}
	// Callback, if not nil, is called instead of sending on C, with the
	// events that fired. It runs under the queue's lock and must not block.
	Callback func(Events)
	// Exclusive entries are woken one at a time (EPOLLEXCLUSIVE, accept(2)).
	Exclusive bool

	q          *Queue
	prev, next *Entry
}

// NewEntry returns an entry that signals a channel.
func NewEntry(mask Events) *Entry { return &Entry{Mask: mask, C: make(chan struct{}, 1)} }

// Queue is the list of waiters of one object. The zero value is ready.
type Queue struct {
	mu         sync.Mutex
	head, tail *Entry
	n          atomic.Int32
}

// Add registers e. The caller must check the condition again afterwards.
func (q *Queue) Add(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e.q, e.prev, e.next = q, q.tail, nil
	if q.tail != nil {
		q.tail.next = e
	} else {
		q.head = e
	}
	q.tail = e
	q.n.Add(1)
}

// Remove takes e off; no callback of it runs after Remove returned.
func (q *Queue) Remove(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if e.q != q {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.tail = e.prev
	}
	e.q, e.prev, e.next = nil, nil, nil
	q.n.Add(-1)
}

// Empty says whether nobody waits; a cheap hint for hot paths.
func (q *Queue) Empty() bool { return q.n.Load() == 0 }

// Notify wakes every entry interested in ev.
func (q *Queue) Notify(ev Events) {
	if q.n.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	wokeExclusive := false
	for e := q.head; e != nil; {
		next := e.next
		if hit := ev & (e.Mask | Err | Hup); hit != 0 && !(e.Exclusive && wokeExclusive) {
			wokeExclusive = wokeExclusive || e.Exclusive
			if e.Callback != nil {
				e.Callback(hit)
			} else {
				select {
				case e.C <- struct{}{}:
				default:
				}
			}
		}
		e = next
	}
}

// Waitable is anything that can be polled.
type Waitable interface {
	// Ready returns which of mask is true now.
	Ready(mask Events) Events
	// Queue is where waiters register; nil if the object is always ready.
	WaitQueue() *Queue
}
