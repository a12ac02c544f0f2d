package signal

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestInfoSize(t *testing.T) {
	if n := unsafe.Sizeof(Info{}); n != 128 {
		t.Fatalf("siginfo has %d bytes, Linux has 128", n)
	}
	if n := unsafe.Sizeof(Action{}); n != 32 {
		t.Fatalf("sigaction has %d bytes, Linux has 32", n)
	}
}

type counter int

func (c *counter) SignalDone() { *c-- }

func add(q *Queue, sig int32, val uint64) *Entry {
	e := &Entry{Info: Info{Signo: sig}}
	e.Info.SetValue(val)
	q.Add(e)
	return e
}

func TestOrder(t *testing.T) {
	var q Queue
	add(&q, 40, 1)
	add(&q, 35, 2)
	add(&q, 40, 3)
	add(&q, int32(unix.SIGTERM), 4)
	add(&q, int32(unix.SIGSEGV), 5)
	// Faults first, then the lowest number, real-time ones in order sent.
	for _, want := range []struct {
		sig int32
		val uint64
	}{{11, 5}, {15, 4}, {35, 2}, {40, 1}, {40, 3}} {
		n := q.Next(0)
		var i Info
		if !q.Take(n, &i) || i.Signo != want.sig || i.Value() != want.val {
			t.Fatalf("got signal %d value %d, Linux gives %d value %d", i.Signo, i.Value(), want.sig, want.val)
		}
	}
	if q.Next(0) != 0 || q.Pending() != 0 {
		t.Fatal("queue is not empty")
	}
}

func TestMask(t *testing.T) {
	var q Queue
	add(&q, 10, 1)
	add(&q, 12, 2)
	if n := q.Next(Of(10)); n != 12 {
		t.Fatalf("with 10 blocked got %d, want 12", n)
	}
	if n := q.Next(Of(10, 12)); n != 0 {
		t.Fatalf("with all blocked got %d", n)
	}
}

func TestMarkHasNoInfo(t *testing.T) {
	var q Queue
	q.Mark(10)
	var i Info
	if !q.Take(10, &i) || i.Signo != 10 || i.Code != SIUser {
		t.Fatalf("got %+v", i)
	}
	if q.Has(10) {
		t.Fatal("still pending")
	}
}

func TestDiscardGivesBack(t *testing.T) {
	var q Queue
	c := counter(3)
	for _, s := range []int32{20, 18, 34} {
		e := add(&q, s, 0)
		e.Owner = &c
	}
	q.Discard(StopSet)
	if c != 2 || q.Has(20) || !q.Has(18) || !q.Has(34) {
		t.Fatalf("count %d, pending %x", c, q.Pending())
	}
	q.Discard(^Set(0))
	if c != 0 || q.Pending() != 0 {
		t.Fatalf("count %d, pending %x", c, q.Pending())
	}
}

func TestRemove(t *testing.T) {
	var q Queue
	a, b := add(&q, 40, 1), add(&q, 40, 2)
	q.Remove(a)
	if !q.Has(40) {
		t.Fatal("the other one is gone")
	}
	q.Remove(b)
	q.Remove(b)
	if q.Has(40) || q.Next(0) != 0 {
		t.Fatal("still pending")
	}
	add(&q, 41, 1)
	var i Info
	if !q.Take(41, &i) {
		t.Fatal("list is broken")
	}
}

func TestStaticIsTold(t *testing.T) {
	var q Queue
	var told *Info
	n := 0
	e := &Entry{Info: Info{Signo: 14}, Static: func(i *Info) { told = i; n++; i.SetTimer(3, 7) }}
	q.Add(e)
	var i Info
	q.Take(14, &i)
	if n != 1 || told != &i || i.Overrun() != 7 {
		t.Fatalf("told %d times, overrun %d", n, i.Overrun())
	}
}
