// Package futex has the tables of threads that wait on words of user memory
// (futex(2)).
//
// A Table has buckets, each with its own lock; a wake that finds no waiter in
// its bucket takes none. What a word is called (Key) comes from mm; user
// memory is read and written through usermem.IO under the bucket's lock, so
// mm must never call in here while it holds a lock of its own.
package futex

import (
	"sync"
	"sync/atomic"
	"time"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
)

// Key names a word: of an address space (private), or of what is mapped
// there (shared). Two keys are the same word if they are equal.
type Key struct {
	// Major and Minor name the space (its id, 0) or the object (device and
	// inode, or any other pair that never means anything else).
	Major, Minor uint64
	// Offset is the address, or the offset in the object.
	Offset uint64
	// Shared keeps the two kinds apart.
	Shared bool
}

const buckets = 256

type bucket struct {
	n          atomic.Int32 // waiters here, or about to be
	mu         sync.Mutex
	head, tail *Waiter
	_          [24]byte
}

// Table has the waiters of one sandbox. The zero value is ready.
type Table struct {
	b  [buckets]bucket
	pi atomic.Int32 // waiters on PI futexes, to make exits cheap
}

func (t *Table) bucket(k Key) *bucket {
	h := (k.Offset >> 2) * 0x9e3779b97f4a7c15
	h ^= (k.Major*0xff51afd7ed558ccd + k.Minor) * 0xc4ceb9fe1a85ec53
	return &t.b[h>>(64-8)]
}

// Waiter is one thread (or one of the words a thread waits for). It may be
// used again after the wait ended.
type Waiter struct {
	e          *wait.Entry
	key        Key
	bitset     uint32
	b          atomic.Pointer[bucket] // nil once woken
	next, prev *Waiter

	pi     bool   // waits to own the word
	owner  bool   // was given the word
	tid    uint32 // for PI
	target *Key   // FUTEX_WAIT_REQUEUE_PI: where it may be moved to
}

func (w *Waiter) init(k Key, bitset uint32) {
	if w.e == nil {
		w.e = wait.NewEntry(wait.All)
	}
	select {
	case <-w.e.C:
	default:
	}
	w.key, w.bitset, w.pi, w.owner, w.target = k, bitset, false, false, nil
}

func (b *bucket) add(w *Waiter) {
	w.b.Store(b)
	w.next, w.prev = nil, b.tail
	if b.tail != nil {
		b.tail.next = w
	} else {
		b.head = w
	}
	b.tail = w
}

// unlink takes w off the list; n is counted by the caller.
func (b *bucket) unlink(w *Waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		b.head = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		b.tail = w.prev
	}
	w.next, w.prev = nil, nil
}

// wakeLocked ends w's wait.
func (t *Table) wakeLocked(b *bucket, w *Waiter) {
	b.unlink(w)
	b.n.Add(-1)
	if w.pi {
		t.pi.Add(-1)
	}
	// The token goes first: after the store w belongs to its owner again.
	select {
	case w.e.C <- struct{}{}:
	default:
	}
	w.b.Store(nil)
}

// cancel takes w off if it was not woken; it says whether it was still there.
func (t *Table) cancel(w *Waiter) bool {
	for {
		b := w.b.Load()
		if b == nil {
			return false
		}
		b.mu.Lock()
		if w.b.Load() != b {
			b.mu.Unlock()
			continue
		}
		b.unlink(w)
		b.n.Add(-1)
		if w.pi {
			t.pi.Add(-1)
		}
		w.b.Store(nil)
		b.mu.Unlock()
		return true
	}
}

// enqueue checks that the word still has val and registers w.
func (t *Table) enqueue(m usermem.IO, addr uint64, val uint32, w *Waiter) error {
	b := t.bucket(w.key)
	b.n.Add(1)
	b.mu.Lock()
	v, err := m.LoadUint32(addr)
	if err == nil && v != val {
		err = errno.EAGAIN
	}
	if err != nil {
		b.mu.Unlock()
		b.n.Add(-1)
		return err
	}
	b.add(w)
	b.mu.Unlock()
	return nil
}

// Wait sleeps until a wake on k whose bitset shares a bit, while the word at
// addr is val. The error is EAGAIN, ETIMEDOUT, EFAULT or what Block returned.
func (t *Table) Wait(ctx kctx.Ctx, m usermem.IO, k Key, addr uint64, val, bitset uint32, deadline time.Time, w *Waiter) error {
	w.init(k, bitset)
	if err := t.enqueue(m, addr, val, w); err != nil {
		return err
	}
	err := ctx.Block(w.e, deadline)
	if !t.cancel(w) {
		return nil // woken, whatever else happened
	}
	if err == nil {
		// A token without a wake cannot be: init drained the channel.
		return errno.EAGAIN
	}
	return err
}

// VecItem is one word of WaitVec.
type VecItem struct {
	Key  Key
	Addr uint64
	Val  uint32
}

// WaitVec waits for any of several words (futex_waitv(2)) and returns the
// index of one that was woken.
func (t *Table) WaitVec(ctx kctx.Ctx, m usermem.IO, items []VecItem, deadline time.Time) (int, error) {
	ws := make([]Waiter, len(items))
	e := wait.NewEntry(wait.All)
	done := func(n int) int {
		hit := -1
		for i := 0; i < n; i++ {
			if !t.cancel(&ws[i]) && hit < 0 {
				hit = i
			}
		}
		return hit
	}
	for i := range items {
		ws[i].e = e
		ws[i].key, ws[i].bitset = items[i].Key, ^uint32(0)
		if err := t.enqueue(m, items[i].Addr, items[i].Val, &ws[i]); err != nil {
			if hit := done(i); hit >= 0 {
				return hit, nil
			}
			return 0, err
		}
	}
	err := ctx.Block(e, deadline)
	if hit := done(len(ws)); hit >= 0 {
		return hit, nil
	}
	return 0, err
}

// Wake wakes up to n waiters of k.
func (t *Table) Wake(k Key, n int, bitset uint32) int {
	b := t.bucket(k)
	if b.n.Load() == 0 || n <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return t.wakeN(b, k, n, bitset)
}

func (t *Table) wakeN(b *bucket, k Key, n int, bitset uint32) int {
	done := 0
	for w := b.head; w != nil && done < n; {
		next := w.next
		if w.key == k && !w.pi && w.bitset&bitset != 0 {
			t.wakeLocked(b, w)
			done++
		}
		w = next
	}
	return done
}

// lockTwo locks two buckets in address order; they may be one.
func (t *Table) lockTwo(a, b *bucket) func() {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	x, y := a, b
	for i := range t.b {
		if &t.b[i] == a {
			break
		}
		if &t.b[i] == b {
			x, y = b, a
			break
		}
	}
	x.mu.Lock()
	y.mu.Lock()
	return func() { y.mu.Unlock(); x.mu.Unlock() }
}

// Requeue wakes up to wake waiters of from and moves up to move others to to.
// With cmp the word at addr must have *cmp (else EAGAIN). It returns
// woken + moved, for both commands as Linux does.
func (t *Table) Requeue(m usermem.IO, from, to Key, addr uint64, cmp *uint32, wake, move int) (int, error) {
	a, b := t.bucket(from), t.bucket(to)
	unlock := t.lockTwo(a, b)
	defer unlock()
	if cmp != nil {
		v, err := m.LoadUint32(addr)
		if err != nil {
			return 0, err
		}
		if v != *cmp {
			return 0, errno.EAGAIN
		}
	}
	woken := t.wakeN(a, from, wake, ^uint32(0))
	moved := 0
	if from != to {
		for w := a.head; w != nil && moved < move; {
			next := w.next
			if w.key == from && !w.pi && w.target == nil {
				t.moveLocked(a, b, w, to)
				moved++
			}
			w = next
		}
	} else {
		for w := a.head; w != nil && moved < move; w = w.next {
			if w.key == from && !w.pi {
				moved++
			}
		}
	}
	return woken + moved, nil
}

func (t *Table) moveLocked(a, b *bucket, w *Waiter, to Key) {
	if a != b {
		a.unlink(w)
		a.n.Add(-1)
		b.n.Add(1)
		w.key = to
		b.add(w)
		return
	}
	w.key = to
}

// WakeOp is FUTEX_WAKE_OP: change the word at addr2 by op, wake wake1 waiters
// of k1, and wake2 of k2 if the old value compares true.
func (t *Table) WakeOp(m usermem.IO, k1, k2 Key, addr2 uint64, wake1, wake2 int, op uint32) (int, error) {
	a, b := t.bucket(k1), t.bucket(k2)
	unlock := t.lockTwo(a, b)
	defer unlock()
	arg := uint32(int32(op<<8) >> 20)
	cmpArg := uint32(int32(op<<20) >> 20)
	if op>>28&8 != 0 {
		if arg > 31 {
			arg &= 31
		}
		arg = 1 << arg
	}
	var apply func(uint32) uint32
	switch op >> 28 & 7 {
	case 0:
		apply = func(uint32) uint32 { return arg }
	case 1:
		apply = func(v uint32) uint32 { return v + arg }
	case 2:
		apply = func(v uint32) uint32 { return v | arg }
	case 3:
		apply = func(v uint32) uint32 { return v &^ arg }
	case 4:
		apply = func(v uint32) uint32 { return v ^ arg }
	default:
		return 0, errno.ENOSYS
	}
	old, err := Update(m, addr2, apply)
	if err != nil {
		return 0, err
	}
	var hit bool
	switch op >> 24 & 15 {
	case 0:
		hit = old == cmpArg
	case 1:
		hit = old != cmpArg
	case 2:
		hit = int32(old) < int32(cmpArg)
	case 3:
		hit = int32(old) <= int32(cmpArg)
	case 4:
		hit = int32(old) > int32(cmpArg)
	case 5:
		hit = int32(old) >= int32(cmpArg)
	default:
		return 0, errno.ENOSYS
	}
	n := t.wakeN(a, k1, wake1, ^uint32(0))
	if hit {
		n += t.wakeN(b, k2, wake2, ^uint32(0))
	}
	return n, nil
}

// Update replaces the word at addr by fn of it, atomically, and returns what
// it was.
func Update(m usermem.IO, addr uint64, fn func(uint32) uint32) (uint32, error) {
	v, err := m.LoadUint32(addr)
	for {
		if err != nil {
			return 0, err
		}
		var got uint32
		got, err = m.CompareAndSwapUint32(addr, v, fn(v))
		if err == nil && got == v {
			return v, nil
		}
		v = got
	}
}
