package mm

import (
	"cmp"
	"slices"

	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
)

// Space lets its platform replace system-call instructions in private copies
// of text pages.
var _ platform.Text = (*Space)(nil)

// ReadText implements platform.Text.
func (s *Space) ReadText(addr uint64, b []byte) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	done := 0
	for done < len(b) {
		p := s.pieces.at(addr + uint64(done))
		if p == nil || p.prot&platform.Exec == 0 {
			break
		}
		h, _ := s.rawBytes(p, addr+uint64(done), uint64(len(b)-done), false)
		n, err := usermem.Copy(b[done:], h)
		done += n
		if err != nil || n == 0 {
			break
		}
	}
	return done
}

// PatchText implements platform.Text. It copies one page, unlike breakCOW:
// sites are few and far between.
func (s *Space) PatchText(addr uint64, old, code []byte) bool {
	n := uint64(len(code))
	page := memmap.Range{Start: addr &^ pageMask, End: addr&^pageMask + pageSize}
	if uint64(len(old)) != n || n > maxPatch || addr+n > page.End {
		return false
	}
	s.mu.Lock()
	defer s.unlockIO()
	a, p := s.areas.at(addr), s.pieces.at(addr)
	if a == nil || a.shared() || a.prot&platform.Exec == 0 || a.prot&platform.Write != 0 || p == nil || !p.mapped {
		return false
	}
	now := make([]byte, n)
	if b, _ := s.rawBytes(p, addr, n, false); uint64(len(b)) < n {
		return false
	} else if _, err := usermem.Copy(now, b); err != nil || string(now) != string(old) {
		return false
	}
	if !p.writable() {
		p = s.within(s.pieces.at(addr), a)
		var err error
		if p.own {
			err = s.copyOwn(a, p, page)
		} else {
			err = s.copyFile(a, p, page)
		}
		if err != nil {
			return false
		}
		s.changes++
	}
	i, _ := s.pieces.isolate(page)
	p = s.pieces.s[i]
	b, _ := s.rawBytes(p, addr, n, true)
	if uint64(len(b)) < n {
		return false
	}
	p.patched = true
	t := textPatch{addr: addr, n: uint8(n)}
	copy(t.old[:], old)
	at, _ := slices.BinarySearchFunc(s.text, addr, func(t textPatch, a uint64) int { return cmp.Compare(t.addr, a) })
	s.text = slices.Insert(s.text, at, t)
	copy(b, code)
	return true
}

// maxPatch is the longest sequence the platform replaces.
const maxPatch = 16

// textPatch remembers what was at addr.
type textPatch struct {
	addr uint64
	old  [maxPatch]byte
	n    uint8
}

// patchesIn returns the patches that share a byte with r.
func (s *Space) patchesIn(r memmap.Range) []textPatch {
	i, _ := slices.BinarySearchFunc(s.text, r.Start, func(t textPatch, a uint64) int { return cmp.Compare(t.addr+uint64(t.n), a+1) })
	j := i
	for j < len(s.text) && s.text[j].addr < r.End {
		j++
	}
	return s.text[i:j:j]
}

// unpatched puts the program's own bytes into b, a copy of memory at addr.
func (s *Space) unpatched(addr uint64, b []byte) {
	for _, t := range s.patchesIn(memmap.Range{Start: addr, End: addr + uint64(len(b))}) {
		old := t.old[:t.n]
		if t.addr < addr {
			copy(b, old[addr-t.addr:])
		} else {
			copy(b[t.addr-addr:], old)
		}
	}
}

// unpatch puts the program's own bytes back into p where r is about to be
// written by a debugger.
func (s *Space) unpatch(p *piece, r memmap.Range) {
	for _, t := range slices.Clone(s.patchesIn(r.Intersect(memmap.Range{Start: p.start, End: p.end}))) {
		if t.addr >= p.start && t.addr+uint64(t.n) <= p.end {
			b, _ := s.rawBytes(p, t.addr, uint64(t.n), true)
			copy(b, t.old[:t.n])
		}
		s.text = slices.DeleteFunc(s.text, func(x textPatch) bool { return x.addr == t.addr })
	}
}

// forgetText drops what is known of text in r, which is unmapped.
func (s *Space) forgetText(r memmap.Range) {
	s.text = slices.DeleteFunc(s.text, func(t textPatch) bool { return t.addr >= r.Start && t.addr < r.End })
}

// watchText lets the platform patch the text of s; from is what s is a copy
// of, or nil. With from its lock is held.
func (s *Space) watchText(from *Space) error {
	p, ok := s.ps.(platform.Patcher)
	if !ok {
		return nil
	}
	p.SetText(s)
	if from == nil {
		return nil
	}
	return p.SetPatches(from.ps.(platform.Patcher).Patches())
}
