package kernel

import (
	"testing"

	"redoubt.dev/redoubt/sentry/errno"
)

func newTestKernel(t *testing.T) *Kernel {
	t.Helper()
	k, err := New(Args{CPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestPIDNumbers(t *testing.T) {
	k := newTestKernel(t)
	root := k.ts.root
	inner := newPIDNamespace(k, root, k.userNS)
	first, err := root.allocPIDLocked(nil)
	if err != nil || first.In(root) != 1 {
		t.Fatalf("first number is %d, %v", first.In(root), err)
	}
	in, err := inner.allocPIDLocked(nil)
	if err != nil || in.In(inner) != 1 || in.In(root) != 2 || first.In(inner) != 0 {
		t.Fatalf("inner is %d there and %d outside, %v", in.In(inner), in.In(root), err)
	}
	if got := in.Numbers(root); len(got) != 2 || got[0] != 2 || got[1] != 1 {
		t.Fatalf("NSpid %v", got)
	}
	// A number is free again only when nothing hangs on it.
	in.session = &Session{pid: in}
	in.releaseLocked()
	if root.pids[2] != in {
		t.Fatal("a session's number was given back")
	}
	in.session = nil
	in.releaseLocked()
	if root.pids[2] != nil || inner.pids[1] != nil {
		t.Fatal("numbers were not given back")
	}
	if p, _ := root.allocPIDLocked(nil); p.In(root) != 3 {
		t.Fatalf("got %d: numbers go up before they are used again", p.In(root))
	}
}

func TestChosenPID(t *testing.T) {
	k := newTestKernel(t)
	root := k.ts.root
	root.allocPIDLocked(nil)
	p, err := root.allocPIDLocked([]int32{100})
	if err != nil || p.In(root) != 100 {
		t.Fatalf("%v", err)
	}
	if _, err := root.allocPIDLocked([]int32{100}); err != errno.EEXIST {
		t.Fatalf("taken number: %v, Linux gives EEXIST", err)
	}
	if _, err := root.allocPIDLocked([]int32{0}); err != errno.EINVAL {
		t.Fatalf("number 0: %v, Linux gives EINVAL", err)
	}
	inner := newPIDNamespace(k, root, k.userNS)
	n := len(root.pids)
	if _, err := inner.allocPIDLocked([]int32{1, 100}); err != errno.EEXIST {
		t.Fatalf("taken outside: %v", err)
	}
	if len(inner.pids) != 0 || len(root.pids) != n {
		t.Fatal("a failed allocation left numbers behind")
	}
	inner.dead = true
	if _, err := inner.allocPIDLocked(nil); err != errno.ENOMEM {
		t.Fatalf("dead namespace: %v, Linux gives ENOMEM", err)
	}
}

// TestWrap: after the highest number the low ones are left to those that
// started first.
func TestWrap(t *testing.T) {
	k := newTestKernel(t)
	root := k.ts.root
	root.max = 310
	for i := 0; i < 309; i++ {
		if _, err := root.allocPIDLocked(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := root.allocPIDLocked(nil); err != errno.EAGAIN {
		t.Fatalf("full: %v, Linux gives EAGAIN", err)
	}
	root.pids[305].releaseLocked()
	root.pids[5].releaseLocked()
	if p, err := root.allocPIDLocked(nil); err != nil || p.In(root) != 305 {
		t.Fatalf("got %v, %v", p, err)
	}
	if _, err := root.allocPIDLocked(nil); err != errno.EAGAIN {
		t.Fatalf("only reserved numbers are free: %v, Linux gives EAGAIN", err)
	}
}

func TestSplitTime(t *testing.T) {
	for _, c := range []struct{ total, u, s, user, sys int64 }{
		{100, 0, 0, 100, 0}, {100, 3, 1, 75, 25}, {100, 0, 5, 0, 100}, {0, 3, 3, 0, 0},
	} {
		if u, s := split(c.total, c.u, c.s); u != c.user || s != c.sys {
			t.Errorf("split(%d, %d, %d) = %d, %d", c.total, c.u, c.s, u, s)
		}
	}
}

func TestExitCode(t *testing.T) {
	for st, want := range map[uint32][2]int32{0x300: {1, 3}, 9: {2, 9}, 0x8b: {3, 11}, 0: {1, 0}} {
		if c, v := exitCode(st); c != want[0] || v != want[1] {
			t.Errorf("status %#x: code %d value %d", st, c, v)
		}
	}
}
