package mm

import (
	"sync"

	"redoubt.dev/redoubt/sentry/memmap"
)

// After fork(2) parent and child write to the same few places: the top of the
// stack, the allocator's state, the thread's own data. A family of spaces
// remembers where its writes met shared pages, and the next fork copies
// those for the child at once: the copy is needed anyway, and two faults are not.

// hotMost bounds how many runs are remembered.
const hotMost = 20

type hotRuns struct {
	mu   sync.Mutex
	runs []memmap.Range // last used first
}

// note remembers that a write met shared pages in r.
func (h *hotRuns) note(r memmap.Range) {
	if r.Len() > cowLeast {
		return // a sweep through memory, not a place
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := 0
	for i < len(h.runs) && h.runs[i] != r {
		i++
	}
	if i == len(h.runs) {
		if i < hotMost {
			h.runs = append(h.runs, r)
		} else {
			i--
		}
	}
	copy(h.runs[1:i+1], h.runs[:i])
	h.runs[0] = r
}

// list copies the runs to dst.
func (h *hotRuns) list(dst *[hotMost]memmap.Range) []memmap.Range {
	h.mu.Lock()
	defer h.mu.Unlock()
	return dst[:copy(dst[:], h.runs)]
}

// copied is a piece that a fork copies instead of sharing it.
type copied struct {
	p  *piece
	fr memmap.Range
}

// copyHot copies what parent and child will both write to.
// Preconditions: s.mu is held for writing.
func (s *Space) copyHot(out []copied) []copied {
	var store [hotMost]memmap.Range
next:
	for _, run := range s.hot.list(&store) {
		for _, o := range out {
			if run.Overlaps(memmap.Range{Start: o.p.start, End: o.p.end}) {
				continue next
			}
		}
		p := s.pieces.at(run.Start)
		if p == nil || !p.own || p.end < run.End || p.cow && !s.mem.Unique(p.fileRange()) {
			continue
		}
		a := s.areas.at(run.Start)
		if a == nil || a.end < run.End || a.flags&(fDontFork|fWipeOnFork) != 0 {
			continue
		}
		src := memmap.Range{Start: p.offAt(run.Start), End: p.offAt(run.End)}
		touched := s.mem.Touched(src)
		if len(touched) == 0 {
			continue
		}
		fr, err := s.mem.Allocate(run.Len())
		if err != nil {
			return out
		}
		if s.copyTouched(fr, src, touched) != nil {
			s.mem.DecRef(fr)
			return out
		}
		i, _ := s.pieces.isolate(run)
		s.pieces.s[i].cow = false
		out = append(out, copied{s.pieces.s[i], fr})
	}
	return out
}

// copyTouched copies the parts of src that hold pages to fr.
func (s *Space) copyTouched(fr, src memmap.Range, touched []memmap.Range) error {
	for _, t := range touched {
		for off := t.Start; off < t.End; {
			b, err := s.mem.Bytes(off, t.End-off, false)
			if err == nil {
				err = s.mem.Copy(fr.Start+(off-src.Start), b)
			}
			if err != nil {
				return err
			}
			off += uint64(len(b))
		}
	}
	return nil
}
