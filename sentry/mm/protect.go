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

// cutAreas makes the borders of r borders of areas and returns [i, j).
func (s *Space) cutAreas(r memmap.Range) (i, j int) {
	s.areas.split(r.Start)
	s.areas.split(r.End)
	return s.areas.overlap(r)
}

// mayCut says whether splitting at both ends of r keeps the number of areas
// within bounds.
func (s *Space) mayCut(r memmap.Range) error {
	if len(s.areas.s)+2 > maxAreas || len(s.pieces.s) > maxPieces {
		return errno.ENOMEM
	}
	return nil
}

// Mprotect is mprotect(2); flags has PROT_GROWSDOWN and PROT_GROWSUP.
func (s *Space) Mprotect(ctx kctx.Ctx, addr, length uint64, prot platform.Prot, flags uint32) error {
	if addr&pageMask != 0 || flags&(unix.PROT_GROWSDOWN|unix.PROT_GROWSUP) == unix.PROT_GROWSDOWN|unix.PROT_GROWSUP {
		return errno.EINVAL
	}
	if length == 0 {
		return nil
	}
	r, err := s.pageRange(addr, length)
	if err != nil {
		return errno.ENOMEM
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	if flags&unix.PROT_GROWSDOWN != 0 {
		a := s.areas.next(r.Start)
		if a == nil || a.start >= r.End {
			return errno.ENOMEM
		}
		if a.flags&fGrowsDown == 0 {
			return errno.EINVAL
		}
		r.Start = min(r.Start, a.start)
	} else if flags&unix.PROT_GROWSUP != 0 {
		return errno.EINVAL
	}
	if s.areas.at(r.Start) == nil {
		return errno.ENOMEM
	}
	if err := s.mayCut(r); err != nil {
		return err
	}
	// Areas before the first that fails do change, as on Linux.
	end := r.Start
	var ret error
	for end < r.End {
		a := s.areas.at(end)
		if a == nil {
			ret = errno.ENOMEM
			break
		}
		if prot&^a.maxProt != 0 {
			ret = errno.EACCES
			break
		}
		next := min(a.end, r.End)
		if a.prot != prot {
			if err := s.protectArea(ctx, memmap.Range{Start: end, End: next}, prot); err != nil {
				ret = err
				break
			}
		}
		end = next
	}
	s.mergeAreas(r.Start, end)
	s.pieces.mergeAround(r.Start, end)
	return ret
}

// protectArea changes r, which is inside one area.
func (s *Space) protectArea(ctx kctx.Ctx, r memmap.Range, prot platform.Prot) error {
	i, _ := s.cutAreas(r)
	a := s.areas.s[i]
	s.account(a, -1)
	was := a.prot
	a.prot = prot
	if a.isData() {
		if lim := limitOf(ctx, unix.RLIMIT_DATA); lim != limits.Infinity && s.stats.data+a.len() > lim {
			a.prot = was
			s.account(a, 1)
			return errno.ENOMEM
		}
	}
	s.account(a, 1)
	pi, pj := s.pieces.isolate(r)
	for _, p := range s.pieces.s[pi:pj] {
		if p.mapped || p.own {
			s.setRights(p, p.rights(prot), false)
		}
	}
	if a.anonymous() && prot != 0 && a.len() <= wholeLimit {
		if err := s.back(a, r); err != nil {
			return err
		}
	}
	return nil
}

// lockRange is the pages that [addr, addr+length) touches.
func (s *Space) lockRange(addr, length uint64) (memmap.Range, error) {
	n := (length + addr&pageMask + pageMask) &^ pageMask
	if addr &^= pageMask; addr+n < addr {
		return memmap.Range{}, errno.EINVAL
	}
	if n == 0 {
		return memmap.Range{Start: addr, End: addr}, nil
	}
	return s.pageRange(addr, n)
}

// Mlock is mlock2(2).
func (s *Space) Mlock(ctx kctx.Ctx, addr, length uint64, flags uint32) error {
	if flags&^unix.MLOCK_ONFAULT != 0 {
		return errno.EINVAL
	}
	r, err := s.lockRange(addr, length)
	if err != nil {
		return err
	}
	lim := limitOf(ctx, unix.RLIMIT_MEMLOCK)
	privileged := ctx.Creds().Capable(creds.CapIpcLock)
	if !privileged && lim == 0 {
		return errno.EPERM
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	if !privileged && s.stats.locked+s.unlockedIn(r) > lim {
		return errno.ENOMEM
	}
	set := fLocked
	if flags&unix.MLOCK_ONFAULT != 0 {
		set |= fLockOnFault
	}
	if err := s.setFlags(r, set, fLocked|fLockOnFault); err != nil {
		return err
	}
	if flags&unix.MLOCK_ONFAULT == 0 {
		if s.populate(ctx, r, false) != nil {
			return errno.ENOMEM
		}
	}
	return nil
}

func (s *Space) unlockedIn(r memmap.Range) (n uint64) {
	i, j := s.areas.overlap(r)
	for _, a := range s.areas.s[i:j] {
		if a.flags&fLocked == 0 {
			n += r.Intersect(memmap.Range{Start: a.start, End: a.end}).Len()
		}
	}
	return n
}

// setFlags replaces the flags in mask of the areas in r; ENOMEM if there is a
// hole, after the areas before it changed.
func (s *Space) setFlags(r memmap.Range, set, mask areaFlags) error {
	if r.Len() == 0 {
		return nil
	}
	if err := s.mayCut(r); err != nil {
		return err
	}
	i, j := s.cutAreas(r)
	at := r.Start
	var ret error
	for _, a := range s.areas.s[i:j] {
		if a.start != at {
			ret = errno.ENOMEM
		}
		s.account(a, -1)
		if a.flags&fIO == 0 {
			a.flags = a.flags&^mask | set
		}
		s.account(a, 1)
		at = a.end
	}
	if at < r.End {
		ret = errno.ENOMEM
	}
	s.mergeAreas(r.Start, r.End)
	return ret
}

// Munlock is munlock(2).
func (s *Space) Munlock(ctx kctx.Ctx, addr, length uint64) error {
	r, err := s.lockRange(addr, length)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	return s.setFlags(r, 0, fLocked|fLockOnFault)
}

// MlockAll is mlockall(2).
func (s *Space) MlockAll(ctx kctx.Ctx, flags uint32) error {
	if flags == 0 || flags&^(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT) != 0 || flags == unix.MCL_ONFAULT {
		return errno.EINVAL
	}
	lim := limitOf(ctx, unix.RLIMIT_MEMLOCK)
	privileged := ctx.Creds().Capable(creds.CapIpcLock)
	if !privileged && lim == 0 {
		return errno.EPERM
	}
	s.mu.Lock()
	defer s.unlock(ctx)
	if !privileged && flags&unix.MCL_CURRENT != 0 && s.stats.vsize > lim {
		return errno.ENOMEM
	}
	s.def = lockDefaults{flags&unix.MCL_FUTURE != 0, flags&unix.MCL_ONFAULT != 0}
	if flags&unix.MCL_CURRENT == 0 {
		return nil
	}
	set := fLocked
	if flags&unix.MCL_ONFAULT != 0 {
		set |= fLockOnFault
	}
	s.allFlags(set)
	if flags&unix.MCL_ONFAULT == 0 {
		for i := 0; i < len(s.areas.s); i++ {
			if a := s.areas.s[i]; a.prot != 0 {
				s.populate(ctx, memmap.Range{Start: a.start, End: a.end}, false)
			}
		}
	}
	return nil
}

func (s *Space) allFlags(set areaFlags) {
	for _, a := range s.areas.s {
		s.account(a, -1)
		if a.flags&fIO == 0 {
			a.flags = a.flags&^(fLocked|fLockOnFault) | set
		}
		s.account(a, 1)
	}
	s.mergeAreas(0, s.max)
}

// MunlockAll is munlockall(2).
func (s *Space) MunlockAll(ctx kctx.Ctx) error {
	s.mu.Lock()
	defer s.unlock(ctx)
	s.def = lockDefaults{}
	s.allFlags(0)
	return nil
}
