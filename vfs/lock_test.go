package vfs

import (
	"math/rand"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInsertRecord compares the list of record locks with an array of bytes.
func TestInsertRecord(t *testing.T) {
	const size = 40
	rng := rand.New(rand.NewSource(1))
	owners := []any{new(int), new(int)}
	var model [2][size]int16
	var l []Record
	for i := range model {
		for j := range model[i] {
			model[i][j] = unix.F_UNLCK
		}
	}
	for step := 0; step < 5000; step++ {
		a, b := rng.Int63n(size), rng.Int63n(size)
		o := rng.Intn(2)
		r := Record{Type: int16(rng.Intn(3)), Start: min(a, b), End: max(a, b), Owner: owners[o]}
		l = insertRecord(l, r)
		for i := r.Start; i <= r.End; i++ {
			model[o][i] = r.Type
		}
		var got [2][size]int16
		for i := range got {
			for j := range got[i] {
				got[i][j] = unix.F_UNLCK
			}
		}
		for _, x := range l {
			w := 0
			if x.Owner == owners[1] {
				w = 1
			}
			for i := x.Start; i <= x.End; i++ {
				if got[w][i] != unix.F_UNLCK {
					t.Fatalf("step %d: overlap in %v", step, l)
				}
				got[w][i] = x.Type
			}
		}
		if got != model {
			t.Fatalf("step %d: %v after %v", step, l, r)
		}
	}
}

func TestDeadlock(t *testing.T) {
	var lt lockTable
	a, b, c := new(int), new(int), new(int)
	if !lt.wait(a, b) || !lt.wait(b, c) {
		t.Fatal("no circle yet")
	}
	if lt.wait(c, a) {
		t.Error("circle not seen")
	}
	lt.done(a)
	if !lt.wait(c, a) {
		t.Error("circle is gone")
	}
}
