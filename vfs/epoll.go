package vfs

import (
	"sync"
	"time"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
)

// Flags of epoll events beside the readiness bits.
const (
	EpollExclusive = 1 << 28
	EpollWakeup    = 1 << 29
	EpollOneshot   = 1 << 30
	EpollET        = 1 << 31
)

// EpollEvent is struct epoll_event without its packing.
type EpollEvent struct {
	Events uint32
	Data   uint64
}

// Epoll is an epoll instance (epoll(7)) as FileOps.
//
// Files announce readiness through a callback on their wait queue, which puts
// the interest on the ready list; epoll_wait(2) looks only at that list. Lock
// order: ctlMu; the wait queue of a file, then listMu (in the callback). Ready
// is never called under listMu.
type Epoll struct {
	StreamBase
	queue wait.Queue

	// ctlMu serialises changes of the set.
	ctlMu sync.Mutex
	items map[epollKey]*epollItem

	listMu sync.Mutex
	ready  *epollItem // a ring through next and prev
	n      int
	// seq numbers scans of the list.
	seq uint64
}

// Len is how many files the set watches.
func (ep *Epoll) Len() int {
	ep.ctlMu.Lock()
	defer ep.ctlMu.Unlock()
	return len(ep.items)
}

type epollKey struct {
	f  *File
	fd int32
}

type epollItem struct {
	ep    *Epoll
	key   epollKey
	entry wait.Entry
	// Under listMu.
	events     uint32
	data       uint64
	prev, next *epollItem
	gone       bool
	seq        uint64
	// In the file's list, under epollRef.mu.
	ref *epollRef
}

// epollRef is the interests in one file.
type epollRef struct {
	mu    sync.Mutex
	items []*epollItem
}

// NewEpoll makes an instance.
func NewEpoll(ctx kctx.Ctx, s *System) *File {
	ep := &Epoll{items: map[epollKey]*epollItem{}}
	return NewAnonFileFor(ctx, s, "anon_inode:[eventpoll]", ep, 2)
}

// WaitQueue implements FileOps.
func (ep *Epoll) WaitQueue() *wait.Queue { return &ep.queue }

// Ready says readable if an event waits.
func (ep *Epoll) Ready(mask wait.Events) wait.Events {
	if mask&(wait.In|wait.RdNorm) == 0 {
		return 0
	}
	if ep.collect(nil) > 0 {
		return mask & (wait.In | wait.RdNorm)
	}
	return 0
}

// pushLocked puts it on the ready list. Precondition: ep.listMu.
func (ep *Epoll) pushLocked(it *epollItem) {
	if it.next != nil || it.gone {
		return
	}
	ep.n++
	if ep.ready == nil {
		it.prev, it.next = it, it
		ep.ready = it
		return
	}
	it.next, it.prev = ep.ready, ep.ready.prev
	it.prev.next, it.next.prev = it, it
}

func (ep *Epoll) popLocked(it *epollItem) {
	if it.next == nil {
		return
	}
	ep.n--
	if it.next == it {
		ep.ready = nil
	} else {
		it.prev.next, it.next.prev = it.next, it.prev
		if ep.ready == it {
			ep.ready = it.next
		}
	}
	it.prev, it.next = nil, nil
}

// fired is the callback of a file's queue.
func (it *epollItem) fired(ev wait.Events) {
	ep := it.ep
	ep.listMu.Lock()
	if it.events&^(EpollET|EpollOneshot|EpollExclusive|EpollWakeup) == 0 || it.gone {
		ep.listMu.Unlock() // disabled by EPOLLONESHOT
		return
	}
	ep.pushLocked(it)
	ep.listMu.Unlock()
	ep.queue.Notify(wait.In | wait.RdNorm)
}

const epollBits = uint32(wait.All)

// maxNests is how deep epoll instances may watch each other (EP_MAX_NESTS).
const maxNests = 4

var epollLoopMu sync.Mutex // serialises adding one epoll to another

// depth returns how deep the instances below ep go; reaches says whether
// target is among them.
func (ep *Epoll) depth(target *Epoll, level int) (d int, reaches bool) {
	if ep == target {
		return 0, true
	}
	if level > maxNests+1 {
		return level, false
	}
	ep.ctlMu.Lock()
	var below []*Epoll
	for k := range ep.items {
		if e, ok := k.f.ops.(*Epoll); ok {
			below = append(below, e)
		}
	}
	ep.ctlMu.Unlock()
	for _, e := range below {
		n, r := e.depth(target, level+1)
		if r {
			return 0, true
		}
		d = max(d, n+1)
	}
	return d, false
}

// Add is EPOLL_CTL_ADD.
func (ep *Epoll) Add(self, f *File, fd int32, ev EpollEvent) error {
	if f == self || f.mode&fPath != 0 {
		return errno.EINVAL
	}
	q := f.WaitQueue()
	if q == nil {
		return errno.EPERM
	}
	if sub, ok := f.ops.(*Epoll); ok {
		if ev.Events&EpollExclusive != 0 {
			return errno.EINVAL
		}
		epollLoopMu.Lock()
		defer epollLoopMu.Unlock()
		d, loop := sub.depth(ep, 0)
		if loop || d >= maxNests {
			return errno.ELOOP
		}
	}
	k := epollKey{f, fd}
	ep.ctlMu.Lock()
	if ep.items[k] != nil {
		ep.ctlMu.Unlock()
		return errno.EEXIST
	}
	it := &epollItem{ep: ep, key: k, events: ev.Events | uint32(wait.Err|wait.Hup), data: ev.Data}
	it.entry.Mask = wait.Events(ev.Events) & wait.All
	it.entry.Callback = it.fired
	it.entry.Exclusive = ev.Events&EpollExclusive != 0
	ep.items[k] = it
	f.epollAdd(it)
	ep.ctlMu.Unlock()
	q.Add(&it.entry)
	ep.recheck(it)
	return nil
}

// recheck puts it on the list if its file is ready now.
func (ep *Epoll) recheck(it *epollItem) {
	ep.listMu.Lock()
	mask := wait.Events(it.events) & wait.All
	ep.listMu.Unlock()
	if it.key.f.Ready(mask)&mask == 0 {
		return
	}
	ep.listMu.Lock()
	ep.pushLocked(it)
	ep.listMu.Unlock()
	ep.queue.Notify(wait.In | wait.RdNorm)
}

// Modify is EPOLL_CTL_MOD.
func (ep *Epoll) Modify(f *File, fd int32, ev EpollEvent) error {
	ep.ctlMu.Lock()
	it := ep.items[epollKey{f, fd}]
	if it == nil {
		ep.ctlMu.Unlock()
		return errno.ENOENT
	}
	if it.entry.Exclusive || ev.Events&EpollExclusive != 0 {
		ep.ctlMu.Unlock()
		return errno.EINVAL
	}
	ep.listMu.Lock()
	it.events = ev.Events | uint32(wait.Err|wait.Hup)
	it.data = ev.Data
	ep.listMu.Unlock()
	// The mask is read under the queue's lock: register anew.
	q := f.WaitQueue()
	q.Remove(&it.entry)
	it.entry.Mask = wait.Events(ev.Events) & wait.All
	q.Add(&it.entry)
	ep.ctlMu.Unlock()
	ep.recheck(it)
	return nil
}

// Delete is EPOLL_CTL_DEL.
func (ep *Epoll) Delete(f *File, fd int32) error {
	ep.ctlMu.Lock()
	k := epollKey{f, fd}
	it := ep.items[k]
	if it == nil {
		ep.ctlMu.Unlock()
		return errno.ENOENT
	}
	delete(ep.items, k)
	ep.ctlMu.Unlock()
	f.epollRemove(it)
	ep.forget(it)
	return nil
}

// forget ends an item that is in no set any more.
func (ep *Epoll) forget(it *epollItem) {
	if q := it.key.f.WaitQueue(); q != nil {
		q.Remove(&it.entry)
	}
	ep.listMu.Lock()
	it.gone = true
	ep.popLocked(it)
	ep.listMu.Unlock()
}

// collect moves through the ready list and fills out; with a nil out it only
// counts whether there is an event.
func (ep *Epoll) collect(out []EpollEvent) int {
	ep.listMu.Lock()
	ep.seq++
	seq := ep.seq
	n := 0
	for {
		it := ep.ready
		if it == nil || it.seq == seq || out != nil && n == len(out) {
			break
		}
		it.seq = seq
		mask := wait.Events(it.events) & wait.All
		// Off the list while its file is asked, so that an event meanwhile
		// puts it back.
		ep.popLocked(it)
		ep.listMu.Unlock()
		ev := wait.Events(0)
		if it.key.f.refs.Load() > 0 {
			// A file released meanwhile may still be asked: objects stay sound.
			ev = it.key.f.Ready(mask) & mask
		}
		ep.listMu.Lock()
		if ev == 0 {
			continue
		}
		if out == nil {
			ep.pushLocked(it)
			n++
			break
		}
		out[n] = EpollEvent{uint32(ev), it.data}
		n++
		switch {
		case it.events&EpollOneshot != 0:
			it.events &= EpollET | EpollOneshot | EpollExclusive | EpollWakeup
			ep.popLocked(it)
		case it.events&EpollET == 0:
			ep.pushLocked(it)
		}
	}
	ep.listMu.Unlock()
	return n
}

// Wait is epoll_wait(2): it fills out and returns how many. A zero deadline
// means for ever, poll not to wait.
func (ep *Epoll) Wait(ctx kctx.Ctx, out []EpollEvent, deadline time.Time, poll bool) (int, error) {
	if n := ep.collect(out); n > 0 || poll {
		return n, nil
	}
	e := wait.NewEntry(wait.In)
	e.Exclusive = true
	ep.queue.Add(e)
	defer ep.queue.Remove(e)
	for {
		if n := ep.collect(out); n > 0 {
			ep.passOn(e)
			return n, nil
		}
		if err := ctx.Block(e, deadline); err != nil {
			ep.passOn(e)
			if err == errno.ETIMEDOUT {
				return ep.collect(out), nil
			}
			return 0, err
		}
	}
}

// passOn wakes another waiter if events are left: waiters are woken one at a
// time, and this one goes.
func (ep *Epoll) passOn(e *wait.Entry) {
	ep.queue.Remove(e)
	ep.listMu.Lock()
	left := ep.n > 0
	ep.listMu.Unlock()
	if left {
		ep.queue.Notify(wait.In | wait.RdNorm)
	}
}

// Release ends every interest.
func (ep *Epoll) Release(ctx kctx.Ctx, _ *File) {
	ep.ctlMu.Lock()
	items := ep.items
	ep.items = nil
	ep.ctlMu.Unlock()
	for _, it := range items {
		it.key.f.epollRemove(it)
		ep.forget(it)
	}
}

// EpollInterest is one line of /proc/pid/fdinfo of an epoll instance.
type EpollInterest struct {
	FD     int32
	Events uint32
	Data   uint64
	File   *File
}

// Interests lists the set.
func (ep *Epoll) Interests() []EpollInterest {
	ep.ctlMu.Lock()
	defer ep.ctlMu.Unlock()
	l := make([]EpollInterest, 0, len(ep.items))
	for k, it := range ep.items {
		ep.listMu.Lock()
		l = append(l, EpollInterest{k.fd, it.events, it.data, k.f})
		ep.listMu.Unlock()
	}
	return l
}

func (f *File) epollAdd(it *epollItem) {
	r := f.epolls.Load()
	if r == nil {
		f.epolls.CompareAndSwap(nil, new(epollRef))
		r = f.epolls.Load()
	}
	r.mu.Lock()
	r.items = append(r.items, it)
	r.mu.Unlock()
}

func (f *File) epollRemove(it *epollItem) {
	r := f.epolls.Load()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, x := range r.items {
		if x == it {
			r.items = append(r.items[:i], r.items[i+1:]...)
			return
		}
	}
}

// epollGone ends the interests in a file that is being released.
func (f *File) epollGone() {
	r := f.epolls.Load()
	if r == nil {
		return
	}
	r.mu.Lock()
	items := r.items
	r.items = nil
	r.mu.Unlock()
	for _, it := range items {
		ep := it.ep
		ep.ctlMu.Lock()
		if ep.items[it.key] == it {
			delete(ep.items, it.key)
		}
		ep.ctlMu.Unlock()
		ep.forget(it)
	}
}

// Ioctl knows no command (linux: fs/eventpoll.c ep_eventpoll_ioctl).
func (ep *Epoll) Ioctl(kctx.Ctx, *File, usermem.IO, uint32, uint64) (uint64, error) {
	return 0, errno.EINVAL
}

// Transfers implements OneWay.
func (ep *Epoll) Transfers(bool) bool { return false }
