package mm

import (
	"sync"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
)

var _ usermem.IO = (*Space)(nil)

// bytesAt returns the host memory behind addr if it can be accessed without a
// fault, at most n bytes of it, and whether touching it may fault.
// Preconditions: s.mu is held.
func (s *Space) bytesAt(addr, n uint64, access platform.Prot) (b []byte, safe bool) {
	p := s.pieces.at(addr)
	if p == nil || p.prot&access == 0 {
		return nil, false
	}
	return s.pieceBytes(p, addr, n, access == platform.Write)
}

// pieceBytes is host memory of p at addr, at most n bytes. Of patched text a
// reader gets a copy as the program wrote it.
func (s *Space) pieceBytes(p *piece, addr, n uint64, write bool) (b []byte, safe bool) {
	b, safe = s.rawBytes(p, addr, n, write)
	if p.patched && !write && b != nil {
		own := make([]byte, len(b))
		n, _ := usermem.Copy(own, b)
		own = own[:n]
		s.unpatched(addr, own)
		return own, true
	}
	return b, safe
}

func (s *Space) rawBytes(p *piece, addr, n uint64, write bool) (b []byte, safe bool) {
	off, n := p.offAt(addr), min(n, p.end-addr)
	if p.mem {
		b, _ = s.mem.Bytes(off, n, write)
		return b, true
	}
	// Host files are given out by whole pages.
	in := off & pageMask
	b, err := p.file.Bytes(off-in, (in+n+pageMask)&^pageMask, write)
	if err != nil || uint64(len(b)) <= in {
		return nil, false
	}
	b = b[in:]
	return b[:min(uint64(len(b)), n)], false
}

// faultIn makes addr accessible for a copy.
func (s *Space) faultIn(addr uint64, access platform.Prot) error {
	s.mu.Lock()
	defer s.unlockIO()
	if _, err := s.fault(nobody, addr, access, false); err != nil {
		return errno.EFAULT
	}
	return nil
}

// inRange says whether [addr, addr+n) is inside user memory, as access_ok does.
func (s *Space) inRange(addr, n uint64) bool { return addr <= s.max && n <= s.max-addr }

// copyRetries bounds how often one page is faulted in again for one copy
// before it is given up (another thread may keep taking it away).
const copyRetries = 100

// CopyIn implements usermem.IO.
func (s *Space) CopyIn(addr uint64, dst []byte) (int, error) {
	if len(dst) == 0 {
		return 0, nil
	}
	if !s.inRange(addr, uint64(len(dst))) {
		return 0, errno.EFAULT
	}
	done, tries := 0, 0
	s.mu.RLock()
	for done < len(dst) {
		b, safe := s.bytesAt(addr+uint64(done), uint64(len(dst)-done), platform.Read)
		if b == nil {
			s.mu.RUnlock()
			if tries++; tries > copyRetries {
				return done, errno.EFAULT
			}
			if err := s.faultIn(addr+uint64(done), platform.Read); err != nil {
				return done, err
			}
			s.mu.RLock()
			continue
		}
		tries = 0
		if safe {
			done += copy(dst[done:], b)
			continue
		}
		n, err := usermem.Copy(dst[done:], b)
		done += n
		if err != nil {
			s.mu.RUnlock()
			return done, errno.EFAULT
		}
	}
	s.mu.RUnlock()
	return done, nil
}

// CopyOut implements usermem.IO.
func (s *Space) CopyOut(addr uint64, src []byte) (int, error) {
	if len(src) == 0 {
		return 0, nil
	}
	if !s.inRange(addr, uint64(len(src))) {
		return 0, errno.EFAULT
	}
	done, tries := 0, 0
	s.mu.RLock()
	for done < len(src) {
		b, safe := s.bytesAt(addr+uint64(done), uint64(len(src)-done), platform.Write)
		if b == nil {
			s.mu.RUnlock()
			if tries++; tries > copyRetries {
				return done, errno.EFAULT
			}
			if err := s.faultIn(addr+uint64(done), platform.Write); err != nil {
				return done, err
			}
			s.mu.RLock()
			continue
		}
		tries = 0
		if safe {
			done += copy(b, src[done:])
			continue
		}
		n, err := usermem.Copy(b, src[done:])
		done += n
		if err != nil {
			s.mu.RUnlock()
			return done, errno.EFAULT
		}
	}
	s.mu.RUnlock()
	return done, nil
}

// ZeroOut implements usermem.IO.
func (s *Space) ZeroOut(addr, n uint64) (uint64, error) {
	if !s.inRange(addr, n) {
		return 0, errno.EFAULT
	}
	var done uint64
	tries := 0
	s.mu.RLock()
	for done < n {
		b, safe := s.bytesAt(addr+done, n-done, platform.Write)
		if b == nil {
			s.mu.RUnlock()
			if tries++; tries > copyRetries {
				return done, errno.EFAULT
			}
			if err := s.faultIn(addr+done, platform.Write); err != nil {
				return done, err
			}
			s.mu.RLock()
			continue
		}
		tries = 0
		if safe {
			clear(b)
			done += uint64(len(b))
			continue
		}
		m, err := usermem.Zero(b)
		done += uint64(m)
		if err != nil {
			s.mu.RUnlock()
			return done, errno.EFAULT
		}
	}
	s.mu.RUnlock()
	return done, nil
}

var blockPool = sync.Pool{New: func() any { return new([16][]byte) }}

// WithBlocks implements usermem.IO. The blocks stay valid while fn runs: the
// space is pinned, not locked, so fn may take locks and wait.
func (s *Space) WithBlocks(addr, n uint64, write bool, fn func(blocks [][]byte) (int64, error)) (int64, error) {
	if !s.inRange(addr, n) {
		return 0, errno.EFAULT
	}
	access := platform.Read
	if write {
		access = platform.Write
	}
	store := blockPool.Get().(*[16][]byte)
	blocks := store[:0]
	var got uint64
	tries := 0
	s.mu.RLock()
	s.pins.Add(1)
	for got < n {
		b, _ := s.bytesAt(addr+got, n-got, access)
		if b == nil {
			s.mu.RUnlock()
			err := error(errno.EFAULT)
			if tries++; tries <= copyRetries {
				err = s.faultIn(addr+got, access)
			}
			s.mu.RLock()
			if err != nil {
				break
			}
			continue
		}
		tries = 0
		got += uint64(len(b))
		if k := len(blocks); k > 0 && adjacent(blocks[k-1], b) {
			blocks[k-1] = blocks[k-1][: len(blocks[k-1])+len(b) : cap(blocks[k-1])]
			continue
		}
		blocks = append(blocks, b)
	}
	s.mu.RUnlock()
	var done int64
	err := error(errno.EFAULT)
	if got > 0 || n == 0 {
		done, err = fn(blocks)
	}
	s.unpin()
	clear(blocks)
	if cap(blocks) == len(store) {
		blockPool.Put(store)
	}
	return done, err
}

// word returns the host memory of an aligned 32-bit word.
func (s *Space) word(addr uint64, access platform.Prot, fn func(b []byte, safe bool) error) error {
	if addr&3 != 0 {
		return errno.EINVAL
	}
	if !s.inRange(addr, 4) {
		return errno.EFAULT
	}
	for tries := 0; tries < copyRetries; tries++ {
		s.mu.RLock()
		if b, safe := s.bytesAt(addr, 4, access); b != nil {
			err := fn(b, safe)
			s.mu.RUnlock()
			return err
		}
		s.mu.RUnlock()
		if err := s.faultIn(addr, access); err != nil {
			return err
		}
	}
	return errno.EFAULT
}

// LoadUint32 implements usermem.IO.
func (s *Space) LoadUint32(addr uint64) (v uint32, err error) {
	err = s.word(addr, platform.Read, func(b []byte, safe bool) (err error) {
		v, err = usermem.LoadUint32(b, safe)
		return err
	})
	return v, err
}

// SwapUint32 implements usermem.IO.
func (s *Space) SwapUint32(addr uint64, v uint32) (old uint32, err error) {
	err = s.word(addr, platform.Write, func(b []byte, safe bool) (err error) {
		old, err = usermem.SwapUint32(b, v, safe)
		return err
	})
	return old, err
}

// CompareAndSwapUint32 implements usermem.IO: it returns the old value.
func (s *Space) CompareAndSwapUint32(addr uint64, old, new uint32) (was uint32, err error) {
	err = s.word(addr, platform.Write, func(b []byte, safe bool) (err error) {
		was, err = usermem.CompareAndSwapUint32(b, old, new, safe)
		return err
	})
	return was, err
}

// Forced returns the space as a debugger sees it (ptrace, /proc/pid/mem):
// protections do not stop it, writes to private read-only memory copy it.
func (s *Space) Forced(ctx kctx.Ctx) usermem.IO { return &forced{s, ctx} }

// forced is slow: everything happens under the lock.
type forced struct {
	*Space
	ctx kctx.Ctx
}

func (f *forced) each(addr, n uint64, access platform.Prot, fn func(b []byte) (int, error)) (uint64, error) {
	if !f.inRange(addr, n) {
		return 0, errno.EFAULT
	}
	var done uint64
	f.mu.Lock()
	defer f.unlockIO()
	for done < n {
		p, err := f.fault(f.ctx, addr+done, access, true)
		if err != nil {
			return done, errno.EFAULT
		}
		if p.patched && access == platform.Write {
			f.unpatch(p, memmap.Range{Start: addr + done, End: addr + n})
		}
		b, _ := f.pieceBytes(p, addr+done, n-done, access == platform.Write)
		if b == nil {
			return done, errno.EFAULT
		}
		m, err := fn(b)
		done += uint64(m)
		if err != nil {
			return done, errno.EFAULT
		}
	}
	return done, nil
}

// CopyIn implements usermem.IO.
func (f *forced) CopyIn(addr uint64, dst []byte) (int, error) {
	at := 0
	n, err := f.each(addr, uint64(len(dst)), platform.Read, func(b []byte) (int, error) {
		m, err := usermem.Copy(dst[at:], b)
		at += m
		return m, err
	})
	return int(n), err
}

// CopyOut implements usermem.IO.
func (f *forced) CopyOut(addr uint64, src []byte) (int, error) {
	at := 0
	n, err := f.each(addr, uint64(len(src)), platform.Write, func(b []byte) (int, error) {
		m, err := usermem.Copy(b, src[at:])
		at += m
		return m, err
	})
	return int(n), err
}

// ZeroOut implements usermem.IO.
func (f *forced) ZeroOut(addr, n uint64) (uint64, error) {
	return f.each(addr, n, platform.Write, usermem.Zero)
}

// WithBlocks implements usermem.IO through a buffer.
func (f *forced) WithBlocks(addr, n uint64, write bool, fn func(blocks [][]byte) (int64, error)) (int64, error) {
	buf := make([]byte, min(n, 1<<20))
	if !write {
		m, err := f.CopyIn(addr, buf)
		if m == 0 && err != nil {
			return 0, err
		}
		return fn([][]byte{buf[:m]})
	}
	m, err := fn([][]byte{buf})
	if m > 0 {
		k, cerr := f.CopyOut(addr, buf[:m])
		if int64(k) < m {
			return int64(k), cerr
		}
	}
	return m, err
}
