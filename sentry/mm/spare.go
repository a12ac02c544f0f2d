package mm

import "redoubt.dev/redoubt/sentry/memmap"

// Programs unmap memory and map as much again all the time. The pages of such
// a mapping are kept for the next one of the same space: clearing them costs
// a fraction of getting new ones from the host (64 KiB: 5 us against 35).
//
// The rule that offsets are never used again stays true between spaces: only
// ranges that no other space ever shared are kept (piece.forked), and a stub
// process that hides a stale mapping finds its own pages behind it.
const (
	spareMost  = 16      // ranges
	spareBytes = 1 << 20 // in all
)

// keep takes over the reference on r, or says that it does not.
// Preconditions: s.mu is held for writing.
func (s *Space) keep(r memmap.Range) bool {
	if r.Len() > spareBytes || s.pins.Load() != 0 {
		return false
	}
	for len(s.spare) > 0 && (len(s.spare) >= spareMost || s.spareLen+r.Len() > spareBytes) {
		s.spareLen -= s.spare[0].Len()
		s.drop(s.mem, s.spare[0])
		s.spare = append(s.spare[:0], s.spare[1:]...)
	}
	s.spare = append(s.spare, r)
	s.spareLen += r.Len()
	return true
}

// reuse returns n bytes of kept memory, cleared; ok is false if there are none.
// full says that all of its pages exist.
func (s *Space) reuse(n uint64) (r memmap.Range, full, ok bool) {
	best := -1
	for i := len(s.spare) - 1; i >= 0; i-- {
		if l := s.spare[i].Len(); l == n {
			best = i
			break
		} else if l > n && best < 0 {
			best = i
		}
	}
	if best < 0 {
		return r, false, false
	}
	sp := &s.spare[best]
	r = memmap.Range{Start: sp.Start, End: sp.Start + n}
	sp.Start += n
	s.spareLen -= n
	if sp.Len() == 0 {
		s.spare = append(s.spare[:best], s.spare[best+1:]...)
	}
	var dirty uint64
	for _, t := range s.mem.Touched(r) {
		dirty += t.Len()
		for off := t.Start; off < t.End; {
			b, err := s.mem.Bytes(off, t.End-off, true)
			if err != nil {
				s.mem.Zero(r)
				return r, false, true
			}
			clear(b)
			off += uint64(len(b))
		}
	}
	return r, dirty == n, true
}

func (s *Space) dropSpare() {
	for _, r := range s.spare {
		s.drop(s.mem, r)
	}
	s.spare, s.spareLen = nil, 0
}
