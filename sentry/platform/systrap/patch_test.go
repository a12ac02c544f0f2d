package systrap

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/platform"
)

const siteAt = codeAt + 16

// testText lets a guest's code page be patched.
type testText struct{ g *guest }

func (x testText) ReadText(addr uint64, b []byte) int {
	if addr < codeAt || addr >= codeAt+4096 {
		return 0
	}
	n := min(len(b), int(codeAt+4096-addr))
	unix.Pread(x.g.code.RW, b[:n], int64(addr-codeAt))
	return n
}

func (x testText) PatchText(addr uint64, old, code []byte) bool {
	b := make([]byte, len(old))
	x.ReadText(addr, b)
	if string(b) != string(old) {
		return false
	}
	unix.Pwrite(x.g.code.RW, code, int64(addr-codeAt))
	return true
}

// patched returns a guest whose call at the start was patched, and its thread
// waiting in that call.
func patched(t testing.TB, code []byte) (*guest, *Thread, *arch.Regs) {
	// Not at the very start: what is before the site is looked at.
	g := newGuest(t, append(make([]byte, 16), code...))
	g.s.SetText(testText{g})
	th := g.thread()
	r := start()
	for range 3 * patchAfter {
		r.Rip, r.Rax = siteAt, 39
		g.run(th, r, platform.EventSyscall)
		if th.fast {
			return g, th, r
		}
	}
	t.Fatal("never patched")
	return nil, nil, nil
}

var getpidLoop = asm(movEax(39), syscallInsn, []byte{0xeb, 0xf7})

func TestPatchedCall(t *testing.T) {
	g, th, r := patched(t, getpidLoop)
	*r = arch.Regs{R15: 15, R14: 14, R13: 13, R12: 12, Rbp: 5, Rbx: 3, R10: 10, R9: 9, R8: 8, Rdx: 2, Rsi: 6, Rdi: 7,
		Rsp: 0x1234 /* not memory */, Rip: siteAt, Eflags: 0x40cd5, FsBase: 0x7777, OrigRax: ^uint64(0)}
	for i := range 100 {
		want := *r
		g.run(th, r, platform.EventSyscall)
		if !th.fast {
			t.Fatal("not fast")
		}
		want.Rip = siteAt + 7
		want.Eflags |= 0x202
		want.Rcx, want.R11, want.Rax, want.OrigRax = want.Rip, want.Eflags, negENOSYS, 39
		want.Cs, want.Ss = arch.UserCS, arch.UserSS
		if *r != want {
			t.Fatalf("round %d:\n got %+v\nwant %+v", i, *r, want)
		}
		r.OrigRax = ^uint64(0)
		r.Rax, r.FsBase = uint64(i), uint64(i*16)
	}
	// With registers that only a full return can restore.
	r.Rcx, r.R11, r.Rip = 1, 2, siteAt
	g.run(th, r, platform.EventSyscall)
	// A restarted call.
	r.Rip, r.Rax = siteAt+5, 77
	g.run(th, r, platform.EventSyscall)
	if r.OrigRax != 77 || r.Rip != siteAt+7 || r.Rcx != r.Rip || r.R11 != r.Eflags {
		t.Fatalf("restarted: %+v", r)
	}
	// Mapping out of a patched call.
	g.run(th, r, platform.EventSyscall)
	for i := range 120 {
		g.s.Map(0x20000000+uint64(i)*8192, 4096, g.data, 0, platform.Read, false)
	}
	g.run(th, r, platform.EventSyscall)
	g.run(th, r, platform.EventSyscall)
	g.s.Unmap(0x20000000, 4096)
	g.run(th, r, platform.EventSyscall)
	if !th.fast {
		t.Error("not fast after unmapping")
	}
	// The table is lost.
	g.s.Unmap(tableAddr, 4096)
	g.run(th, r, platform.EventSyscall)
	// A copy of the space.
	c := newGuest(t, nil)
	c.s.Map(codeAt, 4096, g.code, 0, platform.Read|platform.Exec, false)
	if err := c.s.SetPatches(g.s.Patches()); err != nil {
		t.Fatal(err)
	}
	r2 := *r
	th2 := c.thread()
	c.run(th2, &r2, platform.EventSyscall)
	c.run(th2, &r2, platform.EventSyscall)
	if !th2.fast {
		t.Error("copy is not fast")
	}
	// gs is the guest's now.
	r2.GsBase = 0x1000
	for range 3 {
		c.run(th2, &r2, platform.EventSyscall)
		if r2.GsBase != 0x1000 || r2.Rip != siteAt+7 || r2.OrigRax != 39 || r2.Rcx != r2.Rip {
			t.Fatalf("own gs: %+v", r2)
		}
	}
}

func TestPatchedCmp(t *testing.T) {
	// syscall; cmp $-4095,%rax; setae %bl; jmp back
	g, th, r := patched(t, asm(syscallInsn, []byte{0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x0f, 0x93, 0xc3, 0xeb, 0xf3}))
	for i := range 20 {
		r.Rax, r.Rbx = uint64(i), 7
		if i%2 == 1 {
			r.Rax = ^uint64(i)
		}
		nr := r.Rax
		g.run(th, r, platform.EventSyscall)
		if r.Rip != siteAt+2 || r.OrigRax != nr || r.Rbx != uint64(i%2) || !th.fast {
			t.Fatalf("round %d: %+v", i, r)
		}
	}
	// The guest's own gs, and back through the slow variant.
	r.GsBase = 0x1000
	for i := range 4 {
		r.Rax, r.Rbx = uint64(-(i % 2)), 7
		g.run(th, r, platform.EventSyscall)
		if r.Rip != siteAt+2 || r.Rbx != uint64(i%2) {
			t.Fatalf("slow round %d: %+v", i, r)
		}
	}
}

func TestPatchRefused(t *testing.T) {
	for name, code := range map[string][]byte{
		"jump target": asm(syscallInsn, []byte{0x48, 0x3d, 1, 0xf0, 0xff, 0xff, 0xeb, 0xf8}),
		"r8d":         asm([]byte{0x41}, movEax(39), syscallInsn),
		"other nr":    asm(movEax(40), syscallInsn),
		"plain":       asm(syscallInsn, []byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}),
	} {
		g := newGuest(t, append(make([]byte, 16), code...))
		n := uint64(0)
		for string(code[n:n+2]) != string(syscallInsn) {
			n++
		}
		if _, _, ok := findSite(testText{g}, siteAt+n+2, 39); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPatchedFPState(t *testing.T) {
	// movq %xmm5,%rbx; mov $39,%eax; syscall; jmp back
	code := asm(getpidLoop[:7], []byte{0x66, 0x48, 0x0f, 0x7e, 0xeb}, []byte{0xeb, 0xf2})
	g, th, r := patched(t, code)
	fp := th.FPState()
	binary.LittleEndian.PutUint64(fp[160+5*16:], 1234)
	fp[512] |= 2
	if err := th.SetFPState(fp); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		g.run(th, r, platform.EventSyscall)
		if r.Rbx != 1234 {
			t.Fatalf("xmm5 = %d", r.Rbx)
		}
	}
	if !th.fast {
		t.Error("not fast")
	}
	if v := binary.LittleEndian.Uint64(th.FPState()[160+5*16:]); v != 1234 {
		t.Errorf("reads %d", v)
	}
}

// TestPatchedInterrupt interrupts at every stage of a patched call. Each
// interrupt must get out of an endless loop behind the call.
func TestPatchedInterrupt(t *testing.T) {
	g, th, r := patched(t, asm(movEax(39), syscallInsn, loopBack))
	for i := range 2000 {
		stop := make(chan struct{})
		go func() {
			for range i % 200 {
				unix.Getpid()
			}
			th.Interrupt()
			close(stop)
		}()
		if i%2 == 0 {
			r.Rip = siteAt
		}
		begin := time.Now()
		for {
			ev := th.Switch(r)
			if ev.Kind == platform.EventInterrupted {
				break
			}
			if ev.Kind != platform.EventSyscall || r.Rip != siteAt+7 {
				t.Fatalf("round %d: %+v rip %#x", i, ev, r.Rip)
			}
		}
		<-stop
		if r.Rip < codeAt || r.Rip >= codeAt+4096 {
			t.Fatalf("round %d: stopped at %#x", i, r.Rip)
		}
		if d := time.Since(begin); d > 500*time.Millisecond {
			t.Fatalf("round %d took %v", i, d)
		}
	}
	_ = g
}

func TestPatchedSingleStep(t *testing.T) {
	for name, code := range map[string][]byte{
		"mov": asm(movEax(39), syscallInsn, []byte{0x90, 0xeb, 0xf6}),
		"cmp": asm(syscallInsn, []byte{0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff, 0x90, 0xeb, 0xf5}),
	} {
		g, th, r := patched(t, code)
		r.Rip, r.Rax, r.Eflags = siteAt, 39, 0x302
		calls, steps := 0, 0
		for range 30 {
			ev := th.Switch(r)
			switch {
			case r.Rip < codeAt || r.Rip > siteAt+20:
				t.Fatalf("%s: %+v rip %#x", name, ev, r.Rip)
			case ev.Kind == platform.EventSyscall:
				calls++
				r.Rax = 39
			case ev.Kind == platform.EventSignal && ev.Signo == int32(unix.SIGTRAP):
				steps++
			default:
				t.Fatalf("%s: %+v rip %#x", name, ev, r.Rip)
			}
		}
		if calls < 5 || steps < 10 {
			t.Errorf("%s: %d calls, %d steps", name, calls, steps)
		}
		_ = g
	}
}

func BenchmarkPatchedGetpid(b *testing.B) {
	g, th, r := patched(b, getpidLoop)
	for b.Loop() {
		g.run(th, r, platform.EventSyscall)
		r.Rax = 1
	}
}
