package mm

import (
	"sync"
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/pages"
)

var lastShared atomic.Uint64

// SharedAnon is memory without a name that several spaces can map: of
// mmap(MAP_SHARED|MAP_ANONYMOUS) and of System V segments. It lives as long
// as a mapping or its maker's hold.
type SharedAnon struct {
	mem *pages.Memory
	id  memmap.Identity

	mu sync.Mutex
	n  uint64
	// parts is the memory in steps of wholeLimit, each taken when it is first
	// wanted; nil once everything was given back.
	parts    map[uint64]memmap.Range
	mappings uint64 // bytes mapped, and one for a hold
}

func newSharedAnon(mem *pages.Memory, n uint64) (*SharedAnon, error) {
	n = (n + pageMask) &^ pageMask
	return &SharedAnon{mem: mem, n: n, parts: make(map[uint64]memmap.Range), id: memmap.Identity{DevMinor: 1, Ino: lastShared.Add(1), Path: "/dev/zero (deleted)"}}, nil
}

// NewSharedAnon returns n bytes of zeroes, held until Release. name is what
// /proc/pid/maps shows ("/SYSV00000000 (deleted)"), ino its inode.
func NewSharedAnon(mem *pages.Memory, n uint64, name string, ino uint64) (*SharedAnon, error) {
	o, err := newSharedAnon(mem, n)
	if err != nil {
		return nil, err
	}
	o.id.Path = name
	if ino != 0 {
		o.id.Ino = ino
	}
	o.mappings = 1
	return o, nil
}

// Release drops the maker's hold.
func (o *SharedAnon) Release() { o.unmapped(1) }

func (o *SharedAnon) unmapped(n uint64) {
	o.mu.Lock()
	o.mappings -= n
	var parts map[uint64]memmap.Range
	if o.mappings == 0 {
		parts, o.parts, o.n = o.parts, nil, 0
	}
	o.mu.Unlock()
	for _, r := range parts {
		o.mem.DecRef(r)
	}
}

// AddMapping implements memmap.Mappable.
func (o *SharedAnon) AddMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mappings += ar.Len()
	return nil
}

// RemoveMapping implements memmap.Mappable.
func (o *SharedAnon) RemoveMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) {
	o.unmapped(ar.Len())
}

// Translate implements memmap.Mappable.
func (o *SharedAnon) Translate(ctx kctx.Ctx, required, optional memmap.Range, write bool) ([]memmap.Translation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := required.Start / wholeLimit
	part := memmap.Range{Start: i * wholeLimit, End: min((i+1)*wholeLimit, o.n)}
	src := part.Intersect(optional)
	if required.Start < src.Start || required.Start >= src.End {
		return nil, errno.EFAULT
	}
	r, ok := o.parts[i]
	if !ok {
		var err error
		if r, err = o.mem.Allocate(part.Len()); err != nil {
			return nil, err
		}
		o.parts[i] = r
	}
	at := r.Start + (src.Start - part.Start)
	o.mem.IncRef(memmap.Range{Start: at, End: at + src.Len()})
	return []memmap.Translation{{Source: src, File: o.mem, Offset: at, Write: true}}, nil
}

// MappedName implements memmap.Mappable.
func (o *SharedAnon) MappedName(ctx kctx.Ctx) memmap.Identity { return o.id }

// Fixed is a Mappable over a range of memory that somebody else keeps: the
// vDSO and its parameter page.
type Fixed struct {
	Mem   *pages.Memory
	Range memmap.Range
	Name  string
}

// AddMapping implements memmap.Mappable.
func (f *Fixed) AddMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) error {
	return nil
}

// RemoveMapping implements memmap.Mappable.
func (f *Fixed) RemoveMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) {}

// Translate implements memmap.Mappable.
func (f *Fixed) Translate(ctx kctx.Ctx, required, optional memmap.Range, write bool) ([]memmap.Translation, error) {
	src := memmap.Range{Start: 0, End: f.Range.Len()}.Intersect(optional)
	if required.Start < src.Start || required.Start >= src.End {
		return nil, errno.EFAULT
	}
	at := f.Range.Start + src.Start
	f.Mem.IncRef(memmap.Range{Start: at, End: at + src.Len()})
	return []memmap.Translation{{Source: src, File: f.Mem, Offset: at}}, nil
}

// MappedName implements memmap.Mappable.
func (f *Fixed) MappedName(ctx kctx.Ctx) memmap.Identity { return memmap.Identity{Path: f.Name} }
