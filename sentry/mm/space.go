package mm

import (
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
)

var lastID atomic.Uint64

// nobody is the caller for copies, which have no Ctx.
var nobody = kctx.Background(creds.NewRoot(nil))

// New returns an empty address space with one user.
func New(p platform.Platform, mem *pages.Memory) (*Space, error) {
	ps, err := p.NewSpace()
	if err != nil {
		klog.Warningf("mm: new address space: %v", err)
		return nil, errno.ENOMEM
	}
	s := &Space{id: lastID.Add(1), p: p, ps: ps, mem: mem, hot: new(hotRuns), max: p.MaxAddr() &^ pageMask}
	s.users.Store(1)
	s.exec.dumpable = UserDumpable
	s.layout = defaultLayout(s.max)
	s.min = minAddr
	if p, ok := ps.(platform.Patcher); ok {
		_, s.min = p.PatchRange()
	}
	_ = s.watchText(nil)
	return s, nil
}

// ID is a number that no other space ever has.
func (s *Space) ID() uint64 { return s.id }

// Platform returns the platform's side of the space.
func (s *Space) Platform() platform.Space { return s.ps }

// MaxAddr is the first address that cannot be mapped.
func (s *Space) MaxAddr() uint64 { return s.max }

// NewThread returns a stub thread that runs in the space.
func (s *Space) NewThread() (platform.Thread, error) {
	th, err := s.ps.NewThread()
	if err != nil {
		klog.Warningf("mm: new thread: %v", err)
		return nil, errno.EAGAIN
	}
	return th, nil
}

// IncUsers adds a user: a task, or an opener of /proc/pid/mem. It returns
// false if the space is already gone.
func (s *Space) IncUsers() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// DecUsers drops one; the last one releases everything.
func (s *Space) DecUsers(ctx kctx.Ctx) {
	if s.users.Add(-1) != 0 {
		return
	}
	s.ps.Release()
	s.mu.Lock()
	for _, p := range s.pieces.s {
		s.drop(p.file, p.fileRange())
	}
	s.pieces.s = nil
	s.trash = append(s.trash, s.areas.s...)
	s.areas.s = nil
	s.dropReserves()
	s.dropSpare()
	exe := s.exec.exe
	s.exec.exe = nil
	s.mustFlush = false
	s.unlock(ctx)
	if exe != nil {
		exe.DecRef(ctx)
	}
}

func (s *Space) dropReserves() {
	for _, r := range []*memmap.Range{&s.heapRes, &s.stackRes} {
		if r.Len() > 0 {
			s.drop(s.mem, *r)
			*r = memmap.Range{}
		}
	}
}

// FlushNow makes queued mapping changes take effect; th is a thread of this
// space outside Switch that belongs to the caller, or nil.
func (s *Space) FlushNow(th platform.Thread) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mustFlush = false
	return s.ps.Flush(th)
}

// drop gives up the reference on a range of a file, once nothing maps it.
// Preconditions: s.mu is held for writing.
func (s *Space) drop(f memmap.File, r memmap.Range) {
	if n := len(s.unref); n > 0 {
		if l := &s.unref[n-1]; l.f == f && l.r.End == r.Start {
			l.r.End = r.End
			return
		}
	}
	s.unref = append(s.unref, fileRange{f, r})
}

func (s *Space) thread(ctx kctx.Ctx) platform.Thread {
	if t, ok := ctx.(ThreadSource); ok {
		return t.PlatformThread(s)
	}
	return nil
}

// unlock ends an operation: what was taken away is gone from the host if
// another thread could still see it, references are dropped, files are told.
func (s *Space) unlock(ctx kctx.Ctx) {
	if s.mustFlush {
		if s.users.Load() > 1 {
			s.flushLocked(s.thread(ctx))
		}
		s.mustFlush = false
	}
	s.unlockNoFlush(ctx)
}

func (s *Space) flushLocked(th platform.Thread) {
	if err := s.ps.Flush(th); err != nil {
		// The stub process is dying; its threads will say so.
		klog.Debugf("mm: flush: %v", err)
	}
}

// unlockIO is unlock for copies by the sentry, which know no thread. With more
// than one user, what was replaced stays referenced until the next
// operation: other threads may still see it, never what its pages become.
func (s *Space) unlockIO() {
	if s.mustFlush && s.users.Load() > 1 {
		if len(s.unref) < 256 {
			trash := s.trash
			s.trash = nil
			s.mu.Unlock()
			s.dispose(nobody, trash)
			return
		}
		s.flushLocked(nil)
	}
	s.mustFlush = false
	s.unlockNoFlush(nobody)
}

func (s *Space) unlockNoFlush(ctx kctx.Ctx) {
	if len(s.unref) > 0 && s.pins.Load() == 0 {
		for i, u := range s.unref {
			u.f.DecRef(u.r)
			s.unref[i].f = nil
		}
		s.unref = s.unref[:0]
	}
	if s.trash == nil {
		s.mu.Unlock()
		return
	}
	trash := s.trash
	s.trash = nil
	s.mu.Unlock()
	s.dispose(ctx, trash)
}

// dispose tells files that areas of them are gone. No lock is held.
func (s *Space) dispose(ctx kctx.Ctx, trash []*area) {
	for _, a := range trash {
		if a.m != nil {
			a.m.RemoveMapping(a.handle, memmap.Range{Start: a.start, End: a.end}, a.off, a.shared() && a.maxProt&platform.Write != 0)
		}
		if a.file != nil {
			a.file.DecRef(ctx)
		}
	}
}

// unpin undoes a pin taken with pins.Add(1) under the read lock.
func (s *Space) unpin() {
	if s.pins.Add(-1) != 0 {
		return
	}
	s.mu.RLock()
	left := len(s.unref)
	s.mu.RUnlock()
	if left > 0 {
		s.mu.Lock()
		s.unlockIO()
	}
}

// setRights makes the host mapping of p allow prot.
// Preconditions: s.mu is held for writing.
func (s *Space) setRights(p *piece, prot platform.Prot, populate bool) {
	if p.mapped && p.prot == prot {
		return
	}
	switch {
	case !p.mapped && prot == 0:
		return
	case !p.mapped, prot&platform.Write != 0:
		// Write access comes with a new mapping only: user code must not be
		// able to get it back by itself. So does execute access beside it:
		// Protect would leave a hole, which a later Protect stumbles over.
		ro, rw := p.file.Host()
		if ro < 0 {
			ro = rw
		}
		s.ps.Map(p.start, p.len(), platform.File{RO: ro, RW: rw}, p.off, prot, populate)
		p.mapped, p.rw = true, prot&platform.Write != 0
	default:
		s.ps.Protect(p.start, p.len(), prot)
		if p.prot&^prot != 0 {
			s.mustFlush = true
		}
	}
	p.prot = prot
}

// unmapPieces takes the pieces in r away, from the host too.
// Preconditions: s.mu is held for writing.
func (s *Space) unmapPieces(r memmap.Range) {
	i, j := s.pieces.isolate(r)
	if i == j {
		return
	}
	lo, hi := uint64(0), uint64(0)
	for _, p := range s.pieces.s[i:j] {
		if p.mapped {
			if lo == hi {
				lo = p.start
			}
			hi = p.end
		}
		if p.patched {
			s.forgetText(memmap.Range{Start: p.start, End: p.end})
		}
		if !p.own || p.forked || !s.keep(p.fileRange()) {
			s.drop(p.file, p.fileRange())
		}
	}
	s.pieces.removeAt(i, j)
	if lo != hi {
		s.ps.Unmap(lo, hi-lo)
		s.mustFlush = true
	}
}

// replaced notes that p was put in the place of a mapped piece.
func (s *Space) replaced(mapped bool) {
	if mapped {
		s.mustFlush = true
	}
}

// Users is how many tasks and other openers there are.
func (s *Space) Users() int { return int(s.users.Load()) }
