package futex

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
)

// words is user memory of a few words at addresses 0, 4, 8...
type words struct {
	usermem.IO
	w [16]uint32
}

func (m *words) p(addr uint64) (*uint32, error) {
	if addr/4 >= uint64(len(m.w)) {
		return nil, errno.EFAULT
	}
	return &m.w[addr/4], nil
}

func (m *words) LoadUint32(addr uint64) (uint32, error) {
	p, err := m.p(addr)
	if err != nil {
		return 0, err
	}
	return atomic.LoadUint32(p), nil
}

func (m *words) SwapUint32(addr uint64, v uint32) (uint32, error) {
	p, err := m.p(addr)
	if err != nil {
		return 0, err
	}
	return atomic.SwapUint32(p, v), nil
}

func (m *words) CompareAndSwapUint32(addr uint64, old, new uint32) (uint32, error) {
	p, err := m.p(addr)
	if err != nil {
		return 0, err
	}
	for {
		v := atomic.LoadUint32(p)
		if v != old {
			return v, nil
		}
		if atomic.CompareAndSwapUint32(p, old, new) {
			return old, nil
		}
	}
}

func ctx() kctx.Ctx { return kctx.Background(creds.NewRoot(creds.NewRootNS())) }

func key(addr uint64) Key { return Key{Major: 1, Offset: addr} }

func waiters(t *Table, k Key) int {
	b := t.bucket(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for w := b.head; w != nil; w = w.next {
		if w.key == k {
			n++
		}
	}
	return n
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for i := 0; i < 2000; i++ {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("never: " + what)
}

func TestWaitChecksTheWord(t *testing.T) {
	var tab Table
	m := &words{}
	m.w[0] = 5
	var w Waiter
	if err := tab.Wait(ctx(), m, key(0), 0, 4, ^uint32(0), time.Time{}, &w); err != errno.EAGAIN {
		t.Fatalf("got %v, Linux gives EAGAIN", err)
	}
	if err := tab.Wait(ctx(), m, key(1000), 1000, 4, ^uint32(0), time.Time{}, &w); err != errno.EFAULT {
		t.Fatalf("got %v, Linux gives EFAULT", err)
	}
	if err := tab.Wait(ctx(), m, key(0), 0, 5, ^uint32(0), time.Now().Add(time.Millisecond), &w); err != errno.ETIMEDOUT {
		t.Fatalf("got %v, Linux gives ETIMEDOUT", err)
	}
	if tab.bucket(key(0)).n.Load() != 0 {
		t.Fatal("a waiter stayed behind")
	}
}

func TestWakeBitsetAndRequeue(t *testing.T) {
	var tab Table
	m := &words{}
	var wg sync.WaitGroup
	var woken atomic.Int32
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var w Waiter
			if err := tab.Wait(ctx(), m, key(0), 0, 0, 1<<i, time.Time{}, &w); err != nil {
				t.Error(err)
			}
			woken.Add(1)
		}()
	}
	until(t, "four wait", func() bool { return waiters(&tab, key(0)) == 4 })
	if n := tab.Wake(key(0), 10, 1<<2); n != 1 {
		t.Fatalf("bitset woke %d", n)
	}
	if n, err := tab.Requeue(m, key(0), key(4), 0, nil, 1, 1); n != 2 || err != nil {
		t.Fatalf("requeue gave %d, %v", n, err)
	}
	if a, b := waiters(&tab, key(0)), waiters(&tab, key(4)); a != 1 || b != 1 {
		t.Fatalf("%d and %d wait, want 1 and 1", a, b)
	}
	bad := uint32(9)
	if _, err := tab.Requeue(m, key(0), key(4), 0, &bad, 1, 1); err != errno.EAGAIN {
		t.Fatalf("cmp requeue gave %v", err)
	}
	tab.Wake(key(0), 10, ^uint32(0))
	tab.Wake(key(4), 10, ^uint32(0))
	wg.Wait()
}

func TestWakeOp(t *testing.T) {
	var tab Table
	m := &words{}
	m.w[1] = 10
	// add 5, compare > 9
	op := uint32(1<<28 | 4<<24 | 5<<12 | 9)
	if _, err := tab.WakeOp(m, key(0), key(4), 4, 1, 1, op); err != nil || m.w[1] != 15 {
		t.Fatalf("word is %d, %v", m.w[1], err)
	}
	// or with 1 << 4
	op = uint32(8|2)<<28 | 4<<12
	if _, err := tab.WakeOp(m, key(0), key(4), 4, 1, 1, op); err != nil || m.w[1] != 31 {
		t.Fatalf("word is %d, %v", m.w[1], err)
	}
	if _, err := tab.WakeOp(m, key(0), key(4), 4, 1, 1, 7<<28); err != errno.ENOSYS {
		t.Fatalf("bad operation gave %v", err)
	}
}

func alive(uint32) bool { return true }

func TestPI(t *testing.T) {
	var tab Table
	m := &words{}
	var w Waiter
	if err := tab.LockPI(ctx(), m, key(0), 0, 7, false, alive, time.Time{}, &w); err != nil || m.w[0] != 7 {
		t.Fatalf("lock: %v, word %#x", err, m.w[0])
	}
	if err := tab.LockPI(ctx(), m, key(0), 0, 7, false, alive, time.Time{}, &w); err != errno.EDEADLK {
		t.Fatalf("own lock: %v", err)
	}
	if err := tab.LockPI(ctx(), m, key(0), 0, 8, true, alive, time.Time{}, &w); err != errno.EAGAIN {
		t.Fatalf("trylock: %v", err)
	}
	done := make(chan error)
	go func() {
		var w Waiter
		done <- tab.LockPI(ctx(), m, key(0), 0, 8, false, alive, time.Time{}, &w)
	}()
	until(t, "one waits", func() bool { return waiters(&tab, key(0)) == 1 })
	if err := tab.UnlockPI(m, key(0), 0, 9); err != errno.EPERM {
		t.Fatalf("unlock by a stranger: %v", err)
	}
	if err := tab.UnlockPI(m, key(0), 0, 7); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || m.w[0]&TIDMask != 8 {
		t.Fatalf("hand-over: %v, word %#x", err, m.w[0])
	}
	if err := tab.LockPI(ctx(), m, key(0), 0, 9, false, func(uint32) bool { return false }, time.Time{}, &w); err != errno.ESRCH {
		t.Fatalf("dead owner: %v", err)
	}
	if tab.HasPIWaiters() {
		t.Fatal("a waiter stayed behind")
	}
}

// TestHammer passes a token round; a lost wake hangs it.
func TestHammer(t *testing.T) {
	var tab Table
	m := &words{}
	const n, rounds = 4, 2000
	var wg sync.WaitGroup
	for i := uint32(0); i < n; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var w Waiter
			c := ctx()
			for r := 0; r < rounds; r++ {
				for {
					v, _ := m.LoadUint32(0)
					if v == i {
						break
					}
					tab.Wait(c, m, key(0), 0, v, ^uint32(0), time.Time{}, &w)
				}
				m.SwapUint32(0, (i+1)%n)
				tab.Wake(key(0), 1<<30, ^uint32(0))
			}
		}()
	}
	wg.Wait()
}

func BenchmarkWakeNobody(b *testing.B) {
	var tab Table
	for i := 0; i < b.N; i++ {
		tab.Wake(key(64), 1, ^uint32(0))
	}
}
