package memmap

import "sync"

// Set is the mappings of one Mappable, for Invalidate. The zero value is ready.
// Its lock is a leaf; Invalidate is called without it, and must be called
// without the locks that Translate takes.
type Set struct {
	mu       sync.Mutex
	maps     []mapped
	writable int
}

type mapped struct {
	m        Mapping
	ar       Range
	off      uint64
	writable bool
}

// Add records a mapping.
func (s *Set) Add(m Mapping, ar Range, off uint64, writable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if writable {
		s.writable++
	}
	s.maps = append(s.maps, mapped{m, ar, off, writable})
}

// Remove takes back a recorded mapping or a part of one.
func (s *Set) Remove(m Mapping, ar Range, off uint64, writable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i < len(s.maps); i++ {
		e := s.maps[i]
		if e.m != m || e.writable != writable || !e.ar.Overlaps(ar) || e.off-e.ar.Start != off-ar.Start {
			continue
		}
		c := e.ar.Intersect(ar)
		s.drop(i)
		i--
		if e.ar.Start < c.Start {
			s.keep(mapped{m, Range{e.ar.Start, c.Start}, e.off, writable})
		}
		if c.End < e.ar.End {
			s.keep(mapped{m, Range{c.End, e.ar.End}, e.off + (c.End - e.ar.Start), writable})
		}
		if c == ar {
			return
		}
	}
}

func (s *Set) drop(i int) {
	if s.maps[i].writable {
		s.writable--
	}
	last := len(s.maps) - 1
	s.maps[i] = s.maps[last]
	s.maps[last] = mapped{}
	s.maps = s.maps[:last]
	if last == 0 {
		s.maps = nil
	}
}

func (s *Set) keep(e mapped) {
	if e.writable {
		s.writable++
	}
	s.maps = append(s.maps, e)
}

// Writable says whether a shared writable mapping exists.
func (s *Set) Writable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writable > 0
}

// Empty says whether there is no mapping.
func (s *Set) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.maps) == 0
}

// Invalidate makes all mappings of the offsets in r fault again.
func (s *Set) Invalidate(r Range, private bool) {
	s.mu.Lock()
	if len(s.maps) == 0 {
		s.mu.Unlock()
		return
	}
	var hit []mapped
	for _, e := range s.maps {
		o := Range{e.off, e.off + e.ar.Len()}
		if c := o.Intersect(r); c.Len() > 0 {
			d := c.Start - e.off
			e.ar = Range{e.ar.Start + d, e.ar.Start + d + c.Len()}
			hit = append(hit, e)
		}
	}
	s.mu.Unlock()
	for _, e := range hit {
		e.m.Invalidate(e.ar, private)
	}
}
