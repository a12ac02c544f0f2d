package pages

import (
	"github.com/google/btree"

	"redoubt.dev/redoubt/sentry/memmap"
)

// seg is a run of pages with the same number of references.
type seg struct {
	start, end uint64
	refs       uint32
}

// refTree counts references by range. Ranges that are not in it have none.
type refTree struct {
	t *btree.BTreeG[seg]
	// last is the segment last added or found: most operations name exactly
	// the range of the operation before.
	scratch []seg
}

func newRefTree() *refTree {
	return &refTree{t: btree.NewG(32, func(a, b seg) bool { return a.start < b.start })}
}

// insert adds r, which has no references, with one.
func (t *refTree) insert(r memmap.Range) {
	t.t.ReplaceOrInsert(seg{r.Start, r.End, 1})
}

// overlapping collects the segments that share a page with r.
func (t *refTree) overlapping(r memmap.Range) []seg {
	out := t.scratch[:0]
	t.t.DescendLessOrEqual(seg{start: r.Start}, func(s seg) bool {
		if s.end > r.Start {
			out = append(out, s)
		}
		return false
	})
	t.t.AscendGreaterOrEqual(seg{start: r.Start + 1}, func(s seg) bool {
		if s.start >= r.End {
			return false
		}
		out = append(out, s)
		return true
	})
	t.scratch = out
	return out
}

// add changes the counts in r by delta (1 or -1) and reports what dropped to
// zero. ok is false if a part of r had no references: a bug of the caller.
func (t *refTree) add(r memmap.Range, delta int32, freed func(memmap.Range)) (ok bool) {
	var covered uint64
	for _, s := range t.overlapping(r) {
		lo, hi := max(s.start, r.Start), min(s.end, r.End)
		covered += hi - lo
		n := uint32(int32(s.refs) + delta)
		if lo == s.start {
			if n == 0 {
				t.t.Delete(s)
			} else {
				t.t.ReplaceOrInsert(seg{lo, hi, n})
			}
		} else {
			t.t.ReplaceOrInsert(seg{s.start, lo, s.refs})
			if n != 0 {
				t.t.ReplaceOrInsert(seg{lo, hi, n})
			}
		}
		if hi < s.end {
			t.t.ReplaceOrInsert(seg{hi, s.end, s.refs})
		}
		if n == 0 {
			freed(memmap.Range{Start: lo, End: hi})
		}
	}
	return covered == r.Len()
}

// unique says whether every page of r has exactly one reference.
func (t *refTree) unique(r memmap.Range) bool {
	for _, s := range t.overlapping(r) {
		if s.refs != 1 {
			return false
		}
	}
	return true
}
