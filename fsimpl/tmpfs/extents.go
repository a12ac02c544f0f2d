package tmpfs

import (
	"slices"
	"sort"

	"redoubt.dev/redoubt/sentry/memmap"
)

// extent says that the n bytes at off of the file are at mem of the memory
// file; all are multiples of a page.
type extent struct{ off, mem, n uint64 }

func (e extent) end() uint64 { return e.off + e.n }

// Extents are kept by chunks of the file, none across a border, so that a
// file full of small holes costs no more than one chunk to change.
const (
	chunkShift = 21
	chunkSize  = 1 << chunkShift
)

// extents is the map of a file; the first chunk, all that most files have, lies
// apart.
type extents struct {
	first []extent
	rest  map[uint64][]extent
	bytes uint64
}

func (x *extents) chunk(i uint64) []extent {
	if i == 0 {
		return x.first
	}
	return x.rest[i]
}

func (x *extents) setChunk(i uint64, l []extent) {
	switch {
	case i == 0:
		x.first = l
	case len(l) == 0:
		delete(x.rest, i)
	default:
		if x.rest == nil {
			x.rest = map[uint64][]extent{}
		}
		x.rest[i] = l
	}
}

// find returns the index of the first extent of l that ends behind off.
func find(l []extent, off uint64) int {
	if n := len(l); n > 0 && off >= l[n-1].off {
		if off < l[n-1].end() {
			return n - 1
		}
		return n
	}
	return sort.Search(len(l), func(i int) bool { return l[i].end() > off })
}

// piece returns where off is: memory offset and length up to the end of the
// extent; or ok false and how long the hole is at least, up to the chunk's end.
func (x *extents) piece(off uint64) (mem, n uint64, ok bool) {
	l := x.chunk(off >> chunkShift)
	i := find(l, off)
	if i == len(l) {
		return 0, chunkSize - off&(chunkSize-1), false
	}
	e := l[i]
	if off < e.off {
		return 0, e.off - off, false
	}
	return e.mem + (off - e.off), e.end() - off, true
}

// nextChunk returns the first chunk from i on that has extents.
func (x *extents) nextChunk(i uint64) (uint64, bool) {
	if i == 0 && len(x.first) > 0 {
		return 0, true
	}
	best, ok := uint64(0), false
	for k := range x.rest {
		if k >= i && (!ok || k < best) {
			best, ok = k, true
		}
	}
	return best, ok
}

// insert adds an extent where there is a hole, inside one chunk.
func (x *extents) insert(e extent) {
	x.bytes += e.n
	c := e.off >> chunkShift
	l := x.chunk(c)
	i := find(l, e.off)
	if i > 0 {
		if p := &l[i-1]; p.end() == e.off && p.mem+p.n == e.mem {
			p.n += e.n
			return
		}
	}
	if i < len(l) {
		if p := &l[i]; e.end() == p.off && e.mem+e.n == p.mem {
			p.off, p.mem, p.n = e.off, e.mem, p.n+e.n
			return
		}
	}
	x.setChunk(c, slices.Insert(l, i, e))
}

// chunksIn calls fn for each chunk with extents that [start, end) touches.
func (x *extents) chunksIn(start, end uint64, fn func(i uint64)) {
	a, b := start>>chunkShift, (end-1)>>chunkShift
	if a == 0 && len(x.first) > 0 {
		fn(0)
	}
	if b-a <= uint64(len(x.rest)) {
		for i := max(a, 1); i <= b; i++ {
			if x.rest[i] != nil {
				fn(i)
			}
		}
		return
	}
	keys := make([]uint64, 0, len(x.rest))
	for k := range x.rest {
		if k >= a && k <= b {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		fn(k)
	}
}

// cut removes what [start, end) has and returns it.
func (x *extents) cut(start, end uint64) []extent {
	if start >= end {
		return nil
	}
	var gone []extent
	x.chunksIn(start, end, func(i uint64) {
		x.setChunk(i, cutList(x.chunk(i), start, end, &gone))
	})
	for _, e := range gone {
		x.bytes -= e.n
	}
	return gone
}

func cutList(l []extent, start, end uint64, gone *[]extent) []extent {
	i := find(l, start)
	j := i
	var kept []extent
	for ; j < len(l) && l[j].off < end; j++ {
		e := l[j]
		if e.off < start {
			d := start - e.off
			kept = append(kept, extent{e.off, e.mem, d})
			e = extent{start, e.mem + d, e.n - d}
		}
		if e.end() > end {
			d := end - e.off
			kept = append(kept, extent{end, e.mem + d, e.n - d})
			e.n = d
		}
		*gone = append(*gone, e)
	}
	if j == i {
		return l
	}
	return slices.Replace(l, i, j, kept...)
}

// present counts the bytes of [start, end) that exist.
func (x *extents) present(start, end uint64) uint64 {
	var n uint64
	x.each(memmap.Range{Start: start, End: end}, func(e extent) { n += e.n })
	return n
}

// each calls fn with what exists of r, in order.
func (x *extents) each(r memmap.Range, fn func(extent)) {
	if r.Start >= r.End {
		return
	}
	x.chunksIn(r.Start, r.End, func(i uint64) {
		l := x.chunk(i)
		for k := find(l, r.Start); k < len(l) && l[k].off < r.End; k++ {
			e := l[k]
			if c := (memmap.Range{Start: e.off, End: e.end()}).Intersect(r); c.Len() > 0 {
				fn(extent{c.Start, e.mem + (c.Start - e.off), c.Len()})
			}
		}
	})
}
