package mm

import (
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

// piece is present memory: addresses with pages of a backing file behind
// them. It holds a reference on its range of the file.
type piece struct {
	start, end uint64
	off        uint64
	file       memmap.File
	// prot is what user code may do there now: the rights of the host
	// mapping. Zero if there is none or it is PROT_NONE.
	prot platform.Prot
	// mapped says that a host mapping exists (or is queued); rw that it was
	// made from the writable descriptor.
	mapped, rw bool
	// own says that the pages are this space's private memory (of
	// pages.Memory), cow that another space may share them.
	own, cow bool
	// forked says that another space has shared the pages at some time.
	forked bool
	// patched says that the platform replaced instructions here (text.go).
	patched bool
	// wr says that a shared mapping may be writable (Translation.Write).
	wr bool
	// mem says that the file is the sandbox's Memory, whose bytes never fault.
	mem bool
}

func (p *piece) len() uint64              { return p.end - p.start }
func (p *piece) offAt(addr uint64) uint64 { return p.off + (addr - p.start) }
func (p *piece) fileRange() memmap.Range  { return memmap.Range{Start: p.off, End: p.off + p.len()} }

// writable says whether the pages may be written in place.
func (p *piece) writable() bool { return p.wr || p.own && !p.cow }

// rights is what user code may do with p under the access prot of its area.
// x86 cannot have write or execute without read.
func (p *piece) rights(prot platform.Prot) platform.Prot {
	if prot&(platform.Write|platform.Exec) != 0 {
		prot |= platform.Read
	}
	if !p.writable() {
		prot &^= platform.Write
	}
	return prot
}

// pieceSet has disjoint pieces in order of address.
type pieceSet struct{ s []*piece }

// search returns the index of the first piece that ends behind addr.
func (t *pieceSet) search(addr uint64) int {
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

// at returns the piece that contains addr, or nil.
func (t *pieceSet) at(addr uint64) *piece {
	if i := t.search(addr); i < len(t.s) && t.s[i].start <= addr {
		return t.s[i]
	}
	return nil
}

func (t *pieceSet) insertAt(i int, p *piece) {
	t.s = append(t.s, nil)
	copy(t.s[i+1:], t.s[i:])
	t.s[i] = p
}

func (t *pieceSet) removeAt(i, j int) {
	n := copy(t.s[i:], t.s[j:])
	clear(t.s[i+n:])
	t.s = t.s[:i+n]
}

// insert adds p, which overlaps no other.
func (t *pieceSet) insert(p *piece) { t.insertAt(t.search(p.start), p) }

// split makes addr a border between pieces, if it is inside one.
func (t *pieceSet) split(addr uint64) {
	i := t.search(addr)
	if i == len(t.s) || t.s[i].start >= addr {
		return
	}
	a := t.s[i]
	b := *a
	b.start, b.off = addr, a.offAt(addr)
	a.end = addr
	t.insertAt(i+1, &b)
}

// isolate makes the borders of r borders of pieces and returns the indices
// [i, j) of the pieces inside.
func (t *pieceSet) isolate(r memmap.Range) (i, j int) {
	t.split(r.Start)
	t.split(r.End)
	return t.overlap(r)
}

// overlap returns the indices [i, j) of the pieces that share a byte with r.
func (t *pieceSet) overlap(r memmap.Range) (i, j int) {
	i = t.search(r.Start)
	j = i
	for j < len(t.s) && t.s[j].start < r.End {
		j++
	}
	return i, j
}

// gap returns the largest range around addr inside r without pieces. addr
// itself has none.
func (t *pieceSet) gap(addr uint64, r memmap.Range) memmap.Range {
	i := t.search(addr)
	if i < len(t.s) {
		r.End = min(r.End, t.s[i].start)
	}
	if i > 0 {
		r.Start = max(r.Start, t.s[i-1].end)
	}
	return r
}

func continues(a, b *piece) bool {
	return a.end == b.start && a.file == b.file && a.off+a.len() == b.off && a.prot == b.prot &&
		a.mapped == b.mapped && a.rw == b.rw && a.own == b.own && a.cow == b.cow && a.forked == b.forked && a.patched == b.patched && a.wr == b.wr
}

// mergeAround joins pieces that meet at a border in [lo, hi].
func (t *pieceSet) mergeAround(lo, hi uint64) {
	i := t.search(lo)
	if i > 0 {
		i--
	}
	for i+1 < len(t.s) && t.s[i].end <= hi {
		if a, b := t.s[i], t.s[i+1]; continues(a, b) {
			a.end = b.end
			t.removeAt(i+1, i+2)
			continue
		}
		i++
	}
}
