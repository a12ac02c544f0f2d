package mm

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

// The ways an access can end (sigaction(2)).
var (
	errMapErr = &FaultError{int32(unix.SIGSEGV), 1} // SEGV_MAPERR
	errAccErr = &FaultError{int32(unix.SIGSEGV), 2} // SEGV_ACCERR
	errBusAdr = &FaultError{int32(unix.SIGBUS), 2}  // BUS_ADRERR
	errNoMem  = &FaultError{int32(unix.SIGBUS), 2}
)

const (
	// cowLeast is how much is copied around a write to a page shared
	// copy-on-write; writes that go on beside the last copy double it, up to
	// cowMost. A copied page costs about 2 us, a fault 5.
	cowLeast = 16 << 10
	cowMost  = 256 << 10
	// lazyMost and lazyBytes bound what a file fault maps besides its own area.
	lazyMost  = 16
	lazyBytes = 64 << 20
	// dataRun is what is copied at a time of larger data segments.
	dataRun = 128 << 10
	// smallData bounds private data that is copied before it is written.
	smallData = 64 << 10
	// sameFault is how often one fault may repeat without anything to do
	// before it becomes SIGBUS: the host says there is no page (a file cut
	// short behind the gofer's back).
	sameFault = 100
)

// HandleFault makes the access possible (nil: try again) or returns a
// *FaultError with the signal to send.
func (s *Space) HandleFault(ctx kctx.Ctx, addr uint64, access platform.Prot) error {
	s.mu.Lock()
	defer s.unlock(ctx)
	changes := s.changes
	if _, err := s.fault(ctx, addr, access, false); err != nil {
		return err
	}
	if s.changes != changes {
		s.lastFault.n = 0
		return nil
	}
	// Another thread may have done the work. Or the host disagrees.
	if page := addr &^ pageMask; s.lastFault.addr != page || s.lastFault.access != access {
		s.lastFault.addr, s.lastFault.access, s.lastFault.n = page, access, 0
	}
	s.lastFault.n++
	if s.lastFault.n == sameFault {
		s.lastFault.n = 0
		return errBusAdr
	}
	if s.lastFault.n%8 == 0 {
		s.remap(addr)
	}
	return nil
}

type faultCount struct {
	addr   uint64
	access platform.Prot
	n      int
}

// remap makes the host mapping of the piece at addr anew.
func (s *Space) remap(addr uint64) {
	if p := s.pieces.at(addr); p != nil && p.mapped {
		prot := p.prot
		p.mapped, p.prot = false, 0
		s.setRights(p, prot, false)
	}
}

// fault makes addr accessible and returns the piece there. forced ignores the
// area's protection (a debugger's access); the host mapping then does not change
// beyond what a copy needs.
// Preconditions: s.mu is held for writing.
func (s *Space) fault(ctx kctx.Ctx, addr uint64, access platform.Prot, forced bool) (*piece, error) {
	a := s.areas.at(addr)
	if a == nil {
		if a = s.growStack(ctx, addr); a == nil {
			return nil, errMapErr
		}
	}
	if !forced {
		ok := a.prot&access != 0
		if access == platform.Read {
			ok = a.prot != 0
		}
		if !ok {
			return nil, errAccErr
		}
	}
	p := s.pieces.at(addr)
	if p == nil {
		if err := s.present(ctx, a, addr, access == platform.Write); err != nil {
			return nil, err
		}
		if p = s.pieces.at(addr); p == nil {
			return nil, errBusAdr
		}
	}
	if access == platform.Write && !p.writable() {
		if a.shared() {
			if forced && a.prot&platform.Write == 0 {
				return nil, errAccErr
			}
			if err := s.makeWritable(ctx, a, addr); err != nil {
				return nil, err
			}
		} else if err := s.breakCOW(a, p, addr); err != nil {
			return nil, err
		}
		p = s.pieces.at(addr)
	}
	if forced && a.prot == 0 {
		return p, nil
	}
	if want := p.rights(a.prot); !p.mapped || p.prot != want {
		p = s.within(p, a)
		s.setRights(p, want, false)
		s.changes++
		s.pieces.mergeAround(p.start, p.end)
		p = s.pieces.at(addr)
	}
	return p, nil
}

// within cuts p down to what lies inside a.
func (s *Space) within(p *piece, a *area) *piece {
	if p.start >= a.start && p.end <= a.end {
		return p
	}
	at := max(p.start, a.start)
	s.pieces.split(a.start)
	s.pieces.split(a.end)
	return s.pieces.at(at)
}

// growStack extends an area that grows down to addr, or returns nil.
func (s *Space) growStack(ctx kctx.Ctx, addr uint64) *area {
	const step = 128 << 10
	i := s.areas.search(addr)
	if i == len(s.areas.s) {
		return nil
	}
	a := s.areas.s[i]
	if a.flags&fGrowsDown == 0 || a.start <= addr || addr < s.min {
		return nil
	}
	limit := limitOf(ctx, unix.RLIMIT_STACK)
	start := addr &^ pageMask
	if a.end-start > limit {
		return nil
	}
	floor := s.min
	if i > 0 {
		below := s.areas.s[i-1]
		floor = below.end
		if below.prot != 0 && below.flags&fGrowsDown == 0 {
			floor += stackGap
		}
	}
	if start < floor {
		return nil
	}
	// Some more than asked for, so that the next pages need no fault.
	more := max(start&^(step-1), floor)
	if a.end-more <= limit {
		start = more
	}
	if lim := limitOf(ctx, unix.RLIMIT_AS); s.stats.vsize+(a.start-start) > lim {
		return nil
	}
	s.account(a, -1)
	a.start = start
	s.account(a, 1)
	return a
}

// present makes a piece at addr, which has none, and as much of a around it as is
// known to be wanted.
func (s *Space) present(ctx kctx.Ctx, a *area, addr uint64, write bool) error {
	s.changes++
	if a.anonymous() {
		r := memmap.Range{Start: a.start, End: a.end}
		if a.len() > wholeLimit {
			at := addr &^ (backStep - 1)
			r = r.Intersect(memmap.Range{Start: at, End: at + backStep})
		}
		if err := s.back(a, r); err != nil {
			return errNoMem
		}
		return nil
	}
	if err := s.translate(ctx, a, addr, write); err != nil {
		return err
	}
	s.copySmall(a)
	s.mapLazy(ctx)
	return nil
}

// translate asks a's file for the page at addr and what is cheap around it.
func (s *Space) translate(ctx kctx.Ctx, a *area, addr uint64, write bool) error {
	page := addr &^ pageMask
	gap := s.pieces.gap(page, memmap.Range{Start: a.start, End: a.end})
	required := memmap.Range{Start: a.offAt(page), End: a.offAt(page) + pageSize}
	optional := memmap.Range{Start: a.offAt(gap.Start), End: a.offAt(gap.Start) + gap.Len()}
	ts, err := a.m.Translate(ctx, required, optional, write && a.shared())
	if err != nil && len(ts) == 0 {
		return errBusAdr
	}
	for _, t := range ts {
		src := t.Source.Intersect(optional)
		cut := memmap.Range{Start: t.Offset + (src.Start - t.Source.Start)}
		cut.End = cut.Start + src.Len()
		if src != t.Source {
			whole := memmap.Range{Start: t.Offset, End: t.Offset + t.Source.Len()}
			if cut.Len() > 0 {
				t.File.IncRef(cut)
			}
			t.File.DecRef(whole)
			if cut.Len() == 0 {
				continue
			}
		}
		start := gap.Start + (src.Start - optional.Start)
		i := s.pieces.search(start)
		if i < len(s.pieces.s) && s.pieces.s[i].start < start+src.Len() {
			t.File.DecRef(cut) // the file named a page twice
			continue
		}
		p := &piece{start: start, end: start + src.Len(), off: cut.Start, file: t.File,
			wr: a.shared() && t.Write, mem: t.File == memmap.File(s.mem)}
		s.pieces.insertAt(i, p)
		s.setRights(p, p.rights(a.prot), false)
	}
	s.pieces.mergeAround(gap.Start, gap.End)
	return nil
}

// mapLazy makes present what recent file mappings left for their first fault:
// a dynamic linker maps several segments and then touches all of them, and one
// exchange with the stub is cheaper than several.
func (s *Space) mapLazy(ctx kctx.Ctx) {
	lazy := s.lazy
	s.lazy = s.lazy[:0]
	for _, l := range lazy {
		a := s.areas.at(l.start)
		if a == nil || a.m != l.m || a.prot == 0 || a.len() > lazyBytes || s.pieces.at(l.start) != nil {
			continue
		}
		if s.translate(ctx, a, l.start, false) == nil {
			s.copySmall(a)
		}
	}
}

// copySmall copies the file pages of a small private writable area that
// follows the text of the same file: the data of a program or library, which
// relocation writes to at once. (Other private mappings go on showing what is
// written to the file, as on Linux.)
func (s *Space) copySmall(a *area) {
	if a.shared() || a.prot&platform.Write == 0 || a.len() > smallData {
		return
	}
	if !s.followsText(a) {
		return
	}
	for at := a.start; at < a.end; {
		p := s.pieces.at(at)
		if p == nil {
			return
		}
		end := p.end
		if !p.own {
			p = s.within(p, a)
			end = p.end
			if s.copyFile(a, p, memmap.Range{Start: p.start, End: p.end}) != nil {
				return
			}
		}
		at = end
	}
}

// MapPending maps now what recent file mappings left for their first fault (exec:
// all of it will be touched, and the first entry sends one batch anyway).
func (s *Space) MapPending(ctx kctx.Ctx) {
	s.mu.Lock()
	defer s.unlock(ctx)
	s.born = true
	s.mapLazy(ctx)
}

type lazyArea struct {
	start uint64
	m     memmap.Mappable
}

// noteLazy remembers a new file mapping for mapLazy.
func (s *Space) noteLazy(a *area) {
	if len(s.lazy) >= lazyMost {
		copy(s.lazy, s.lazy[1:])
		s.lazy = s.lazy[:lazyMost-1]
	}
	s.lazy = append(s.lazy, lazyArea{a.start, a.m})
}

// followsText says whether a looks like the data segment of a program or library.
func (s *Space) followsText(a *area) bool {
	for i := s.areas.search(a.start) - 1; i >= 0 && s.areas.s[i].m == a.m; i-- {
		if s.areas.s[i].prot&platform.Exec != 0 {
			return true
		}
	}
	return false
}

// makeWritable asks the file of a shared mapping for a page to write to.
func (s *Space) makeWritable(ctx kctx.Ctx, a *area, addr uint64) error {
	page := addr &^ pageMask
	s.changes++
	s.unmapPieces(memmap.Range{Start: page, End: page + pageSize})
	if err := s.translate(ctx, a, page, true); err != nil {
		return err
	}
	if p := s.pieces.at(page); p == nil || !p.wr {
		return errBusAdr
	}
	return nil
}

// breakCOW makes the page at addr of a private mapping writable in place:
// nothing but a right if nobody shares it any more, else by copying a run of
// pages around it.
func (s *Space) breakCOW(a *area, p *piece, addr uint64) error {
	s.changes++
	p = s.within(p, a)
	run := s.cowAround(addr).Intersect(memmap.Range{Start: p.start, End: p.end})
	if p.own {
		s.hot.note(run)
		if s.mem.Unique(p.fileRange()) {
			p.cow = false
			return nil
		}
		if s.mem.Unique(memmap.Range{Start: p.offAt(run.Start), End: p.offAt(run.End)}) {
			i, _ := s.pieces.isolate(run)
			s.pieces.s[i].cow = false
			return nil
		}
		return s.copyOwn(a, p, run)
	}
	if s.followsText(a) {
		// Most of a data segment is written to sooner or later.
		at := addr &^ (dataRun - 1)
		run = memmap.Range{Start: at, End: at + dataRun}.Intersect(memmap.Range{Start: p.start, End: p.end})
	}
	if err := s.copyFile(a, p, run); err == nil {
		return nil
	}
	// A part of the run is beyond the end of a file cut short.
	page := addr &^ pageMask
	return s.copyFile(a, s.pieces.at(addr), memmap.Range{Start: page, End: page + pageSize})
}

// cowAround chooses what to copy for a write to addr.
func (s *Space) cowAround(addr uint64) memmap.Range {
	n := uint64(cowLeast)
	// Each copy may be a host mapping of its own, and those are limited
	// (vm.max_map_count): the more there are, the larger they get.
	switch k := len(s.pieces.s); {
	case k > maxPieces/4:
		n = 2 << 20
	case k > maxPieces/8:
		n = cowMost
	}
	if c := &s.lastCOW; addr+c.Len() >= c.Start && addr < c.End+c.Len() {
		n = max(n, min(2*c.Len(), cowMost))
	}
	s.lastCOW = memmap.Range{Start: addr &^ (n - 1), End: addr&^(n-1) + n}
	return s.lastCOW
}

// copyOwn replaces run, a part of p shared since a fork.
func (s *Space) copyOwn(a *area, p *piece, run memmap.Range) error {
	src := memmap.Range{Start: p.offAt(run.Start), End: p.offAt(run.End)}
	touched := s.mem.Touched(src)
	if len(touched) == 0 {
		// Nothing to copy: take the whole hole behind it too.
		run.End = p.start + (s.mem.NextTouched(memmap.Range{Start: src.End, End: p.off + p.len()}) - p.off)
	}
	fr, err := s.mem.Allocate(run.Len())
	if err != nil {
		return errNoMem
	}
	if s.copyTouched(fr, src, touched) != nil {
		s.mem.DecRef(fr)
		return errNoMem
	}
	s.putCopy(a, run, fr)
	return nil
}

// copyFile replaces run, a part of the file piece p, by a private copy.
func (s *Space) copyFile(a *area, p *piece, run memmap.Range) error {
	fr, err := s.mem.Allocate(run.Len())
	if err != nil {
		return errNoMem
	}
	off, dst := p.offAt(run.Start), fr.Start
	for dst < fr.End {
		b, err := p.file.Bytes(off, fr.End-dst, false)
		if err == nil {
			err = s.mem.Copy(dst, b)
		}
		if err != nil {
			s.mem.DecRef(fr)
			if err == errno.EFAULT {
				return errBusAdr
			}
			return errNoMem
		}
		dst += uint64(len(b))
		off += uint64(len(b))
	}
	s.putCopy(a, run, fr)
	return nil
}

// putCopy puts the fresh memory fr in the place of the pieces in run.
func (s *Space) putCopy(a *area, run, fr memmap.Range) {
	i, j := s.pieces.isolate(run)
	patched := false
	for _, p := range s.pieces.s[i:j] {
		if p.mapped {
			s.mustFlush = true
		}
		patched = patched || p.patched
		s.drop(p.file, p.fileRange())
	}
	p := &piece{start: run.Start, end: run.End, off: fr.Start, file: s.mem, own: true, mem: true, patched: patched}
	s.pieces.s[i] = p
	s.pieces.removeAt(i+1, j)
	s.setRights(p, p.rights(a.prot), false)
	s.pieces.mergeAround(run.Start, run.End)
}

// populate makes r present, writable where it may be (MAP_POPULATE, mlock,
// MADV_POPULATE_*). It stops at the first page that cannot be.
func (s *Space) populate(ctx kctx.Ctx, r memmap.Range, write bool) error {
	for at := r.Start; at < r.End; {
		a := s.areas.at(at)
		if a == nil {
			return errno.ENOMEM
		}
		if a.flags&fIO != 0 || a.prot == 0 {
			if write || a.prot == 0 && a.flags&fIO == 0 {
				return errno.EFAULT
			}
			at = a.end
			continue
		}
		access := platform.Read
		if a.prot&platform.Write != 0 && (write || !a.shared()) {
			access = platform.Write
		} else if write {
			return errno.EFAULT
		}
		p, err := s.fault(ctx, at, access, false)
		if err != nil {
			return errno.EFAULT
		}
		end := min(p.end, a.end, r.End)
		if p.own {
			s.commit(memmap.Range{Start: p.offAt(at), End: p.offAt(end)})
		}
		at = end
	}
	return nil
}

// commit allocates pages, so that touching them later faults in less.
func (s *Space) commit(r memmap.Range) {
	const most = 1 << 30
	if r.Len() <= most {
		s.mem.Commit(r)
	}
}

// invalidate takes pages of h's object in ar away (truncate, hole punch).
func (s *Space) invalidate(h *handle, ar memmap.Range, private bool) {
	s.mu.Lock()
	i, j := s.areas.overlap(ar)
	for _, a := range s.areas.s[i:j] {
		if a.handle != h {
			continue
		}
		r := ar.Intersect(memmap.Range{Start: a.start, End: a.end})
		if private || a.shared() {
			s.unmapPieces(r)
			continue
		}
		pi, pj := s.pieces.isolate(r)
		var cut []memmap.Range
		for _, p := range s.pieces.s[pi:pj] {
			if !p.own {
				cut = append(cut, memmap.Range{Start: p.start, End: p.end})
			}
		}
		for _, c := range cut {
			s.unmapPieces(c)
		}
	}
	s.changes++
	if s.mustFlush {
		// The caller is not one of the space's threads, or not known to be.
		s.flushLocked(nil)
		s.mustFlush = false
	}
	s.unlockNoFlush(nobody)
}
