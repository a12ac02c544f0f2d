package pages

import (
	"bytes"
	"math/rand"
	"os"
	"testing"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
)

func TestRefsAgainstModel(t *testing.T) {
	for seed := int64(0); seed < 20; seed++ {
		rnd := rand.New(rand.NewSource(seed))
		tree := newRefTree()
		const n = 100
		var model [n]int
		tree.insert(memmap.Range{Start: 0, End: n})
		for i := range model {
			model[i] = 1
		}
		for step := 0; step < 500; step++ {
			lo := rnd.Intn(n)
			hi := lo + 1 + rnd.Intn(min(n-lo, 20))
			live := true
			for i := lo; i < hi; i++ {
				live = live && model[i] > 0
			}
			if !live {
				continue
			}
			r := memmap.Range{Start: uint64(lo), End: uint64(hi)}
			one := true
			for i := lo; i < hi; i++ {
				one = one && model[i] == 1
			}
			if tree.unique(r) != one {
				t.Fatalf("seed %d step %d: unique(%v) is not %v", seed, step, r, one)
			}
			delta := int32(1)
			if rnd.Intn(2) == 0 {
				delta = -1
			}
			freed := map[int]bool{}
			if !tree.add(r, delta, func(f memmap.Range) {
				for i := f.Start; i < f.End; i++ {
					freed[int(i)] = true
				}
			}) {
				t.Fatalf("seed %d step %d: range %v not covered", seed, step, r)
			}
			for i := lo; i < hi; i++ {
				model[i] += int(delta)
				if (model[i] == 0) != freed[i] {
					t.Fatalf("seed %d step %d: page %d freed %v, count %d", seed, step, i, freed[i], model[i])
				}
			}
		}
	}
}

func TestMemoryIsFreed(t *testing.T) {
	m, err := NewMemory("test")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	r, _ := m.Allocate(10 * pageSize)
	b, err := m.Bytes(r.Start+2*pageSize, 3*pageSize, true)
	if err != nil || len(b) != 3*pageSize {
		t.Fatal(len(b), err)
	}
	b[0], b[2*pageSize] = 1, 1
	if got := m.Touched(r); len(got) != 2 || got[0].Start != r.Start+2*pageSize || got[0].Len() != pageSize {
		t.Errorf("touched %x", got)
	}
	if m.Usage() != 2*pageSize {
		t.Errorf("usage %d", m.Usage())
	}
	o, _ := m.Allocate(windowSize)
	if o.Start%windowSize != 0 {
		t.Error("a range that fits a window crosses one")
	}
	m.DecRef(r)
	m.DecRef(o)
	m.FlushFreed()
	if m.Usage() != 0 {
		t.Errorf("usage %d after everything was freed", m.Usage())
	}
	if n, _ := m.Allocate(1); n.Start < o.End {
		t.Error("offsets are used again")
	}
}

func TestHostFileCutShort(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.Write(bytes.Repeat([]byte("x"), 3*pageSize))
	h := NewHostFile(int(f.Fd()), int(f.Fd()), 3*pageSize)
	r := memmap.Range{End: 3 * pageSize}
	h.IncRef(r)
	b, err := h.Bytes(0, 3*pageSize, false)
	if err != nil {
		t.Fatal(err)
	}
	f.Truncate(pageSize)
	dst := make([]byte, 3*pageSize)
	if n, err := usermem.Copy(dst, b); n != pageSize || err != errno.EFAULT {
		t.Errorf("copied %d, %v", n, err)
	}
	if n, err := usermem.Zero(b[pageSize:]); n != 0 || err != errno.EFAULT {
		t.Errorf("cleared %d, %v", n, err)
	}
	if _, err := usermem.LoadUint32(b[pageSize:], false); err != errno.EFAULT {
		t.Error(err)
	}
	h.DecRef(r)
}

func TestTablesAreFreed(t *testing.T) {
	m, err := NewMemory("test")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := 0; i < 1000; i++ {
		r, err := m.Allocate(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		m.DecRef(r)
	}
	n := 0
	for i := range *m.top.Load() {
		if (*m.top.Load())[i].Load() != nil {
			n++
		}
	}
	if n > 1 {
		t.Errorf("%d leaves left", n)
	}
}
