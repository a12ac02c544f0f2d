// Package memmap is where files and address spaces meet: what can be mapped
// (Mappable, made by vfs files) and where its bytes really are (File, a host
// file that both the sentry and the stubs map).
//
// It knows neither vfs nor mm.
package memmap

import "redoubt.dev/redoubt/sentry/kctx"

// Range is [Start, End), of addresses or of offsets, in bytes.
type Range struct{ Start, End uint64 }

// Len is the length of r.
func (r Range) Len() uint64 { return r.End - r.Start }

// Overlaps says whether r and o share a byte.
func (r Range) Overlaps(o Range) bool { return r.Start < o.End && o.Start < r.End }

// Intersect returns the common part (empty: Start == End).
func (r Range) Intersect(o Range) Range {
	s, e := max(r.Start, o.Start), min(r.End, o.End)
	if s > e {
		e = s
	}
	return Range{s, e}
}

// File is a backing file: a host file whose pages are user memory. Offsets and
// lengths are multiples of the page size.
type File interface {
	// Host returns the descriptors to map from: ro opened read-only, rw
	// opened for writing or -1.
	Host() (ro, rw int)
	// Bytes returns the sentry's own mapping of [off, off+n). Touching it can
	// fault (a host file cut short): use usermem's copy functions or mm's.
	// The slice may cover less than n if the mapping is in pieces (>= 1 page).
	Bytes(off, n uint64, write bool) ([]byte, error)
	// IncRef and DecRef count users of a range; a range without users is freed
	// (its offsets are never used again, its pages go back to the host).
	IncRef(r Range)
	DecRef(r Range)
}

// Translation says where a part of a Mappable is.
type Translation struct {
	Source Range // offsets in the Mappable
	File   File
	Offset uint64 // in File, of Source.Start
	Write  bool   // may be mapped writable in a shared mapping
}

// Mapping is what a Mappable knows of one of its mappings, to take pages away
// again (truncate, hole punch, copy-up).
type Mapping interface {
	// Invalidate makes the next access to [ar) of the mapping fault again.
	// With private also copies made for private mappings go (truncate).
	Invalidate(ar Range, private bool)
}

// Mappable is an object that can be mapped into address spaces.
//
// mm calls it with Space.mu held (only RemoveMapping comes without), so its
// methods may take the object's own locks and pages locks, must not call
// Invalidate, and must not touch user memory. Whoever calls Invalidate must
// hold no lock that these methods take: change the size first, then copy the
// list of mappings, unlock, and invalidate. Mappables are compared with ==.
type Mappable interface {
	// AddMapping is told that [ar) of m maps offsets from off; writable says
	// that m is shared and may be written (F_SEAL_WRITE, ETXTBSY).
	AddMapping(m Mapping, ar Range, off uint64, writable bool) error
	// RemoveMapping undoes AddMapping for its range, a part of it, or several
	// ranges that touch (neighbouring areas join).
	RemoveMapping(m Mapping, ar Range, off uint64, writable bool)
	// Translate returns where the pages of required are, and as much of
	// optional around it as is cheap to know, in order, each with a reference
	// on File that the caller drops. Pages at or beyond the end of file (rounded up)
	// are left out; none at all for required means SIGBUS. write asks for
	// pages that may be written in a shared mapping (allocates holes).
	Translate(ctx kctx.Ctx, required, optional Range, write bool) ([]Translation, error)
	// MappedName is for /proc/pid/maps: device, inode and path (with
	// " (deleted)" if it is), and for hashing shared futexes by Identity.
	MappedName(ctx kctx.Ctx) Identity
}

// Identity names a mapped object.
type Identity struct {
	DevMajor, DevMinor uint32
	Ino                uint64
	Path               string
}
