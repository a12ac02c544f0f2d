package mm

import (
	"sort"
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

// area is a VMA: addresses with one meaning. Fields change only under Space.mu.
type area struct {
	start, end    uint64
	prot, maxProt platform.Prot
	flags         areaFlags
	// m is nil for private anonymous memory; off is the offset of start.
	m      memmap.Mappable
	handle *handle
	off    uint64
	file   FileRef
	name   string
}

type areaFlags uint16

const (
	fShared areaFlags = 1 << iota
	fGrowsDown
	fLocked
	fDontFork
	fDontDump
	fWipeOnFork
	fNoReserve
	fLockOnFault
	fIO // the vDSO and its data: not dumped, not counted as memory
)

func (a *area) len() uint64     { return a.end - a.start }
func (a *area) shared() bool    { return a.flags&fShared != 0 }
func (a *area) anonymous() bool { return a.m == nil }

// offAt is the offset in the Mappable of addr.
func (a *area) offAt(addr uint64) uint64 { return a.off + (addr - a.start) }

// handle is what a Mappable knows of the mappings of one object in one space.
// Areas split from one another share it.
type handle struct {
	s *Space
	m memmap.Mappable
	// id is the object's name once it was asked for; only its numbers are
	// used, which do not change.
	id atomic.Pointer[memmap.Identity]
}

// Invalidate implements memmap.Mapping.
func (h *handle) Invalidate(ar memmap.Range, private bool) { h.s.invalidate(h, ar, private) }

// areaSet has disjoint areas in order of address.
type areaSet struct{ s []*area }

// search returns the index of the first area that ends behind addr.
func (t *areaSet) search(addr uint64) int {
	lo, hi := 0, len(t.s)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if t.s[m].end > addr {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// at returns the area that contains addr, or nil.
func (t *areaSet) at(addr uint64) *area {
	if i := t.search(addr); i < len(t.s) && t.s[i].start <= addr {
		return t.s[i]
	}
	return nil
}

// next returns the first area that ends behind addr, or nil.
func (t *areaSet) next(addr uint64) *area {
	if i := t.search(addr); i < len(t.s) {
		return t.s[i]
	}
	return nil
}

// prev returns the last area that ends at or before addr, or nil.
func (t *areaSet) prev(addr uint64) *area {
	i := sort.Search(len(t.s), func(i int) bool { return t.s[i].end > addr })
	if i == 0 {
		return nil
	}
	return t.s[i-1]
}

func (t *areaSet) insertAt(i int, a *area) {
	t.s = append(t.s, nil)
	copy(t.s[i+1:], t.s[i:])
	t.s[i] = a
}

func (t *areaSet) removeAt(i, j int) {
	n := copy(t.s[i:], t.s[j:])
	clear(t.s[i+n:])
	t.s = t.s[:i+n]
}

// split makes addr a border between areas, if it is inside one.
func (t *areaSet) split(addr uint64) {
	i := t.search(addr)
	if i == len(t.s) || t.s[i].start >= addr {
		return
	}
	a := t.s[i]
	b := *a
	b.start = addr
	if a.m != nil {
		b.off = a.offAt(addr)
	}
	a.end = addr
	if b.file != nil {
		b.file.IncRef()
	}
	t.insertAt(i+1, &b)
}

// overlap returns the indices [i, j) of the areas that share a byte with r.
func (t *areaSet) overlap(r memmap.Range) (i, j int) {
	i = t.search(r.Start)
	j = i
	for j < len(t.s) && t.s[j].start < r.End {
		j++
	}
	return i, j
}

// joins says whether b can continue a (linux: mm/vma.c can_vma_merge_after).
func joins(a, b *area) bool {
	return a.end == b.start && a.prot == b.prot && a.maxProt == b.maxProt && a.flags == b.flags &&
		a.flags&fIO == 0 && a.m == b.m && a.handle == b.handle && a.file == b.file && a.name == b.name &&
		(a.m == nil || a.off+a.len() == b.off)
}

// mergeAround joins areas that meet at a border in [lo, hi]. dropped is called
// for areas that are gone into their neighbour.
func (t *areaSet) mergeAround(lo, hi uint64, dropped func(*area)) {
	i := t.search(lo)
	if i > 0 {
		i--
	}
	for i+1 < len(t.s) && t.s[i].end <= hi {
		a, b := t.s[i], t.s[i+1]
		if joins(a, b) {
			a.end = b.end
			t.removeAt(i+1, i+2)
			dropped(b)
			continue
		}
		i++
	}
}
