package mm

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

// Puncher is a Mappable whose pages MADV_REMOVE can free.
type Puncher interface {
	PunchHole(ctx kctx.Ctx, r memmap.Range) error
}

// allocator is a FileRef that can free a part of its file (*vfs.File).
type allocator interface {
	Allocate(ctx kctx.Ctx, mode uint32, off, n uint64) error
}

type filePuncher struct{ f allocator }

func (p filePuncher) PunchHole(ctx kctx.Ctx, r memmap.Range) error {
	return p.f.Allocate(ctx, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, r.Start, r.Len())
}

// Madvise is madvise(2).
func (s *Space) Madvise(ctx kctx.Ctx, addr, length uint64, advice int32) error {
	switch advice {
	case unix.MADV_NORMAL, unix.MADV_RANDOM, unix.MADV_SEQUENTIAL, unix.MADV_WILLNEED, unix.MADV_DONTNEED,
		unix.MADV_FREE, unix.MADV_REMOVE, unix.MADV_DONTFORK, unix.MADV_DOFORK, unix.MADV_MERGEABLE,
		unix.MADV_UNMERGEABLE, unix.MADV_HUGEPAGE, unix.MADV_NOHUGEPAGE, unix.MADV_DONTDUMP, unix.MADV_DODUMP,
		unix.MADV_WIPEONFORK, unix.MADV_KEEPONFORK, unix.MADV_COLD, unix.MADV_PAGEOUT,
		unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE, unix.MADV_DONTNEED_LOCKED, unix.MADV_COLLAPSE:
	default:
		return errno.EINVAL
	}
	if addr&pageMask != 0 {
		return errno.EINVAL
	}
	n := (length + pageMask) &^ pageMask
	if n < length || addr+n < addr {
		return errno.EINVAL
	}
	if n == 0 {
		return nil
	}
	if addr+n > s.max {
		return errno.ENOMEM
	}
	r := memmap.Range{Start: addr, End: addr + n}
	if advice == unix.MADV_REMOVE {
		return s.remove(ctx, r)
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	switch advice {
	case unix.MADV_DONTFORK:
		return s.setFlags(r, fDontFork, fDontFork)
	case unix.MADV_DOFORK:
		return s.setFlags(r, 0, fDontFork)
	case unix.MADV_DONTDUMP:
		return s.setFlags(r, fDontDump, fDontDump)
	case unix.MADV_DODUMP:
		return s.setFlags(r, 0, fDontDump)
	case unix.MADV_KEEPONFORK:
		return s.setFlags(r, 0, fWipeOnFork)
	case unix.MADV_WIPEONFORK:
		i, j := s.areas.overlap(r)
		for _, a := range s.areas.s[i:j] {
			if !a.anonymous() {
				return errno.EINVAL
			}
		}
		return s.setFlags(r, fWipeOnFork, fWipeOnFork)
	case unix.MADV_POPULATE_READ, unix.MADV_POPULATE_WRITE:
		return s.populate(ctx, r, advice == unix.MADV_POPULATE_WRITE)
	case unix.MADV_DONTNEED, unix.MADV_FREE, unix.MADV_DONTNEED_LOCKED:
		return s.discard(r, advice)
	}
	// Hints without an effect here; holes are still reported.
	i, j := s.areas.overlap(r)
	at := r.Start
	for _, a := range s.areas.s[i:j] {
		if a.start > at {
			return errno.ENOMEM
		}
		at = a.end
	}
	if at < r.End {
		return errno.ENOMEM
	}
	return nil
}

// discard is MADV_DONTNEED and MADV_FREE (which may free at once): private
// memory reads as it did when it was mapped.
func (s *Space) discard(r memmap.Range, advice int32) error {
	i, j := s.areas.overlap(r)
	at := r.Start
	var ret error
	for _, a := range append([]*area(nil), s.areas.s[i:j]...) {
		if a.start > at {
			ret = errno.ENOMEM
		}
		at = a.end
		if a.flags&fLocked != 0 && advice != unix.MADV_DONTNEED_LOCKED || a.flags&fIO != 0 {
			return errno.EINVAL
		}
		if advice == unix.MADV_FREE && !a.anonymous() {
			return errno.EINVAL
		}
		if !a.shared() {
			s.discardPrivate(a, r.Intersect(memmap.Range{Start: a.start, End: a.end}))
		}
	}
	if at < r.End {
		ret = errno.ENOMEM
	}
	return ret
}

func (s *Space) discardPrivate(a *area, r memmap.Range) {
	if !a.anonymous() {
		s.unmapPieces(r)
		s.noteLazy(a)
		return
	}
	pi, pj := s.pieces.overlap(r)
	var shared []memmap.Range
	for _, p := range s.pieces.s[pi:pj] {
		ar := r.Intersect(memmap.Range{Start: p.start, End: p.end})
		fr := memmap.Range{Start: p.offAt(ar.Start), End: p.offAt(ar.End)}
		if !p.cow || s.mem.Unique(fr) {
			// The host takes the pages out of every mapping by itself.
			s.mem.Zero(fr)
			continue
		}
		shared = append(shared, ar)
	}
	for _, ar := range shared {
		s.unmapPieces(ar)
		if a.prot != 0 && a.len() <= wholeLimit {
			s.back(a, ar)
		}
	}
}

// remove is MADV_REMOVE.
func (s *Space) remove(ctx kctx.Ctx, r memmap.Range) error {
	type job struct {
		p Puncher
		r memmap.Range
		f FileRef
	}
	var jobs []job
	s.mu.Lock()
	i, j := s.areas.overlap(r)
	at := r.Start
	var ret error
	for _, a := range s.areas.s[i:j] {
		if a.start > at {
			ret = errno.ENOMEM
		}
		at = a.end
		p, ok := a.m.(Puncher)
		if f, is := a.file.(allocator); is && !ok {
			p, ok = filePuncher{f}, true
		}
		if a.flags&fLocked != 0 || !ok {
			s.mu.Unlock()
			return errno.EINVAL
		}
		if !a.shared() || a.maxProt&platform.Write == 0 {
			s.mu.Unlock()
			return errno.EACCES
		}
		x := r.Intersect(memmap.Range{Start: a.start, End: a.end})
		if a.file != nil {
			a.file.IncRef()
		}
		jobs = append(jobs, job{p, memmap.Range{Start: a.offAt(x.Start), End: a.offAt(x.Start) + x.Len()}, a.file})
	}
	if at < r.End {
		ret = errno.ENOMEM
	}
	s.mu.Unlock()
	for _, jb := range jobs {
		if err := jb.p.PunchHole(ctx, jb.r); err != nil && ret == nil {
			ret = err
		}
		if jb.f != nil {
			jb.f.DecRef(ctx)
		}
	}
	return ret
}

// PunchHole implements Puncher.
func (o *SharedAnon) PunchHole(ctx kctx.Ctx, r memmap.Range) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, m := range o.parts {
		base := i * wholeLimit
		if x := r.Intersect(memmap.Range{Start: base, End: base + m.Len()}); x.Len() > 0 {
			o.mem.Zero(memmap.Range{Start: m.Start + (x.Start - base), End: m.Start + (x.End - base)})
		}
	}
	return nil
}

// Mincore is mincore(2): one byte for each page.
func (s *Space) Mincore(ctx kctx.Ctx, addr, length uint64) ([]byte, error) {
	if addr&pageMask != 0 {
		return nil, errno.EINVAL
	}
	n := (length + pageMask) &^ pageMask
	if n < length || addr+n < addr || addr+n > s.max {
		return nil, errno.ENOMEM
	}
	r := memmap.Range{Start: addr, End: addr + n}
	out := make([]byte, n/pageSize)
	s.mu.Lock()
	defer s.unlock(ctx)
	i, j := s.areas.overlap(r)
	at := r.Start
	for _, a := range s.areas.s[i:j] {
		if a.start > at {
			return nil, errno.ENOMEM
		}
		at = a.end
	}
	if at < r.End {
		return nil, errno.ENOMEM
	}
	set := func(lo, hi uint64) {
		for x := max(lo, r.Start); x < min(hi, r.End); x += pageSize {
			out[(x-r.Start)/pageSize] = 1
		}
	}
	pi, pj := s.pieces.overlap(r)
	for _, p := range s.pieces.s[pi:pj] {
		if !p.mem {
			set(p.start, p.end)
			continue
		}
		for _, t := range s.mem.Touched(p.fileRange()) {
			set(p.start+(t.Start-p.off), p.start+(t.End-p.off))
		}
	}
	return out, nil
}

// Msync is msync(2); sync is called for each shared file mapping.
func (s *Space) Msync(ctx kctx.Ctx, addr, length uint64, flags uint32, sync func(FileRef) error) error {
	if addr&pageMask != 0 || flags&^(unix.MS_ASYNC|unix.MS_INVALIDATE|unix.MS_SYNC) != 0 ||
		flags&(unix.MS_ASYNC|unix.MS_SYNC) == unix.MS_ASYNC|unix.MS_SYNC {
		return errno.EINVAL
	}
	n := (length + pageMask) &^ pageMask
	if addr+n < addr {
		return errno.ENOMEM
	}
	if n == 0 {
		return nil
	}
	r := memmap.Range{Start: addr, End: addr + n}
	var files []FileRef
	var ret error
	s.mu.Lock()
	i, j := s.areas.overlap(r)
	at := r.Start
	for _, a := range s.areas.s[i:j] {
		if a.start > at {
			ret = errno.ENOMEM
		}
		at = a.end
		if flags&unix.MS_INVALIDATE != 0 && a.flags&fLocked != 0 {
			ret = errno.EBUSY
			break
		}
		if a.shared() && a.file != nil && flags&unix.MS_SYNC != 0 {
			a.file.IncRef()
			files = append(files, a.file)
		}
	}
	if at < r.End && ret == nil {
		ret = errno.ENOMEM
	}
	s.mu.Unlock()
	for _, f := range files {
		if sync != nil {
			if err := sync(f); err != nil && ret == nil {
				ret = err
			}
		}
		f.DecRef(ctx)
	}
	return ret
}
