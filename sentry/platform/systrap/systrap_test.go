package systrap

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/platform"
)

// testPlatform is shared: starting a zygote per test would be slow.
var testPlatform *Platform

func TestMain(m *testing.M) {
	p, err := New(Options{})
	if err != nil {
		println("systrap.New:", err.Error())
		os.Exit(1)
	}
	testPlatform = p.(*Platform)
	code := m.Run()
	p.Close()
	os.Exit(code)
}

const (
	codeAt = 0x400000
	dataAt = 0x500000
)

// guest is a space with a page of code and sixteen of data.
type guest struct {
	t    testing.TB
	s    *Space
	code platform.File
	data platform.File
}

// newFile makes a memfd with a read-only descriptor beside it.
func newFile(t testing.TB, content []byte, size int64) platform.File {
	fd, err := memfd("test", content, size)
	if err != nil {
		t.Fatal(err)
	}
	ro, err := unix.Open("/proc/self/fd/"+itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd); unix.Close(ro) })
	return platform.File{RO: ro, RW: fd}
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func newGuest(t testing.TB, code []byte) *guest {
	s, err := testPlatform.NewSpace()
	if err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, s: s.(*Space), code: newFile(t, code, 4096), data: newFile(t, nil, 16*4096)}
	t.Cleanup(s.Release)
	s.Map(codeAt, 4096, g.code, 0, platform.Read|platform.Exec, false)
	s.Map(dataAt, 16*4096, g.data, 0, platform.Read|platform.Write, false)
	return g
}

func (g *guest) thread() *Thread {
	th, err := g.s.NewThread()
	if err != nil {
		g.t.Fatal(err)
	}
	return th.(*Thread)
}

func start() *arch.Regs { return &arch.Regs{Rip: codeAt, Rsp: dataAt + 0x4000, Cs: arch.UserCS} }

func (g *guest) run(t *Thread, r *arch.Regs, want platform.EventKind) platform.Event {
	g.t.Helper()
	ev := t.Switch(r)
	if ev.Kind != want {
		g.t.Fatalf("event %+v at rip %#x rax %#x, want kind %d", ev, r.Rip, r.Rax, want)
	}
	return ev
}

// asm concatenates instructions.
func asm(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

var (
	syscallInsn = []byte{0x0f, 0x05}
	loopBack    = []byte{0xeb, 0xfe} // jmp .
)

func movEax(v uint32) []byte { return binary.LittleEndian.AppendUint32([]byte{0xb8}, v) }
func movRax(v uint64) []byte { return binary.LittleEndian.AppendUint64([]byte{0x48, 0xb8}, v) }

func TestSyscall(t *testing.T) {
	// loop: mov $39,%eax; syscall; jmp loop
	g := newGuest(t, asm(movEax(39), syscallInsn, []byte{0xeb, 0xf7}))
	th := g.thread()
	r := start()
	r.Rdi, r.R12, r.Rbx = 0x1111, 0x2222, 0x3333
	r.Eflags = 0x40400 // AC and DF
	for i := range 1000 {
		g.run(th, r, platform.EventSyscall)
		if r.OrigRax != 39 || r.Rip != codeAt+7 || r.Rdi != 0x1111 || r.R12 != 0x2222 || r.Rbx != 0x3333 || r.Rsp != dataAt+0x4000 {
			t.Fatalf("round %d: %+v", i, r)
		}
		r.Rax = uint64(i)
	}
}

func TestFault(t *testing.T) {
	// mov %rax,(%rdi); mov (%rdi),%rbx; syscall
	g := newGuest(t, asm([]byte{0x48, 0x89, 0x07, 0x48, 0x8b, 0x1f}, syscallInsn))
	th := g.thread()
	r := start()
	r.Rdi, r.Rax = 0x7000008, 0x1234
	ev := g.run(th, r, platform.EventFault)
	if ev.Addr != 0x7000008 || ev.Access != platform.Write || ev.Signo != int32(unix.SIGSEGV) || r.Rip != codeAt {
		t.Fatalf("first fault: %+v %+v", ev, r)
	}
	g.s.Map(0x7000000, 4096, g.data, 0, platform.Read, false)
	ev = g.run(th, r, platform.EventFault)
	if ev.Access != platform.Write || ev.Code != segvAccErr {
		t.Fatalf("fault of read-only page: %+v", ev)
	}
	g.s.Map(0x7000000, 4096, g.data, 0, platform.Read|platform.Write, false)
	g.run(th, r, platform.EventSyscall)
	if r.Rbx != 0x1234 {
		t.Fatalf("rbx = %#x", r.Rbx)
	}
	r.Rip = 0x7000000
	if ev = g.run(th, r, platform.EventFault); ev.Access != platform.Exec || ev.Addr != 0x7000000 {
		t.Fatalf("fetch: %+v", ev)
	}
	// Beyond the end of the file: SIGBUS with an address.
	g.s.Map(0x7000000, 4096, g.data, 64*4096, platform.Read|platform.Write, false)
	*r = *start()
	r.Rdi = 0x7000000
	if ev = g.run(th, r, platform.EventFault); ev.Signo != int32(unix.SIGBUS) {
		t.Fatalf("past the end: %+v", ev)
	}
}

func TestBatches(t *testing.T) {
	// mov (%rdi),%eax; syscall; jmp back
	g := newGuest(t, asm([]byte{0x8b, 0x07}, syscallInsn, []byte{0xeb, 0xfa}))
	th := g.thread()
	var files []platform.File
	for i := range 20 {
		files = append(files, newFile(t, []byte{byte(i), 0, 0, 0}, 4096))
	}
	const at = 0x10000000
	for i := range 200 {
		g.s.Map(at+uint64(i)*8192, 4096, files[i%20], 0, platform.Read|platform.Write, i%2 == 0)
	}
	r := start()
	for i := range 200 {
		r.Rip, r.Rdi = codeAt, at+uint64(i)*8192
		g.run(th, r, platform.EventSyscall)
		if r.OrigRax != uint64(i%20) {
			t.Fatalf("page %d holds %d", i, r.OrigRax)
		}
	}
	g.s.Protect(at, 4096, 0)
	g.s.Unmap(at+8192, 4096)
	for _, a := range []uint64{at, at + 8192} {
		r.Rip, r.Rdi = codeAt, a
		if ev := g.run(th, r, platform.EventFault); ev.Addr != a {
			t.Fatalf("fault %+v", ev)
		}
	}
	g.s.Protect(at, 4096, platform.Read)
	r.Rip, r.Rdi = codeAt, at
	g.run(th, r, platform.EventSyscall)
	// Through the leader, and through a thread, without resuming.
	g.s.Map(at, 4096, files[7], 0, platform.Read, false)
	if err := g.s.Flush(nil); err != nil {
		t.Fatal(err)
	}
	g.s.Map(at+8192, 4096, files[8], 0, platform.Read, false)
	if err := g.s.Flush(th); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		r.Rip, r.Rdi = codeAt, at+uint64(i)*8192
		g.run(th, r, platform.EventSyscall)
		if r.OrigRax != uint64(7+i) {
			t.Fatalf("page %d holds %d", i, r.OrigRax)
		}
	}
	g.s.Unmap(0, maxAddr)
	r.Rip = codeAt
	if ev := g.run(th, r, platform.EventFault); ev.Addr != codeAt || ev.Access != platform.Exec {
		t.Fatalf("after unmapping all: %+v", ev)
	}
}

func TestThreads(t *testing.T) {
	// lock incl (%rdi); syscall; jmp back
	g := newGuest(t, asm([]byte{0xf0, 0xff, 0x07}, syscallInsn, []byte{0xeb, 0xf9}))
	done := make(chan bool)
	for range 4 {
		th := g.thread()
		go func() {
			r := start()
			r.Rdi = dataAt
			ok := true
			for i := range 500 {
				if i%50 == 0 {
					g.s.Map(0x20000000, 4096, g.data, 0, platform.Read|platform.Write, false)
				}
				ok = ok && th.Switch(r).Kind == platform.EventSyscall
			}
			th.Release()
			done <- ok
		}()
	}
	for range 4 {
		if !<-done {
			t.Error("unexpected event")
		}
	}
	var b [4]byte
	unix.Pread(g.data.RW, b[:], 0)
	if n := binary.LittleEndian.Uint32(b[:]); n != 2000 {
		t.Errorf("counted %d", n)
	}
}

// TestThreadChurn makes more threads than stay parked and reuses indices.
func TestThreadChurn(t *testing.T) {
	g := newGuest(t, asm(syscallInsn))
	for range 5 {
		var ths []*Thread
		for range 12 {
			th := g.thread()
			g.run(th, start(), platform.EventSyscall)
			ths = append(ths, th)
		}
		for _, th := range ths {
			th.Release()
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n := g.s.threads.next; n > 24 {
		t.Errorf("%d indices used", n)
	}
}

func TestInterrupt(t *testing.T) {
	g := newGuest(t, loopBack)
	th := g.thread()
	r := start()
	for range 20 {
		timer := time.AfterFunc(2*time.Millisecond, th.Interrupt)
		begin := time.Now()
		g.run(th, r, platform.EventInterrupted)
		timer.Stop()
		if d := time.Since(begin); d > time.Second {
			t.Fatalf("took %v", d)
		}
	}
	th.Interrupt()
	g.run(th, r, platform.EventInterrupted)
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name  string
		code  []byte
		signo unix.Signal
		rip   uint64
	}{
		{"int3", []byte{0xcc}, unix.SIGTRAP, codeAt + 1},
		{"ud2", []byte{0x0f, 0x0b}, unix.SIGILL, codeAt},
		{"divide", []byte{0x31, 0xc9, 0xf7, 0xf1}, unix.SIGFPE, codeAt + 2},
		{"hlt", []byte{0xf4}, unix.SIGSEGV, codeAt},
		{"int80", []byte{0xcd, 0x80}, unix.SIGSEGV, codeAt},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGuest(t, c.code)
			r := start()
			ev := g.run(g.thread(), r, platform.EventSignal)
			if ev.Signo != int32(c.signo) || r.Rip != c.rip {
				t.Errorf("event %+v rip %#x", ev, r.Rip)
			}
		})
	}
}

func TestSingleStep(t *testing.T) {
	g := newGuest(t, []byte{0x90, 0x90, 0x90})
	th := g.thread()
	r := start()
	r.Eflags = 0x100
	for i := range 2 {
		if ev := g.run(th, r, platform.EventSignal); ev.Signo != int32(unix.SIGTRAP) || r.Rip != codeAt+1+uint64(i) {
			t.Fatalf("%+v rip %#x", ev, r.Rip)
		}
	}
}

func TestVsyscall(t *testing.T) {
	// mov $0xffffffffff600400,%rax; call *%rax
	g := newGuest(t, asm(movRax(0xffffffffff600400), []byte{0xff, 0xd0}))
	r := start()
	ev := g.thread().Switch(r)
	switch {
	case ev.Kind == platform.EventFault && ev.Access == platform.Exec:
	case ev.Kind == platform.EventSyscall && r.OrigRax == unix.SYS_TIME && r.Rip == codeAt+12:
	default:
		t.Errorf("event %+v, nr %d, rip %#x", ev, r.OrigRax, r.Rip)
	}
}

func TestFPState(t *testing.T) {
	// movq %rdi,%xmm5; syscall; movq %xmm5,%rbx; syscall; fldpi; syscall
	g := newGuest(t, asm([]byte{0x66, 0x48, 0x0f, 0x6e, 0xef}, syscallInsn, []byte{0x66, 0x48, 0x0f, 0x7e, 0xeb}, syscallInsn,
		[]byte{0xd9, 0xeb}, syscallInsn))
	th := g.thread()
	r := start()
	r.Rdi = 0xdeadbeefcafe
	g.run(th, r, platform.EventSyscall)
	fp := th.FPState()
	if v := binary.LittleEndian.Uint64(fp[160+5*16:]); v != r.Rdi {
		t.Fatalf("xmm5 = %#x", v)
	}
	g.run(th, r, platform.EventSyscall)
	if r.Rbx != r.Rdi {
		t.Fatalf("kept %#x", r.Rbx)
	}
	binary.LittleEndian.PutUint64(fp[160+5*16:], 77)
	for i := 512; i < 576; i++ { // a hostile header
		if i >= 520 || i == 519 {
			fp[i] = 0xff
		}
	}
	binary.LittleEndian.PutUint32(fp[24:], 0xffffffff) // and MXCSR
	if err := th.SetFPState(fp); err != nil {
		t.Fatal(err)
	}
	r.Rip = codeAt + 7
	g.run(th, r, platform.EventSyscall)
	if r.Rbx != 77 {
		t.Fatalf("set %d", r.Rbx)
	}
	if err := th.SetFPState(nil); err != nil {
		t.Fatal(err)
	}
	r.Rip = codeAt + 7
	g.run(th, r, platform.EventSyscall)
	if fp := th.FPState(); r.Rbx != 0 || binary.LittleEndian.Uint32(fp[24:]) != 0x1f80 {
		t.Fatalf("initial: %d, mxcsr %#x", r.Rbx, fp[24:28])
	}
	if err := th.SetFPState(make([]byte, 100)); err == nil {
		t.Error("short state accepted")
	}
	g.run(th, r, platform.EventSyscall)
}

func TestSegmentBases(t *testing.T) {
	// mov %fs:0,%rax; mov %gs:8,%rbx; syscall
	g := newGuest(t, asm([]byte{0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x65, 0x48, 0x8b, 0x1c, 0x25, 8, 0, 0, 0}, syscallInsn))
	unix.Pwrite(g.data.RW, []byte{1, 0, 0, 0, 0, 0, 0, 0, 2}, 0x1000)
	th := g.thread()
	r := start()
	r.FsBase, r.GsBase = dataAt+0x1000, dataAt+0x1000
	for range 3 {
		r.Rip = codeAt
		g.run(th, r, platform.EventSyscall)
		if r.OrigRax != 1 || r.Rbx != 2 || r.FsBase != dataAt+0x1000 || r.GsBase != dataAt+0x1000 {
			t.Fatalf("%+v", r)
		}
	}
}

func TestDeath(t *testing.T) {
	g := newGuest(t, loopBack)
	th, other := g.thread(), g.thread()
	g.run(other, &arch.Regs{Rip: 0}, platform.EventFault)
	time.AfterFunc(5*time.Millisecond, func() { unix.Kill(g.s.proc.pid, unix.SIGKILL) })
	begin := time.Now()
	g.run(th, start(), platform.EventDied)
	if d := time.Since(begin); d > 200*time.Millisecond {
		t.Errorf("noticed after %v", d)
	}
	g.run(other, start(), platform.EventDied)
	if _, err := g.s.NewThread(); err == nil {
		t.Error("thread in a dead space")
	}
	if err := g.s.Flush(nil); err != nil && err != errDied {
		t.Error(err)
	}
}

func TestReleaseWhileRunning(t *testing.T) {
	g := newGuest(t, loopBack)
	th := g.thread()
	time.AfterFunc(5*time.Millisecond, g.s.Release)
	g.run(th, start(), platform.EventDied)
	th.Release()
}

// TestPark checks that a stub told to sleep wakes up again, whatever it was
// doing when it was told.
func TestPark(t *testing.T) {
	g, th, r := patched(t, getpidLoop)
	for i := range 500 {
		if i%7 == 0 {
			th.FPState() // waits in a handler, not in the call
		}
		for range i % 5 * 100 {
			unix.Getpid()
		}
		th.Park()
		if i%3 == 0 {
			th.Park()
		}
		g.run(th, r, platform.EventSyscall)
	}
	if n := testPlatform.active.Load(); n < 1 {
		t.Errorf("%d active threads", n)
	}
	th.Park()
	before := testPlatform.active.Load()
	th.Release()
	if n := testPlatform.active.Load(); n != before {
		t.Errorf("active: %d, after release %d", before, n)
	}
}

// TestRecycle runs guests in processes that others used before.
func TestRecycle(t *testing.T) {
	// mov %rdi,%xmm5; mov %rdi,(%rsi); mov %rsp,(%rdx); syscall; movq %xmm5,%rbx; mov (%rsi),%rcx; syscall
	code := asm([]byte{0x66, 0x48, 0x0f, 0x6e, 0xef, 0x48, 0x89, 0x3e, 0x48, 0x89, 0x22}, syscallInsn,
		[]byte{0x66, 0x48, 0x0f, 0x7e, 0xeb, 0x48, 0x8b, 0x0e}, syscallInsn)
	seen := map[int]int{}
	for range 60 {
		g := newGuest(t, code)
		pid := g.s.proc.pid
		th := g.thread()
		if seen[pid]++; seen[pid] > 1 {
			// What the guest before left: nothing mapped, clean registers.
			r := &arch.Regs{Rip: codeAt + 13, Rsi: dataAt + 8*4096}
			g.run(th, r, platform.EventSyscall)
			if r.Rbx != 0 || r.Rcx == 0xabcdef {
				t.Fatalf("xmm5 %#x memory %#x", r.Rbx, r.Rcx)
			}
			r = &arch.Regs{Rip: codeAt + 13, Rsi: 0x70000000}
			if ev := g.run(th, r, platform.EventFault); ev.Addr != 0x70000000 {
				t.Fatalf("%+v", ev)
			}
			for _, b := range g.s.proc.leader.mem[2048:] {
				if b != 0 {
					t.Fatal("leader's page has old contents")
				}
			}
		}
		g.s.Map(0x70000000, 4096, g.data, 0, platform.Read|platform.Write, false)
		// Scribble over the leader's page, as user code can.
		r := &arch.Regs{Rip: codeAt, Rdi: 0xabcdef, Rsi: 0x70000000, Rdx: areaBase + 2048}
		g.run(th, r, platform.EventSyscall)
		r.Rdx = areaBase + 552 // length of the control buffer
		r.Rip = codeAt
		g.run(th, r, platform.EventSyscall)
		th.Release()
		g.s.Release()
		time.Sleep(2 * time.Millisecond)
	}
	again := 0
	for _, n := range seen {
		again += n - 1
	}
	if again < 20 {
		t.Errorf("only %d of 60 in a used process", again)
	}
}

// TestStubBytes proves that the checked-in stub is what its source makes.
func TestStubBytes(t *testing.T) {
	if out, err := exec.Command("gcc", "-dumpfullversion").Output(); err != nil || string(out[:3]) != "12." {
		t.Skip("needs gcc 12")
	}
	out := filepath.Join(t.TempDir(), "stub")
	if msg, err := exec.Command("stub/build.sh", out).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != string(stubELF) {
		t.Error("stub.elf is stale: run go generate")
	}
}

func BenchmarkGetpid(b *testing.B) {
	g := newGuest(b, asm(movEax(39), syscallInsn, []byte{0xeb, 0xf7}))
	th := g.thread()
	r := start()
	for b.Loop() {
		g.run(th, r, platform.EventSyscall)
		r.Rax = 1
	}
}

func BenchmarkMapTouchUnmap(b *testing.B) {
	// mov %eax,(%rdi); syscall
	g := newGuest(b, asm([]byte{0x89, 0x07}, syscallInsn))
	th := g.thread()
	r := start()
	r.Rdi = 0x30000000
	for b.Loop() {
		g.s.Map(0x30000000, 65536, g.data, 0, platform.Read|platform.Write, true)
		r.Rip = codeAt
		g.run(th, r, platform.EventSyscall)
		g.s.Unmap(0x30000000, 65536)
		r.Rip = codeAt + 2
		g.run(th, r, platform.EventSyscall)
	}
}

func BenchmarkNewSpace(b *testing.B) {
	for b.Loop() {
		g := newGuest(b, syscallInsn)
		th := g.thread()
		g.run(th, start(), platform.EventSyscall)
		th.Release()
		g.s.Release()
	}
}
