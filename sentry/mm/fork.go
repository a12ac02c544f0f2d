package mm

import (
	"slices"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

// Fork returns a copy-on-write copy with one user (fork(2)). Private memory
// is shared and loses its write right on both sides; the child maps at once
// what the parent has mapped, in the batch that first enters it.
func (s *Space) Fork(ctx kctx.Ctx) (*Space, error) {
	ps, err := s.p.NewSpace()
	if err != nil {
		klog.Warningf("mm: fork: %v", err)
		return nil, errno.ENOMEM
	}
	c := &Space{id: lastID.Add(1), p: s.p, ps: ps, mem: s.mem, max: s.max, min: s.min, hot: s.hot, born: true}
	c.users.Store(1)

	s.mu.Lock()
	c.layout, c.brk = s.layout, s.brk
	c.exec = s.exec
	c.text = slices.Clone(s.text)
	if c.exec.exe != nil {
		c.exec.exe.IncRef()
	}
	c.stats = s.stats
	c.stats.locked, c.stats.hwmRSS = 0, 0
	if err := s.forkAreas(c); err != nil {
		s.unlock(ctx)
		c.DecUsers(ctx)
		return nil, err
	}
	s.forkPieces(c)
	if err := c.watchText(s); err != nil {
		s.unlock(ctx)
		c.DecUsers(ctx)
		klog.Warningf("mm: fork: %v", err)
		return nil, errno.ENOMEM
	}
	s.unlock(ctx)
	return c, nil
}

func (s *Space) forkAreas(c *Space) error {
	block := make([]area, len(s.areas.s))
	c.areas.s = make([]*area, 0, len(s.areas.s)+8)
	var handles map[*handle]*handle
	for i, a := range s.areas.s {
		if a.flags&(fDontFork|fWipeOnFork) != 0 {
			s.pieces.split(a.start)
			s.pieces.split(a.end)
		}
		if a.flags&fDontFork != 0 {
			c.account(a, -1)
			continue
		}
		b := &block[i]
		*b = *a
		b.flags &^= fLocked | fLockOnFault
		if b.m != nil {
			h := handles[a.handle]
			if h == nil {
				h = &handle{s: c, m: b.m}
				if handles == nil {
					handles = make(map[*handle]*handle)
				}
				handles[a.handle] = h
			}
			b.handle = h
			if err := b.m.AddMapping(h, memmap.Range{Start: b.start, End: b.end}, b.off, b.shared() && b.maxProt&platform.Write != 0); err != nil {
				return err
			}
		}
		if b.file != nil {
			b.file.IncRef()
		}
		c.areas.s = append(c.areas.s, b)
	}
	return nil
}

func (s *Space) forkPieces(c *Space) {
	hot := s.copyHot(nil)
	block := make([]piece, len(s.pieces.s))
	c.pieces.s = make([]*piece, 0, len(s.pieces.s)+8)
	refs := make([]memmap.Range, 0, len(s.pieces.s))
	ai := 0
	for i, p := range s.pieces.s {
		for ai < len(s.areas.s) && s.areas.s[ai].end <= p.start {
			ai++
		}
		if ai == len(s.areas.s) || s.areas.s[ai].flags&(fDontFork|fWipeOnFork) != 0 {
			continue
		}
		n := &block[i]
		if fr, ok := isHot(hot, p); ok {
			*n = piece{start: p.start, end: p.end, off: fr.Start, file: s.mem, own: true, mem: true, patched: p.patched}
			if p.mapped {
				c.setRights(n, n.rights(s.areas.s[ai].prot), false)
			}
			c.pieces.s = append(c.pieces.s, n)
			continue
		}
		if p.own {
			p.cow, p.forked = true, true
			if p.mapped && p.prot&platform.Write != 0 {
				s.setRights(p, p.prot&^platform.Write, false)
			}
		}
		if p.mem {
			refs = append(refs, p.fileRange())
		} else {
			p.file.IncRef(p.fileRange())
		}
		*n = *p
		n.mapped, n.rw, n.prot = false, false, 0
		if p.mapped {
			c.setRights(n, p.prot, false)
		}
		c.pieces.s = append(c.pieces.s, n)
	}
	s.mem.IncRefs(refs)
	s.changes++
}

func isHot(hot []copied, p *piece) (fr memmap.Range, ok bool) {
	for _, h := range hot {
		if h.p == p {
			return h.fr, true
		}
	}
	return fr, false
}
