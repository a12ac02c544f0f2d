package systrap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/platform"
)

// A system call that traps often is replaced in the text of user code by
//
//	jmp *disp32        ff 24 25 lo hi 06 00
//
// through a table at tableAddr to a trampoline in the stub's own region, which
// knows the site and enters the stub without a host trap. Two forms of site:
//
//	kindMov  mov $nr,%eax; syscall        7 bytes, both done by the trampoline
//	kindCmp  syscall; cmp $imm32,%rax     8 bytes, as are both of these
//
// What could tell the difference:
//   - A thread about to run the second instruction of a kindMov, or a call that
//     is restarted there: it finds byte 06, an invalid opcode, and hide makes
//     the call of it.
//   - A thread that returns from the syscall of a kindCmp, into the jump:
//     Switch sends it to the cmp in the trampoline (patchTable.resume). No
//     thread of the space is in user code when text changes. Sites whose cmp
//     is a jump target are left alone.
//   - Signals and single steps in a trampoline: hide moves the registers back
//     to the site.
//   - Reading one's own text shows the patch, and so would rdgsbase: gs leads
//     to the thread's area. A guest that sets gs gets trampolines that trap.
const (
	kindMov = 1
	kindCmp = 2
)

const (
	maxPatches = 512
	trampSize  = 64
	// slowAt is where a trampoline's trapping variant starts.
	slowAt = 24

	// patchAfter is how often a site traps before it is patched: a patch
	// costs a private page of text, and about as much as six traps.
	patchAfter = 20
)

// patchTable is what is patched in a space; immutable.
type patchTable struct {
	list    []platform.Patch
	byAddr  map[uint64]int // index in list by address of the first byte
	refused map[uint64]bool
	seconds int  // how many kindCmp there are
	slow    bool // trampolines trap: the guest uses gs
}

// hitCounter counts traps by address, roughly.
type hitCounter [32]struct {
	rip uint64
	n   uint32
}

// add counts one and reports whether it is time to patch.
func (h *hitCounter) add(rip uint64) bool {
	e := &h[(rip^rip>>5)%uint64(len(h))]
	if e.rip != rip {
		e.rip, e.n = rip, 0
	}
	e.n++
	return e.n%patchAfter == 0
}

// resumeAt returns where a thread that is to go on at rip really goes on.
func (t *Thread) resumeAt(tab *patchTable, rip uint64) uint64 {
	if m := &t.memo; m.tab == tab && m.rip == rip {
		return m.dst
	}
	dst := rip
	if i, ok := tab.byAddr[rip-2]; ok && tab.list[i].Kind == kindCmp {
		dst = tramp(tab.list[i].Index) + slowAt + 2
	}
	t.memo.tab, t.memo.rip, t.memo.dst = tab, rip, dst
	return dst
}

func tramp(index uint32) uint64 { return trampBase + uint64(index)*trampSize }

// hide moves registers that show a trampoline or the inside of a patched site
// back to what they would be without patches, and returns the signal that
// would then have come.
func (tab *patchTable) hide(regs *arch.Regs, sig int32) int32 {
	if unix.Signal(sig) == unix.SIGILL {
		if i, ok := tab.byAddr[regs.Rip-5]; ok && tab.list[i].Kind == kindMov {
			return hideCall(regs, regs.Rip+2)
		}
		return sig
	}
	if regs.Rip-trampBase >= trampRegion {
		return sig
	}
	var p *platform.Patch
	for i := range tab.list {
		if uint64(tab.list[i].Index) == (regs.Rip-trampBase)/trampSize {
			p = &tab.list[i]
		}
	}
	if p == nil {
		return sig
	}
	off := regs.Rip % trampSize
	if p.Kind == kindMov {
		if off >= slowAt+7 {
			regs.Rip = p.Addr + 7
			if unix.Signal(sig) == unix.SIGSYS {
				regs.Rcx = regs.Rip
			}
		} else {
			regs.Rip = p.Addr + 5
			regs.Rax = uint64(p.Value)
		}
		return sig
	}
	switch {
	case off < slowAt && unix.Signal(sig) == unix.SIGTRAP:
		return hideCall(regs, p.Addr+2)
	case off < slowAt+2:
		regs.Rip = p.Addr
	case off < slowAt+8:
		regs.Rip = p.Addr + 2
		if unix.Signal(sig) == unix.SIGSYS {
			regs.Rcx = regs.Rip
		}
	default:
		regs.Rip = p.Addr + 8
	}
	return sig
}

// hideCall makes the registers those of a system call that returns to ret.
func hideCall(regs *arch.Regs, ret uint64) int32 {
	regs.Rip, regs.Rcx, regs.R11 = ret, ret, regs.Eflags
	return int32(unix.SIGSYS)
}

// SetText implements platform.Patcher.
func (s *Space) SetText(text platform.Text) {
	if s.p.noPatch {
		return
	}
	s.patchMu.Lock()
	s.text = text
	s.patchMu.Unlock()
}

// PatchRange implements platform.Patcher.
func (s *Space) PatchRange() (start, end uint64) { return tableAddr, tableAddr + pageSize }

// Patches implements platform.Patcher.
func (s *Space) Patches() []platform.Patch {
	if tab := s.patches.Load(); tab != nil {
		return slices.Clone(tab.list)
	}
	return nil
}

var errPatches = errors.New("systrap: malformed list of patches")

// SetPatches implements platform.Patcher.
func (s *Space) SetPatches(list []platform.Patch) error {
	s.patchMu.Lock()
	defer s.patchMu.Unlock()
	if len(list) == 0 {
		s.patches.Store(nil)
		return nil
	}
	if len(list) > maxPatches {
		return errPatches
	}
	tab := &patchTable{byAddr: map[uint64]int{}}
	for _, p := range list {
		if p.Index >= maxPatches || p.Addr >= maxAddr || p.Kind != kindMov && p.Kind != kindCmp {
			return errPatches
		}
		if err := s.install(tab, p); err != nil {
			return err
		}
	}
	s.patches.Store(tab)
	s.mapTable()
	return nil
}

// mapTable queues the mapping that patched code jumps through.
func (s *Space) mapTable() {
	fd := s.proc.memfd
	s.Map(tableAddr, pageSize, platform.File{RO: fd, RW: -1}, cmdRegion+areaRegion+trampRegion, platform.Read, true)
}

// install writes the trampoline of p and adds it to tab. patchMu is held.
func (s *Space) install(tab *patchTable, p platform.Patch) error {
	if s.proc.tramp == nil {
		t, err := mapTramp(s.proc.memfd)
		if err != nil {
			return err
		}
		s.proc.tramp = t
	}
	c := &s.proc.tramp.code[p.Index]
	copy(c[:], trampoline(p))
	dst := tramp(p.Index)
	if tab.slow {
		dst += slowAt
	}
	s.proc.tramp.table[p.Index].Store(dst)
	tab.byAddr[p.Addr] = len(tab.list)
	tab.list = append(tab.list, p)
	if p.Kind == kindCmp {
		tab.seconds++
	}
	return nil
}

// trampoline returns the code of p.
func trampoline(p platform.Patch) []byte {
	le := binary.LittleEndian
	var b []byte
	ret, end := p.Addr+7, p.Addr+7
	if p.Kind == kindCmp {
		ret, end = p.Addr+2, p.Addr+8
	}
	mov := le.AppendUint32([]byte{0xb8}, p.Value) // mov $nr,%eax
	if p.Kind == kindMov {
		b = append(b, mov...)
	}
	b = le.AppendUint64(append(b, 0x48, 0xb9), ret) // movabs $ret,%rcx
	next := tramp(p.Index) + uint64(len(b)) + 5
	b = le.AppendUint32(append(b, 0xe9), uint32(int32(int64(fastEntry-next)))) // jmp fast_entry
	for len(b) < slowAt {
		b = append(b, 0xcc)
	}
	if p.Kind == kindMov {
		b = append(append(b, mov...), 0x0f, 0x05)
	} else {
		b = le.AppendUint32(append(b, 0x0f, 0x05, 0x48, 0x3d), p.Value) // syscall; cmp $imm,%rax
	}
	return le.AppendUint64(append(b, 0xff, 0x25, 0, 0, 0, 0), end) // jmp *end(%rip)
}

// slowPatches makes every trampoline trap.
func (s *Space) slowPatches() {
	s.patchMu.Lock()
	defer s.patchMu.Unlock()
	old := s.patches.Load()
	if old == nil || old.slow || s.proc.tramp == nil {
		return
	}
	tab := *old
	tab.slow = true
	for _, p := range tab.list {
		s.proc.tramp.table[p.Index].Store(tramp(p.Index) + slowAt)
	}
	s.patches.Store(&tab)
}

// patch tries to patch the call that t made and that returns to rip.
func (s *Space) patch(t *Thread, rip, nr uint64) {
	if !s.patchMu.TryLock() {
		return
	}
	defer s.patchMu.Unlock()
	if s.text == nil {
		return
	}
	tab := s.patches.Load()
	if tab == nil {
		tab = &patchTable{}
	}
	if tab.slow || len(tab.list) >= maxPatches || tab.refused[rip] {
		return
	}
	// No other thread in user code: they may be anywhere in the bytes.
	s.patching.Store(true)
	defer s.patching.Store(false)
	s.threads.Lock()
	busy := false
	for o := range s.threads.live {
		busy = busy || o != t && o.inUser.Load()
	}
	s.threads.Unlock()
	if busy {
		return
	}
	fresh := &patchTable{list: slices.Clone(tab.list), byAddr: maps.Clone(tab.byAddr), refused: maps.Clone(tab.refused), seconds: tab.seconds}
	if fresh.byAddr == nil {
		fresh.byAddr = map[uint64]int{}
	}
	p, old, ok := findSite(s.text, rip, nr)
	if ok {
		p.Index = uint32(len(fresh.list))
		if s.install(fresh, p) != nil {
			return
		}
		code := []byte{0xff, 0x24, 0x25, 0, 0, 0, 0, 0}
		binary.LittleEndian.PutUint32(code[3:], tableAddr+8*p.Index)
		code = code[:len(old)]
		if p.Kind == kindCmp {
			code[7] = old[7]
		}
		if len(tab.list) == 0 {
			s.mapTable()
		}
		// First the table: a fork between the two copies it with the text.
		s.patches.Store(fresh)
		ok = s.text.PatchText(p.Addr, old, code)
	}
	if !ok {
		fresh = &patchTable{list: tab.list, byAddr: tab.byAddr, refused: fresh.refused, seconds: tab.seconds}
		if fresh.refused == nil || len(fresh.refused) > 1000 {
			fresh.refused = map[uint64]bool{}
		}
		fresh.refused[rip] = true
		if klog.On(klog.Debug) {
			var b [24]byte
			n := s.text.ReadText(rip-12, b[:])
			klog.Debugf("systrap: call %d before %#x stays: % x", nr, rip, b[:n])
		}
	}
	s.patches.Store(fresh)
}

// findSite looks whether the call that returns to rip has one of the forms.
func findSite(text platform.Text, rip, nr uint64) (p platform.Patch, old []byte, ok bool) {
	var b [13]byte // from 5 before the syscall to 6 behind it
	at := rip - 7
	if n := text.ReadText(at-1, b[:1]); n != 1 {
		return p, nil, false
	}
	rex := b[0]&0xf0 == 0x40
	n := text.ReadText(at, b[:])
	if n < 7 || b[5] != 0x0f || b[6] != 0x05 {
		return p, nil, false
	}
	le := binary.LittleEndian
	if b[0] == 0xb8 && !rex && uint64(le.Uint32(b[1:])) == nr {
		return platform.Patch{Kind: kindMov, Addr: at, Value: uint32(nr)}, bytes.Clone(b[:7]), true
	}
	if n == len(b) && b[7] == 0x48 && b[8] == 0x3d && !jumpsTo(text, rip) {
		return platform.Patch{Kind: kindCmp, Addr: rip - 2, Value: le.Uint32(b[9:])}, bytes.Clone(b[5:13]), true
	}
	return p, nil, false
}

// jumpsTo says whether something near addr looks like a jump or call to it.
func jumpsTo(text platform.Text, addr uint64) bool {
	const reach = 1024
	var b [2 * reach]byte
	start := addr - reach
	if page := addr &^ (pageSize - 1); start < page && text.ReadText(start, b[:1]) == 0 {
		start = page
	}
	n := text.ReadText(start, b[:])
	for i := range n {
		pc := start + uint64(i)
		op := b[i]
		if (op&0xf0 == 0x70 || op&0xfc == 0xe0 || op == 0xeb) && i+2 <= n && pc+2+uint64(int64(int8(b[i+1]))) == addr {
			return true
		}
		rel := 0
		if op == 0xe8 || op == 0xe9 {
			rel = 1
		} else if op == 0x0f && i+1 < n && b[i+1]&0xf0 == 0x80 {
			rel = 2
		}
		if rel > 0 && i+rel+4 <= n && pc+uint64(rel)+4+uint64(int64(int32(binary.LittleEndian.Uint32(b[i+rel:])))) == addr {
			return true
		}
	}
	return false
}
