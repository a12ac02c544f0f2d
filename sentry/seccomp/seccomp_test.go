package seccomp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

func prog(t testing.TB, insns ...Insn) *Program {
	t.Helper()
	p, err := Check(insns)
	if err != nil {
		t.Fatalf("program refused: %v", err)
	}
	return p
}

func ret(v uint32) Insn { return Insn{retK, 0, 0, v} }

func TestCheckRefuses(t *testing.T) {
	for name, p := range map[string][]Insn{
		"empty":           {},
		"no return":       {{ldImm, 0, 0, 1}},
		"jump out":        {{0x15, 1, 0, 1}, ret(Allow)},
		"ja out":          {{jmpJA, 0, 0, 1}, ret(Allow)},
		"ja huge":         {{jmpJA, 0, 0, 0xffffffff}, ret(Allow)},
		"load unaligned":  {{ldWAbs, 0, 0, 2}, ret(Allow)},
		"load beyond":     {{ldWAbs, 0, 0, 64}, ret(Allow)},
		"load byte":       {{0x30, 0, 0, 0}, ret(Allow)},
		"divide by zero":  {{0x34, 0, 0, 0}, ret(Allow)},
		"modulo":          {{0x94, 0, 0, 3}, ret(Allow)},
		"shift":           {{0x64, 0, 0, 32}, ret(Allow)},
		"scratch unset":   {{ldMem, 0, 0, 3}, ret(Allow)},
		"scratch one way": {{0x15, 0, 1, 1}, {bpfST, 0, 0, 3}, {ldMem, 0, 0, 3}, ret(Allow)},
		"store beyond":    {{bpfST, 0, 0, 16}, ret(Allow)},
		"unknown":         {{0xffff, 0, 0, 0}, ret(Allow)},
		"return x":        {{0x0e, 0, 0, 0}, ret(Allow)},
	} {
		if _, err := Check(p); err == nil {
			t.Errorf("%s: accepted, Linux gives EINVAL", name)
		}
	}
}

func TestRun(t *testing.T) {
	p := prog(t,
		Insn{ldWAbs, 0, 0, 0},
		Insn{0x15, 0, 3, unix.SYS_WRITE},
		Insn{ldWAbs, 0, 0, 16}, // low word of the first argument
		Insn{0x15, 0, 1, 2},
		ret(Errno|9),
		ret(Allow),
	)
	for _, c := range []struct {
		d    Data
		want uint32
	}{
		{Data{Nr: unix.SYS_READ}, Allow},
		{Data{Nr: unix.SYS_WRITE, Args: [6]uint64{1}}, Allow},
		{Data{Nr: unix.SYS_WRITE, Args: [6]uint64{2}}, Errno | 9},
	} {
		if v := p.Run(&c.d); v != c.want {
			t.Errorf("%+v: %#x, want %#x", c.d, v, c.want)
		}
	}
	f, err := (*Filters)(nil).Add(p)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Allows(unix.SYS_READ) || f.Allows(unix.SYS_WRITE) || f.Allows(1000) {
		t.Error("the bitmap of allowed calls is wrong")
	}
	g, _ := f.Add(prog(t, ret(Trap|3)))
	if g.Allows(unix.SYS_READ) || g.Run(&Data{Nr: unix.SYS_READ}) != Trap|3 || g.Count() != 2 || !g.Contains(f) || f.Contains(g) {
		t.Error("the chain is wrong")
	}
	h, _ := g.Add(prog(t, ret(KillProcess)))
	if v := h.Run(&Data{}); v != KillProcess {
		t.Errorf("most restrictive: %#x", v)
	}
}

func TestArithmetic(t *testing.T) {
	p := prog(t,
		Insn{ldImm, 0, 0, 7}, Insn{miscTAX, 0, 0, 0}, // x = 7
		Insn{ldImm, 0, 0, 100},
		Insn{0x3c, 0, 0, 0}, // a /= x: 14
		Insn{bpfST, 0, 0, 5},
		Insn{0x04, 0, 0, 2}, // 16
		Insn{0xac, 0, 0, 0}, // a ^= x: 23
		Insn{0x84, 0, 0, 0}, // -23
		Insn{ldxMem, 0, 0, 5},
		Insn{0x0c, 0, 0, 0}, // -9
		Insn{retA, 0, 0, 0},
	)
	want := uint32(0xfffffff7)
	if v := p.Run(&Data{}); v != want {
		t.Fatalf("%#x, want %#x", v, want)
	}
	if v := prog(t, Insn{ldImm, 0, 0, 1}, Insn{0x3c, 0, 0, 0}, ret(Allow)).Run(&Data{}); v != 0 {
		t.Fatalf("division by a zero x: %#x, Linux returns 0", v)
	}
}

func TestStrict(t *testing.T) {
	p := Strict()
	if _, err := Check(p.insns); err != nil {
		t.Fatal(err)
	}
	for nr := int32(0); nr < 400; nr++ {
		want := uint32(KillThread)
		switch nr {
		case unix.SYS_READ, unix.SYS_WRITE, unix.SYS_EXIT, unix.SYS_RT_SIGRETURN:
			want = Allow
		}
		if v := p.Run(&Data{Nr: nr}); v != want {
			t.Errorf("call %d: %#x, want %#x", nr, v, want)
		}
	}
}

// FuzzCheck: whatever Check accepts ends, and reads nothing it may not.
func FuzzCheck(f *testing.F) {
	f.Add([]byte{0x20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f})
	f.Add([]byte{0x05, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var l []Insn
		for ; len(b) >= 8; b = b[8:] {
			l = append(l, Insn{binary.LittleEndian.Uint16(b), b[2], b[3], binary.LittleEndian.Uint32(b[4:])})
		}
		p, err := Check(l)
		if err != nil {
			return
		}
		if _, ok := p.run(&Data{Nr: 1, Args: [6]uint64{1, 2, 3, 4, 5, 6}}, nil); !ok {
			t.Fatal("the program ran off its end")
		}
	})
}
