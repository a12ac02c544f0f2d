package mm

import (
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/futex"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

// FutexKey names the word at addr for futexes.
func (s *Space) FutexKey(ctx kctx.Ctx, addr uint64, shared bool) (futex.Key, error) {
	if addr&3 != 0 {
		return futex.Key{}, errno.EINVAL
	}
	if !s.inRange(addr, 4) {
		return futex.Key{}, errno.EFAULT
	}
	if !shared {
		return futex.Key{Major: s.id, Offset: addr}, nil
	}
	s.mu.RLock()
	a := s.areas.at(addr)
	if a == nil || a.prot == 0 {
		s.mu.RUnlock()
		return futex.Key{}, errno.EFAULT
	}
	if !a.shared() {
		s.mu.RUnlock()
		return futex.Key{Major: s.id, Offset: addr, Shared: true}, nil
	}
	h, off := a.handle, a.offAt(addr)
	s.mu.RUnlock()
	id := h.id.Load()
	if id == nil {
		v := h.m.MappedName(ctx)
		id = &v
		h.id.Store(id)
	}
	// Ids of spaces never reach the top bit.
	return futex.Key{Major: 1<<63 | uint64(id.DevMajor)<<32 | uint64(id.DevMinor), Minor: id.Ino, Offset: off, Shared: true}, nil
}

// ForEachVMA calls fn for each mapping in order of address until it returns
// false. detail asks for what is present (smaps).
func (s *Space) ForEachVMA(ctx kctx.Ctx, detail bool, fn func(VMA) bool) {
	s.mu.RLock()
	vmas := make([]VMA, 0, len(s.areas.s))
	maps := make([]memmap.Mappable, 0, len(s.areas.s))
	for _, a := range s.areas.s {
		v := VMA{
			Start: a.start, End: a.end, Prot: a.prot, MaxProt: a.maxProt, Shared: a.shared(),
			Offset: a.off, Name: a.name, File: a.file, Mappable: a.m,
			Locked: a.flags&fLocked != 0, GrowsDown: a.flags&fGrowsDown != 0,
			DontFork: a.flags&fDontFork != 0, DontDump: a.flags&fDontDump != 0,
			WipeOnFork: a.flags&fWipeOnFork != 0, NoReserve: a.flags&fNoReserve != 0,
		}
		if v.Name == "" && a.m == nil {
			switch st := s.exec.StartStack; {
			case a.start < s.brk.End && a.end > s.brk.Start:
				v.Name = "[heap]"
			case st >= a.start && st < a.end:
				v.Name = "[stack]"
			}
		}
		if detail {
			s.presence(&v)
		}
		if a.file != nil {
			a.file.IncRef()
		}
		vmas = append(vmas, v)
		maps = append(maps, a.m)
	}
	s.mu.RUnlock()
	defer func() {
		for i := range vmas {
			if f := vmas[i].File; f != nil {
				f.DecRef(ctx)
			}
		}
	}()
	for i := range vmas {
		if m := maps[i]; m != nil {
			if _, ok := m.(*Fixed); !ok {
				vmas[i].ID = m.MappedName(ctx)
			}
		}
		if vmas[i].Name == "" {
			vmas[i].Name = vmas[i].ID.Path
		}
		if !fn(vmas[i]) {
			return
		}
	}
}

func (s *Space) presence(v *VMA) {
	r := memmap.Range{Start: v.Start, End: v.End}
	i, j := s.pieces.overlap(r)
	for _, p := range s.pieces.s[i:j] {
		x := r.Intersect(memmap.Range{Start: p.start, End: p.end})
		fr := memmap.Range{Start: p.offAt(x.Start), End: p.offAt(x.End)}
		switch {
		case !p.own && p.mem, p.own:
			n := s.mem.TouchedBytes(fr)
			if !p.own {
				v.SharedFile += n
			} else if p.cow && !s.mem.Unique(fr) {
				v.SharedByFork += n
			} else {
				v.Private += n
			}
		case p.mapped:
			v.SharedFile += x.Len()
		}
	}
}

// Stats returns sizes for /proc/pid/statm and status.
func (s *Space) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := Stats{VSize: s.stats.vsize, PeakVSize: s.stats.peakVM, Locked: s.stats.locked}
	for _, a := range s.areas.s {
		switch {
		case a.flags&fGrowsDown != 0:
			st.Stack += a.len()
		case a.isData():
			st.Data += a.len()
		case a.prot&platform.Exec != 0 && a.m != nil:
			if a.start < s.exec.EndCode && a.end > s.exec.StartCode {
				st.Exec += a.len()
			} else {
				st.Lib += a.len()
			}
		}
	}
	for _, p := range s.pieces.s {
		switch {
		case p.own:
			st.RSSAnon += s.mem.TouchedBytes(p.fileRange())
		case p.mem:
			st.RSSShmem += s.mem.TouchedBytes(p.fileRange())
		case p.mapped:
			st.RSSFile += p.len()
		}
	}
	st.RSS = st.RSSAnon + st.RSSFile + st.RSSShmem
	st.PeakRSS = max(st.RSS, s.peakRSS.Load())
	s.peakRSS.Store(st.PeakRSS)
	st.PageTables = (st.RSS/512 + 3*pageSize) &^ pageMask
	return st
}

// PeakRSS is about the highest RSS there was (getrusage(2)). It is asked for at
// every exit, so only large pieces are looked at closely.
func (s *Space) PeakRSS() uint64 {
	const large = 512 << 10
	s.mu.RLock()
	defer s.mu.RUnlock()
	var n uint64
	for _, p := range s.pieces.s {
		switch {
		case p.mem && p.len() >= large:
			n += s.mem.TouchedBytes(p.fileRange())
		case p.mapped:
			n += p.len()
		}
	}
	n = max(n, s.peakRSS.Load())
	s.peakRSS.Store(n)
	return n
}

// SetExe records the program's file; it takes a reference of its own.
func (s *Space) SetExe(ctx kctx.Ctx, f FileRef) {
	if f != nil {
		f.IncRef()
	}
	s.mu.Lock()
	old := s.exec.exe
	s.exec.exe = f
	s.mu.Unlock()
	if old != nil {
		old.DecRef(ctx)
	}
}

// Exe returns the program's file with a reference, or nil.
func (s *Space) Exe() FileRef {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.exec.exe != nil {
		s.exec.exe.IncRef()
	}
	return s.exec.exe
}

// Info returns what exec recorded.
func (s *Space) Info() Info {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exec.Info
}

// SetInfo replaces it.
func (s *Space) SetInfo(i Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exec.Info = i
}

// BrkRange is the heap: its start and the break.
func (s *Space) BrkRange() (start, end uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.brk.Start, s.brk.End
}

// Auxv returns the auxiliary vector as exec put it on the stack.
func (s *Space) Auxv() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exec.auxv
}

// SetAuxv records the auxiliary vector.
func (s *Space) SetAuxv(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exec.auxv = b
}

// VDSO is the address of the vDSO, 0 if there is none.
func (s *Space) VDSO() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exec.vdso
}

// SetVDSO records where the vDSO is.
func (s *Space) SetVDSO(addr uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exec.vdso = addr
}

// Dumpable is prctl's PR_GET_DUMPABLE.
func (s *Space) Dumpable() Dumpable {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.exec.dumpable
}

// SetDumpable is PR_SET_DUMPABLE.
func (s *Space) SetDumpable(d Dumpable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exec.dumpable = d
}
