package futex

import (
	"time"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
)

// Bits of a PI or robust futex word.
const (
	Waiters   = 0x80000000
	OwnerDied = 0x40000000
	TIDMask   = 0x3fffffff
)

// Differs: no priority is inherited, since the sentry has one kind of thread;
// ownership passes to the waiter that came first.

// LockPI is FUTEX_LOCK_PI (FUTEX_TRYLOCK_PI with try): own the word at addr.
// alive says whether a thread id exists.
func (t *Table) LockPI(ctx kctx.Ctx, m usermem.IO, k Key, addr uint64, tid uint32, try bool, alive func(uint32) bool, deadline time.Time, w *Waiter) error {
	w.init(k, 0)
	w.pi, w.tid = true, tid
	b := t.bucket(k)
	b.n.Add(1)
	b.mu.Lock()
	err := t.acquirePI(b, m, k, addr, tid, alive)
	if err == errno.EAGAIN && !try {
		t.pi.Add(1)
		b.add(w)
		b.mu.Unlock()
		err = ctx.Block(w.e, deadline)
		return t.finishPI(w, err)
	}
	b.mu.Unlock()
	b.n.Add(-1)
	if err == errno.EAGAIN {
		return errno.EAGAIN
	}
	return err
}

// finishPI ends a PI wait: nil if the word was handed over.
func (t *Table) finishPI(w *Waiter, err error) error {
	if !t.cancel(w) {
		return nil
	}
	if errno.IsRestart(err) {
		return errno.ERESTARTNOINTR
	}
	return err
}

// acquirePI takes the word if nobody owns it; EAGAIN means owned (and the
// waiters bit is set). b is locked.
func (t *Table) acquirePI(b *bucket, m usermem.IO, k Key, addr uint64, tid uint32, alive func(uint32) bool) error {
	v, err := m.LoadUint32(addr)
	for {
		if err != nil {
			return err
		}
		owner := v & TIDMask
		if owner == tid {
			return errno.EDEADLK
		}
		next := v | Waiters
		free := owner == 0
		if free {
			next = tid | v&OwnerDied
			if t.hasPI(b, k) {
				next |= Waiters
			}
		} else if !alive(owner) {
			return errno.ESRCH
		}
		if next != v {
			var got uint32
			got, err = m.CompareAndSwapUint32(addr, v, next)
			if err == nil && got != v {
				v = got
				continue
			}
			if err != nil {
				return err
			}
		}
		if free {
			return nil
		}
		return errno.EAGAIN
	}
}

func (t *Table) hasPI(b *bucket, k Key) bool {
	for w := b.head; w != nil; w = w.next {
		if w.pi && w.key == k {
			return true
		}
	}
	return false
}

// UnlockPI is FUTEX_UNLOCK_PI: hand the word to the first waiter.
func (t *Table) UnlockPI(m usermem.IO, k Key, addr uint64, tid uint32) error {
	b := t.bucket(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	v, err := m.LoadUint32(addr)
	if err != nil {
		return err
	}
	if v&TIDMask != tid {
		return errno.EPERM
	}
	return t.handOver(b, m, k, addr, 0)
}

// handOver gives the word to its first PI waiter, or frees it.
func (t *Table) handOver(b *bucket, m usermem.IO, k Key, addr uint64, extra uint32) error {
	var first *Waiter
	more := false
	for w := b.head; w != nil; w = w.next {
		if w.pi && w.key == k {
			if first != nil {
				more = true
				break
			}
			first = w
		}
	}
	next := extra
	if first != nil {
		next |= first.tid
	}
	if more {
		next |= Waiters
	}
	if _, err := m.SwapUint32(addr, next); err != nil {
		return err
	}
	if first != nil {
		first.owner = true
		t.wakeLocked(b, first)
	}
	return nil
}

// OwnerDies hands over a PI word whose owner exits (robust list).
func (t *Table) OwnerDies(m usermem.IO, k Key, addr uint64) error {
	b := t.bucket(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	return t.handOver(b, m, k, addr, OwnerDied)
}

// HasPIWaiters says whether anybody at all waits for a PI futex.
func (t *Table) HasPIWaiters() bool { return t.pi.Load() != 0 }

// WaitRequeuePI is FUTEX_WAIT_REQUEUE_PI: wait on k until moved to target and
// then given the word there.
func (t *Table) WaitRequeuePI(ctx kctx.Ctx, m usermem.IO, k Key, addr uint64, val, bitset uint32, target Key, tid uint32, deadline time.Time, w *Waiter) error {
	if k == target {
		return errno.EINVAL
	}
	w.init(k, bitset)
	w.tid, w.target = tid, &target
	if err := t.enqueue(m, addr, val, w); err != nil {
		return err
	}
	err := ctx.Block(w.e, deadline)
	if !t.cancel(w) {
		if w.owner {
			return nil
		}
		return errno.EAGAIN
	}
	if errno.IsRestart(err) {
		if w.pi {
			return errno.EINTR
		}
		return errno.ERESTARTNOINTR
	}
	return err
}

// CmpRequeuePI is FUTEX_CMP_REQUEUE_PI.
func (t *Table) CmpRequeuePI(m usermem.IO, from, to Key, addr, addr2 uint64, cmp uint32, move int, alive func(uint32) bool) (int, error) {
	a, b := t.bucket(from), t.bucket(to)
	unlock := t.lockTwo(a, b)
	defer unlock()
	v, err := m.LoadUint32(addr)
	if err != nil {
		return 0, err
	}
	if v != cmp {
		return 0, errno.EAGAIN
	}
	done := 0
	for w := a.head; w != nil && done < move+1; {
		next := w.next
		if w.key != from || w.pi {
			w = next
			continue
		}
		if w.target == nil || *w.target != to {
			return done, errno.EINVAL
		}
		err := t.acquirePI(b, m, to, addr2, w.tid, alive)
		switch err {
		case nil:
			w.owner = true
			t.wakeLocked(a, w)
		case errno.EAGAIN:
			w.pi = true
			t.pi.Add(1)
			t.moveLocked(a, b, w, to)
		default:
			return done, err
		}
		done++
		w = next
	}
	return done, nil
}
