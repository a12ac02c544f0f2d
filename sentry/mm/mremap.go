package mm

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
)

// Mremap is mremap(2).
func (s *Space) Mremap(ctx kctx.Ctx, oldAddr, oldLen, newLen uint64, flags uint32, newAddr uint64) (uint64, error) {
	const known = unix.MREMAP_MAYMOVE | unix.MREMAP_FIXED | unix.MREMAP_DONTUNMAP
	if flags&^known != 0 || oldAddr&pageMask != 0 {
		return 0, errno.EINVAL
	}
	if flags&(unix.MREMAP_FIXED|unix.MREMAP_DONTUNMAP) != 0 && flags&unix.MREMAP_MAYMOVE == 0 {
		return 0, errno.EINVAL
	}
	oldLen = (oldLen + pageMask) &^ pageMask
	nl := (newLen + pageMask) &^ pageMask
	if nl == 0 || nl < newLen {
		return 0, errno.EINVAL
	}
	newLen = nl
	if flags&unix.MREMAP_DONTUNMAP != 0 && oldLen != newLen {
		return 0, errno.EINVAL
	}
	if oldAddr+oldLen < oldAddr || oldAddr+oldLen > s.max {
		return 0, errno.EFAULT
	}
	if newLen > s.max {
		return 0, errno.EINVAL
	}
	fixed := flags&unix.MREMAP_FIXED != 0
	if fixed {
		if newAddr&pageMask != 0 || newAddr > s.max-newLen || newAddr < s.min {
			return 0, errno.EINVAL
		}
		if (memmap.Range{Start: oldAddr, End: oldAddr + oldLen}).Overlaps(memmap.Range{Start: newAddr, End: newAddr + newLen}) {
			return 0, errno.EINVAL
		}
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	a := s.areas.at(oldAddr)
	if a == nil {
		return 0, errno.EFAULT
	}
	if oldLen == 0 {
		// A second mapping of the same pages; only of shared memory.
		if !a.shared() || flags&unix.MREMAP_DONTUNMAP != 0 || flags&unix.MREMAP_MAYMOVE == 0 {
			return 0, errno.EINVAL
		}
	}
	if flags&unix.MREMAP_DONTUNMAP != 0 && a.flags&fIO != 0 {
		return 0, errno.EINVAL
	}
	if oldLen > newLen && !fixed {
		s.removeAreas(memmap.Range{Start: oldAddr + newLen, End: oldAddr + oldLen})
		return oldAddr, nil
	}
	if oldAddr+oldLen > a.end {
		return 0, errno.EFAULT
	}
	if fixed && oldLen > newLen {
		s.removeAreas(memmap.Range{Start: oldAddr + newLen, End: oldAddr + oldLen})
		oldLen = newLen
		a = s.areas.at(oldAddr)
	}
	if a.m != nil && a.offAt(oldAddr)+newLen < newLen {
		return 0, errno.EINVAL
	}
	if newLen > oldLen {
		grow := &area{start: oldAddr + oldLen, end: oldAddr + newLen, prot: a.prot, flags: a.flags & (fShared | fLocked)}
		if err := s.checkLimits(ctx, grow); err != nil {
			return 0, err
		}
	}
	if len(s.areas.s)+3 > maxAreas {
		return 0, errno.ENOMEM
	}
	if !fixed && flags&unix.MREMAP_DONTUNMAP == 0 {
		if newLen == oldLen && oldLen != 0 {
			return oldAddr, nil
		}
		if oldLen != 0 && oldAddr+oldLen == a.end && s.growInPlace(ctx, a, newLen-oldLen) {
			return oldAddr, nil
		}
		if flags&unix.MREMAP_MAYMOVE == 0 {
			return 0, errno.ENOMEM
		}
	}
	if !fixed {
		hint := uint64(0)
		if flags&unix.MREMAP_DONTUNMAP != 0 {
			hint = newAddr
		}
		var err error
		if newAddr, err = s.findGap(hint, newLen, 0); err != nil {
			return 0, err
		}
	} else {
		s.removeAreas(memmap.Range{Start: newAddr, End: newAddr + newLen})
		if a = s.areas.at(oldAddr); a == nil {
			return 0, errno.EFAULT
		}
	}
	return newAddr, s.move(ctx, a, memmap.Range{Start: oldAddr, End: oldAddr + oldLen}, newAddr, newLen, flags&unix.MREMAP_DONTUNMAP != 0)
}

// growInPlace extends a by n bytes if there is room.
func (s *Space) growInPlace(ctx kctx.Ctx, a *area, n uint64) bool {
	r := memmap.Range{Start: a.end, End: a.end + n}
	if r.End < r.Start || r.End > s.max || !s.free(r) {
		return false
	}
	if a.m != nil {
		if o, ok := a.m.(*SharedAnon); ok && a.offAt(a.end)+n > o.size() {
			return false
		}
		if err := a.m.AddMapping(a.handle, r, a.offAt(a.end), a.shared() && a.maxProt&2 != 0); err != nil {
			return false
		}
	}
	s.account(a, -1)
	a.end += n
	s.account(a, 1)
	s.afterGrow(ctx, a, r)
	s.mergeAreas(r.Start, r.End)
	return true
}

func (s *Space) afterGrow(ctx kctx.Ctx, a *area, r memmap.Range) {
	if a.flags&fLocked != 0 && a.flags&fLockOnFault == 0 {
		s.populate(ctx, r, false)
	} else if a.anonymous() && a.prot != 0 && a.len() <= wholeLimit {
		s.back(a, r)
	}
}

// size is how many bytes o has.
func (o *SharedAnon) size() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

// move puts the part old of a at addr, n bytes long, with its pages.
func (s *Space) move(ctx kctx.Ctx, a *area, old memmap.Range, addr, n uint64, keep bool) error {
	b := *a
	b.start, b.end = addr, addr+n
	if b.m != nil {
		b.off = a.offAt(old.Start)
	}
	if keep {
		b.flags &^= fLocked | fLockOnFault
	}
	// Take the pages out first: they keep their references.
	var moved []*piece
	if old.Len() > 0 {
		i, j := s.pieces.isolate(old)
		moved = append(moved, s.pieces.s[i:j]...)
		s.pieces.removeAt(i, j)
		lo, hi := uint64(0), uint64(0)
		for _, p := range moved {
			if p.mapped {
				if hi == 0 {
					lo = p.start
				}
				hi = p.end
			}
		}
		if hi != 0 {
			s.ps.Unmap(lo, hi-lo)
			s.mustFlush = true
		}
	}
	if err := s.addArea(&b); err != nil {
		for _, p := range moved {
			s.drop(p.file, p.fileRange())
		}
		return err
	}
	na := s.areas.at(addr)
	for _, p := range moved {
		p.start, p.end = p.start-old.Start+addr, p.end-old.Start+addr
		was := p.mapped
		p.mapped, p.rw, p.prot = false, false, 0
		s.pieces.insert(p)
		if was {
			s.setRights(p, p.rights(na.prot), false)
		}
	}
	if old.Len() > 0 {
		if keep {
			// The old range is empty memory again.
			if o := s.areas.at(old.Start); o != nil && o.anonymous() && o.prot != 0 && o.len() <= wholeLimit {
				s.back(o, old)
			}
			s.setFlags(old, 0, fLocked|fLockOnFault)
		} else {
			s.removeAreas(old)
		}
	}
	s.afterGrow(ctx, s.areas.at(addr), memmap.Range{Start: addr + old.Len(), End: addr + n})
	s.pieces.mergeAround(addr, addr+n)
	return nil
}
