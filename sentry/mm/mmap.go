package mm

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

const allProt = platform.Read | platform.Write | platform.Exec

// wholeLimit is the size up to which an anonymous area gets its memory at
// once; larger ones get it in steps of backStep when touched. Offsets are
// plentiful, not endless.
const (
	wholeLimit = 1 << 30
	backStep   = 256 << 20
)

// MMapOpts are the arguments of MMap.
type MMapOpts struct {
	Addr, Length uint64
	Prot         platform.Prot
	// MaxProt bounds what mprotect may later allow; 0 means everything.
	MaxProt platform.Prot
	// Flags are MAP_* of mmap(2).
	Flags uint32
	// Mappable is nil for anonymous memory. File, if not nil, is kept alive
	// by the mapping (MMap takes a reference of its own).
	Mappable memmap.Mappable
	File     FileRef
	Offset   uint64
	// Name is shown by /proc/pid/maps if there is no Mappable with a path.
	Name string
	// Special marks the vDSO and its data.
	Special bool
}

func limitOf(ctx kctx.Ctx, resource int) uint64 {
	if l, ok := ctx.(limits.Source); ok {
		return l.Limit(resource)
	}
	return limits.Infinity
}

// MMap is mmap(2).
func (s *Space) MMap(ctx kctx.Ctx, o MMapOpts) (uint64, error) {
	if o.Length == 0 {
		return 0, errno.EINVAL
	}
	length := (o.Length + pageMask) &^ pageMask
	if length == 0 || length > s.max {
		return 0, errno.ENOMEM
	}
	if o.Offset&pageMask != 0 {
		return 0, errno.EINVAL
	}
	if o.Offset+length < o.Offset {
		return 0, errno.EOVERFLOW
	}
	fixed := o.Flags&(unix.MAP_FIXED|unix.MAP_FIXED_NOREPLACE) != 0
	if fixed {
		if o.Addr&pageMask != 0 {
			return 0, errno.EINVAL
		}
		if o.Addr > s.max-length {
			return 0, errno.ENOMEM
		}
		if o.Addr < minAddr {
			// Differs: CAP_SYS_RAWIO does not help (linux: cap_mmap_addr),
			// because the host does not let a stub map there.
			return 0, errno.EPERM
		}
		if o.Addr < s.min {
			return 0, errno.ENOMEM // the platform's own
		}
	}
	if o.MaxProt == 0 {
		o.MaxProt = allProt
	}
	a := &area{prot: o.Prot, maxProt: o.MaxProt, m: o.Mappable, off: o.Offset, file: o.File, name: o.Name}
	if o.Flags&unix.MAP_TYPE != unix.MAP_PRIVATE {
		a.flags |= fShared
		if a.m == nil {
			m, err := newSharedAnon(s.mem, length)
			if err != nil {
				return 0, err
			}
			a.m, a.off = m, 0
		}
	}
	if a.m == nil {
		a.off = 0
	}
	if o.Flags&unix.MAP_GROWSDOWN != 0 && a.m == nil {
		a.flags |= fGrowsDown
	}
	if o.Flags&unix.MAP_NORESERVE != 0 {
		a.flags |= fNoReserve
	}
	if o.Special {
		a.flags |= fIO | fDontDump
	}

	s.mu.Lock()
	defer s.unlock(ctx)
	if o.Flags&unix.MAP_LOCKED != 0 || s.def.future {
		a.flags |= fLocked
		if s.def.onFault && o.Flags&unix.MAP_LOCKED == 0 {
			a.flags |= fLockOnFault
		}
	}
	addr := o.Addr
	if fixed {
		if o.Flags&unix.MAP_FIXED_NOREPLACE != 0 {
			if i, j := s.areas.overlap(memmap.Range{Start: addr, End: addr + length}); i < j {
				return 0, errno.EEXIST
			}
		}
	} else {
		var err error
		if addr, err = s.findGap(addr, length, o.Flags); err != nil {
			return 0, err
		}
	}
	a.start, a.end = addr, addr+length
	if err := s.checkLimits(ctx, a); err != nil {
		return 0, err
	}
	if fixed {
		s.removeAreas(memmap.Range{Start: a.start, End: a.end})
	}
	if err := s.addArea(a); err != nil {
		return 0, err
	}
	switch {
	case o.Flags&unix.MAP_POPULATE != 0 && o.Flags&unix.MAP_NONBLOCK == 0, a.flags&fLocked != 0 && a.flags&fLockOnFault == 0:
		s.populate(ctx, memmap.Range{Start: addr, End: addr + length}, false)
	case a.anonymous() && a.prot != 0 && length <= wholeLimit:
		if s.back(s.areas.at(addr), memmap.Range{Start: addr, End: addr + length}) != nil {
			s.removeAreas(memmap.Range{Start: addr, End: addr + length})
			return 0, errno.ENOMEM
		}
	case a.m != nil && a.prot != 0:
		// What is only read will be read soon, and is mapped on the way back to
		// user code. Except for a dynamic linker's (MAP_DENYWRITE tells it
		// from others): it maps over most of it before it touches any.
		_, anon := a.m.(*SharedAnon)
		if anon || a.prot&platform.Write == 0 && o.Flags&unix.MAP_DENYWRITE == 0 && length <= lazyBytes && !o.Special && s.born {
			s.translate(ctx, s.areas.at(addr), addr, false)
		} else {
			s.noteLazy(a)
		}
	}
	return addr, nil
}

// checkLimits applies RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK and the number of
// mappings to a new area, minus what it replaces.
func (s *Space) checkLimits(ctx kctx.Ctx, a *area) error {
	if len(s.areas.s)+1 > maxAreas || len(s.pieces.s) > maxPieces {
		return errno.ENOMEM
	}
	var oldSize, oldData, oldLocked uint64
	i, j := s.areas.overlap(memmap.Range{Start: a.start, End: a.end})
	for _, x := range s.areas.s[i:j] {
		n := memmap.Range{Start: x.start, End: x.end}.Intersect(memmap.Range{Start: a.start, End: a.end}).Len()
		oldSize += n
		if x.isData() {
			oldData += n
		}
		if x.flags&fLocked != 0 {
			oldLocked += n
		}
	}
	if lim := limitOf(ctx, unix.RLIMIT_AS); lim != limits.Infinity && s.stats.vsize-oldSize+a.len() > lim {
		return errno.ENOMEM
	}
	if a.isData() {
		if lim := limitOf(ctx, unix.RLIMIT_DATA); lim != limits.Infinity && s.stats.data-oldData+a.len() > lim {
			return errno.ENOMEM
		}
	}
	if a.flags&fLocked != 0 && !ctx.Creds().Capable(creds.CapIpcLock) {
		if s.stats.locked-oldLocked+a.len() > limitOf(ctx, unix.RLIMIT_MEMLOCK) {
			return errno.EAGAIN
		}
	}
	return nil
}

// isData says whether RLIMIT_DATA counts a (linux: is_data_mapping).
func (a *area) isData() bool {
	return a.flags&(fShared|fGrowsDown) == 0 && a.prot&platform.Write != 0
}

func (s *Space) account(a *area, sign int64) {
	n := uint64(sign * int64(a.len()))
	s.stats.vsize += n
	if a.isData() {
		s.stats.data += n
	}
	if a.flags&fLocked != 0 {
		s.stats.locked += n
	}
	s.stats.peakVM = max(s.stats.peakVM, s.stats.vsize)
}

// addArea inserts a, whose addresses are free, tells its file, takes a
// reference on it, and joins it with its neighbours.
// Preconditions: s.mu is held for writing.
func (s *Space) addArea(a *area) error {
	i := s.areas.search(a.start)
	if a.m != nil {
		if a.handle == nil {
			if i < len(s.areas.s) && s.areas.s[i].m == a.m {
				a.handle = s.areas.s[i].handle
			} else if i > 0 && s.areas.s[i-1].m == a.m {
				a.handle = s.areas.s[i-1].handle
			} else {
				a.handle = &handle{s: s, m: a.m}
			}
		}
		if err := a.m.AddMapping(a.handle, memmap.Range{Start: a.start, End: a.end}, a.off, a.shared() && a.maxProt&platform.Write != 0); err != nil {
			return err
		}
	}
	if a.file != nil {
		a.file.IncRef()
	}
	s.areas.insertAt(i, a)
	s.account(a, 1)
	s.mergeAreas(a.start, a.end)
	return nil
}

func (s *Space) mergeAreas(lo, hi uint64) {
	s.areas.mergeAround(lo, hi, func(b *area) {
		if b.file != nil {
			s.trash = append(s.trash, &area{file: b.file})
		}
	})
}

// removeAreas removes all mappings in r, with their pieces.
// Preconditions: s.mu is held for writing.
func (s *Space) removeAreas(r memmap.Range) {
	i, j := s.areas.overlap(r)
	if i == j {
		return
	}
	s.areas.split(r.Start)
	s.areas.split(r.End)
	i, j = s.areas.overlap(r)
	for _, a := range s.areas.s[i:j] {
		s.account(a, -1)
		if a.m != nil || a.file != nil {
			s.trash = append(s.trash, a)
		}
	}
	s.areas.removeAt(i, j)
	s.unmapPieces(r)
}

// back gives the parts of r inside the private anonymous area a that have no
// memory some, and maps it. Preconditions: s.mu is held for writing.
func (s *Space) back(a *area, r memmap.Range) error {
	r = r.Intersect(memmap.Range{Start: a.start, End: a.end})
	for at := r.Start; at < r.End; {
		i := s.pieces.search(at)
		end := r.End
		if i < len(s.pieces.s) {
			p := s.pieces.s[i]
			if p.start <= at {
				at = p.end
				continue
			}
			end = min(end, p.start)
		}
		fr, full, err := s.allocate(a, end-at)
		if err != nil {
			return err
		}
		p := &piece{start: at, end: end, off: fr.Start, file: s.mem, own: true, mem: true}
		s.pieces.insertAt(i, p)
		s.setRights(p, p.rights(a.prot), full)
		at = end
	}
	s.pieces.mergeAround(r.Start, r.End)
	return nil
}

// allocate takes n bytes of fresh memory. The heap and the stack take theirs
// from reserves, so that one piece can grow. full says that the pages exist.
func (s *Space) allocate(a *area, n uint64) (r memmap.Range, full bool, err error) {
	const step = 4 << 20
	switch {
	case a.flags&fGrowsDown != 0 && n < step:
		if s.stackRes.Len() < n {
			if err := s.refill(&s.stackRes, step); err != nil {
				return r, false, err
			}
		}
		s.stackRes.End -= n
		return memmap.Range{Start: s.stackRes.End, End: s.stackRes.End + n}, false, nil
	case a.start >= s.brk.Start && a.end <= s.brk.End && n < step:
		if s.heapRes.Len() < n {
			if err := s.refill(&s.heapRes, step); err != nil {
				return r, false, err
			}
		}
		s.heapRes.Start += n
		return memmap.Range{Start: s.heapRes.Start - n, End: s.heapRes.Start}, false, nil
	}
	if r, full, ok := s.reuse(n); ok {
		return r, full, nil
	}
	r, err = s.mem.Allocate(n)
	return r, false, err
}

func (s *Space) refill(res *memmap.Range, n uint64) error {
	r, err := s.mem.Allocate(n)
	if err != nil {
		return err
	}
	if res.Len() > 0 {
		s.drop(s.mem, *res)
	}
	*res = r
	return nil
}

// Munmap is munmap(2).
func (s *Space) Munmap(ctx kctx.Ctx, addr, length uint64) error {
	r, err := s.pageRange(addr, length)
	if err != nil || length == 0 {
		return errno.EINVAL
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	// Cutting a hole may make one area more.
	if i, j := s.areas.overlap(r); j == i+1 && len(s.areas.s) >= maxAreas &&
		s.areas.s[i].start < r.Start && s.areas.s[i].end > r.End {
		return errno.ENOMEM
	}
	s.removeAreas(r)
	return nil
}

// pageRange checks an aligned address and rounds the length up.
func (s *Space) pageRange(addr, length uint64) (memmap.Range, error) {
	if addr&pageMask != 0 {
		return memmap.Range{}, errno.EINVAL
	}
	n := (length + pageMask) &^ pageMask
	if n < length || addr+n < addr || addr+n > s.max {
		return memmap.Range{}, errno.ENOMEM
	}
	return memmap.Range{Start: addr, End: addr + n}, nil
}

// SetBrk places an empty heap at start (exec).
func (s *Space) SetBrk(start uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.brk = memmap.Range{Start: start, End: start}
}

// Brk is brk(2): it returns the break afterwards.
func (s *Space) Brk(ctx kctx.Ctx, addr uint64) uint64 {
	s.mu.Lock()
	defer s.unlock(ctx)
	old := s.brk.End
	if addr < s.brk.Start || addr > s.max {
		return old
	}
	if lim := limitOf(ctx, unix.RLIMIT_DATA); lim != limits.Infinity && addr-s.brk.Start+(s.exec.EndData-s.exec.StartData) > lim {
		return old
	}
	lo, hi := (old+pageMask)&^pageMask, (addr+pageMask)&^pageMask
	switch {
	case hi < lo:
		s.removeAreas(memmap.Range{Start: hi, End: lo})
	case hi > lo:
		if n := s.areas.next(lo); n != nil && n.guardedStart() < hi+pageSize {
			return old
		}
		a := &area{start: lo, end: hi, prot: platform.Read | platform.Write, maxProt: allProt}
		if s.def.future {
			a.flags |= fLocked
		}
		if s.checkLimits(ctx, a) != nil {
			return old
		}
		s.brk.End = addr
		if s.addArea(a) != nil {
			s.brk.End = old
			return old
		}
		if s.back(s.areas.at(lo), memmap.Range{Start: lo, End: hi}) != nil {
			s.removeAreas(memmap.Range{Start: lo, End: hi})
			s.brk.End = old
			return old
		}
	}
	s.brk.End = addr
	return addr
}
