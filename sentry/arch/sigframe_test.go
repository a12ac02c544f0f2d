package arch

import (
	"encoding/binary"
	"testing"

	"redoubt.dev/redoubt/sentry/errno"
)

// stack is user memory from base on.
type stack struct {
	base uint64
	b    []byte
}

func (s *stack) at(addr uint64, n int) ([]byte, error) {
	if addr < s.base || addr-s.base+uint64(n) > uint64(len(s.b)) {
		return nil, errno.EFAULT
	}
	return s.b[addr-s.base:][:n], nil
}

func (s *stack) CopyIn(addr uint64, dst []byte) (int, error) {
	p, err := s.at(addr, len(dst))
	return copy(dst, p), err
}

func (s *stack) CopyOut(addr uint64, src []byte) (int, error) {
	p, err := s.at(addr, len(src))
	return copy(p, src), err
}

func testRegs(sp uint64) Regs {
	return Regs{R8: 8, R9: 9, R10: 10, R11: 11, R12: 12, R13: 13, R14: 14, R15: 15, Rdi: 1, Rsi: 2, Rbp: 3, Rbx: 4,
		Rdx: 5, Rax: 6, Rcx: 7, Rsp: sp, Rip: 0x401000, Eflags: 0x246, Cs: UserCS, Ss: UserSS, FsBase: 0x1234000}
}

func TestFrameRoundTrip(t *testing.T) {
	m := &stack{base: 0x10000, b: make([]byte, 0x8000)}
	sp := m.base + 0x7fe8
	r := testRegs(sp)
	fp := make([]byte, 2696)
	fp[100] = 42
	fp[2000] = 43
	before := r
	f := Frame{Signo: 10, Info: make([]byte, 128), Handler: 0x402000, Restorer: 0x403000, Mask: 0xabc, FP: fp, CR2: 0x77, TrapNo: 14}
	f.Info[0] = 10
	if err := PushFrame(m, &r, &f); err != nil {
		t.Fatal(err)
	}
	if r.Rip != 0x402000 || r.Rdi != 10 || r.Rsp%16 != 8 || r.Rsp > sp-redZone {
		t.Fatalf("handler starts with rip %#x rdi %d rsp %#x", r.Rip, r.Rdi, r.Rsp)
	}
	info, err := m.at(r.Rsi, 4)
	if err != nil || info[0] != 10 {
		t.Fatal("rsi does not lead to the siginfo")
	}
	ret, _ := m.at(r.Rsp, 8)
	if binary.LittleEndian.Uint64(ret) != 0x403000 {
		t.Fatal("the handler does not return to the restorer")
	}
	fpAddr, _ := m.at(r.Rdx+40+mcFP, 8)
	if a := binary.LittleEndian.Uint64(fpAddr); a%64 != 0 {
		t.Fatalf("floating-point state at %#x is not aligned", a)
	}
	r.Rsp += 8 // ret
	got, err := PopFrame(m, &r)
	if err != nil {
		t.Fatal(err)
	}
	before.OrigRax = ^uint64(0)
	if r != before {
		t.Fatalf("registers\n%+v\nwant\n%+v", r, before)
	}
	if got.Mask != 0xabc || len(got.FP) != len(fp) || got.FP[100] != 42 || got.FP[2000] != 43 {
		t.Fatalf("mask %#x, %d bytes of floating-point state", got.Mask, len(got.FP))
	}
}

func TestFrameDoesNotFit(t *testing.T) {
	m := &stack{base: 0x10000, b: make([]byte, 0x400)}
	r := testRegs(m.base + 0x300)
	before := r
	if err := PushFrame(m, &r, &Frame{Signo: 1, Info: make([]byte, 128), FP: make([]byte, 832)}); err == nil {
		t.Fatal("no error")
	}
	if r != before {
		t.Fatal("registers changed")
	}
	if err := PushFrame(&stack{base: 0, b: make([]byte, 0x10000)}, &r, &Frame{Signo: 1, Info: make([]byte, 128), Top: 0x9000, LowLimit: 0x8f00}); err == nil {
		t.Fatal("a frame went below the alternate stack")
	}
}

// TestHostileReturn: what user code put into a frame cannot leave user mode.
func TestHostileReturn(t *testing.T) {
	m := &stack{base: 0x10000, b: make([]byte, 0x2000)}
	for i := range m.b {
		m.b[i] = 0xff
	}
	clear(m.b[0x1000+frMC+mcFP-8:][:8])
	r := testRegs(m.base + 0x1000)
	if _, err := PopFrame(m, &r); err != nil {
		t.Fatal(err)
	}
	if r.Cs != UserCS || r.Ss != UserSS || r.Eflags&^(UserEflagsMask|0x246) != 0 {
		t.Fatalf("cs %#x ss %#x flags %#x", r.Cs, r.Ss, r.Eflags)
	}
	// A pointer to floating-point state that is not there.
	binary.LittleEndian.PutUint64(m.b[0x1000+frMC+mcFP-8:], 0x5000)
	r = testRegs(m.base + 0x1000)
	if _, err := PopFrame(m, &r); err == nil {
		t.Fatal("no error")
	}
}

// TestLegacyState: without the extended part's marks only x87 and SSE count.
func TestLegacyState(t *testing.T) {
	m := &stack{base: 0x10000, b: make([]byte, 0x2000)}
	m.b[0x40] = 7
	for _, size := range []uint32{0, 100, 1 << 30} {
		binary.LittleEndian.PutUint32(m.b[swOffset:], fpMagic1)
		binary.LittleEndian.PutUint32(m.b[swOffset+4:], size+4)
		binary.LittleEndian.PutUint32(m.b[swOffset+16:], size)
		fp, err := readFP(m, m.base)
		if err != nil || len(fp) != xsaveMin || fp[0x40] != 7 || fp[fxSize] != 3 {
			t.Fatalf("size %d: %d bytes, %v", size, len(fp), err)
		}
	}
}
