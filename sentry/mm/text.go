package mm

import (
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
)

// Space lets its platform replace system-call instructions in private copies
// of text pages.
var _ platform.Text = (*Space)(nil)

// ReadText implements platform.Text.
func (s *Space) ReadText(addr uint64, b []byte) int {
	n, _ := s.CopyIn(addr, b)
	return n
}

// PatchText implements platform.Text. It copies one page, unlike breakCOW:
// sites are few and far between.
func (s *Space) PatchText(addr uint64, old, code []byte) bool {
	n := uint64(len(code))
	page := memmap.Range{Start: addr &^ pageMask, End: addr&^pageMask + pageSize}
	if uint64(len(old)) != n || addr+n > page.End {
		return false
	}
	s.mu.Lock()
	defer s.unlockIO()
	a, p := s.areas.at(addr), s.pieces.at(addr)
	if a == nil || a.shared() || a.prot&platform.Exec == 0 || a.prot&platform.Write != 0 || p == nil || !p.mapped {
		return false
	}
	now := make([]byte, n)
	if b, _ := s.pieceBytes(p, addr, n, false); uint64(len(b)) < n {
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
	b, _ := s.pieceBytes(s.pieces.at(addr), addr, n, true)
	return uint64(copy(b, code)) == n
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
