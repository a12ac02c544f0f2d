package systrap

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/platform"
)

// stubSymbols returns the symbols of the stub and its text.
func stubSymbols(t testing.TB) (map[string]uint64, []byte) {
	f, err := elf.NewFile(bytes.NewReader(stubELF))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]uint64{}
	for _, s := range syms {
		m[s.Name] = s.Value
	}
	text, err := f.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	return m, text
}

// TestLayout compares the addresses that both languages spell out.
func TestLayout(t *testing.T) {
	syms, _ := stubSymbols(t)
	if syms["_start"]>>32 != stubBase>>32 || maxAddr>>32+2 != vdsoBase>>32 {
		t.Errorf("stub at %#x, stubBase %#x, maxAddr %#x", syms["_start"], uint64(stubBase), uint64(maxAddr))
	}
	for _, r := range rules {
		if syms[r.site] == 0 {
			t.Errorf("no symbol %s", r.site)
		}
	}
}

// TestJumpIntoStub enters every syscall instruction of the stub with forged
// registers. Whatever comes of it, it is not a success on the host.
func TestJumpIntoStub(t *testing.T) {
	quiet(t)
	_, text := stubSymbols(t)
	victim := newFile(t, []byte("secret"), 4096)
	calls := []arch.Regs{
		{Rax: unix.SYS_MMAP, Rdi: 0x60000000, Rsi: 4096, Rdx: 7, R10: unix.MAP_ANONYMOUS | unix.MAP_PRIVATE | unix.MAP_FIXED, R8: ^uint64(0)},
		{Rax: unix.SYS_MMAP, Rdi: 0x60000000, Rsi: 4096, Rdx: 7, R10: unix.MAP_SHARED | unix.MAP_FIXED, R8: 1},
		{Rax: unix.SYS_MMAP, Rdi: 0x60000000, Rsi: 4096, Rdx: 7, R10: unix.MAP_SHARED | unix.MAP_FIXED},
		{Rax: unix.SYS_MUNMAP, Rdi: stubBase, Rsi: 4096},
		{Rax: unix.SYS_MUNMAP, Rdi: 0, Rsi: 1 << 47},
		{Rax: unix.SYS_MUNMAP, Rdi: ^uint64(4095), Rsi: stubBase},
		{Rax: unix.SYS_MPROTECT, Rdi: cmdBase, Rsi: 4096, Rdx: 3},
		{Rax: unix.SYS_MPROTECT, Rdi: dataAt, Rsi: 4096, Rdx: 3},
		{Rax: unix.SYS_RECVMSG, Rdi: 0, Rsi: dataAt, Rdx: unix.MSG_DONTWAIT | unix.MSG_TRUNC},
		{Rax: unix.SYS_RECVMSG, Rdi: 0, Rsi: dataAt, Rdx: unix.MSG_PEEK},
		{Rax: unix.SYS_CLONE, Rdi: cloneFlags, Rsi: dataAt + 4096},
		{Rax: unix.SYS_SOCKET, Rdi: 1, Rsi: 1},
		{Rax: unix.SYS_OPEN, Rdi: dataAt},
		{Rax: unix.SYS_KILL, Rdi: 1, Rsi: 9},
		{Rax: unix.SYS_CLOSE_RANGE, Rdi: 0, Rsi: 0xffffffff},
	}
	for off := range text {
		if !bytes.HasPrefix(text[off:], syscallInsn) {
			continue
		}
		for _, c := range calls {
			g := newGuest(t, loopBack)
			g.s.Map(0x61000000, 4096, victim, 0, platform.Read, false)
			th := g.thread()
			r := c
			r.Rip, r.Rsp = stubBase+uint64(off), dataAt+0x8000
			timer := time.AfterFunc(20*time.Millisecond, th.Interrupt)
			ev := th.Switch(&r)
			timer.Stop()
			if ev.Kind != platform.EventDied {
				// Still alive: neither region is changed and no page came.
				r = *start()
				g.s.Map(codeAt, 4096, newFile(t, asm([]byte{0x8b, 0x07}, syscallInsn), 4096), 0, platform.Read|platform.Exec, false)
				r.Rdi = 0x60000000
				if ev = th.Switch(&r); ev.Kind == platform.EventSyscall {
					t.Errorf("call %d at %#x mapped memory", c.Rax, off)
				}
			}
			th.Release()
			g.s.Release()
		}
	}
}

func quiet(t testing.TB) {
	klog.SetLevel(klog.Error)
	t.Cleanup(func() { klog.SetLevel(klog.Warning) })
}

// TestForgedGate lets user code take the message at the gate itself. It only
// runs what was commanded, and no descriptor stays behind.
func TestForgedGate(t *testing.T) {
	quiet(t)
	syms, _ := stubSymbols(t)
	for _, flags := range []uint64{0, 0x100 /* trap flag */} {
		g := newGuest(t, asm([]byte{0x8b, 0x07}, syscallInsn))
		th := g.thread()
		g.run(th, &arch.Regs{Rip: codeAt, Rdi: dataAt}, platform.EventSyscall)
		f := newFile(t, []byte("secret"), 4096)
		const at = 0x62000000
		if !th.send([]op{{addr: at, length: 4096, nr: unix.SYS_MMAP, prot: 1, flags: unix.MAP_SHARED | unix.MAP_FIXED, fd: 1}}, []int32{int32(f.RO)}) {
			t.Fatal("send")
		}
		// A message header in user memory: iov and room for descriptors.
		var hdr [80]byte
		binary.LittleEndian.PutUint64(hdr[16:], dataAt+0x1100)
		binary.LittleEndian.PutUint64(hdr[24:], 1)
		binary.LittleEndian.PutUint64(hdr[32:], dataAt+0x1200)
		binary.LittleEndian.PutUint64(hdr[40:], 48)
		unix.Pwrite(g.data.RW, hdr[:], 0x1000)
		binary.LittleEndian.PutUint64(hdr[0:], dataAt+0x1300)
		binary.LittleEndian.PutUint64(hdr[8:], 1)
		unix.Pwrite(g.data.RW, hdr[:16], 0x1100)
		// The gate's ret pops six registers and goes to 0.
		r := arch.Regs{Rip: syms["site_recv"], Rax: unix.SYS_RECVMSG, Rsi: dataAt + 0x1000, Rdx: unix.MSG_DONTWAIT | unix.MSG_TRUNC,
			Rsp: dataAt + 0x8000, Eflags: flags}
		ev := th.Switch(&r)
		if flags == 0 {
			if ev.Kind != platform.EventFault || ev.Addr != 0 {
				t.Fatalf("after the gate: %+v rip %#x rax %#x", ev, r.Rip, r.Rax)
			}
		} else if ev.Kind != platform.EventSignal || r.Rip-syms["site_recv"] > 16 {
			t.Fatalf("single step: %+v rip %#x", ev, r.Rip)
		}
		// Descriptor 1 must be closed now.
		r = arch.Regs{Rip: syms["site_mmap_user"], Rax: unix.SYS_MMAP, Rdi: 0x60000000, Rsi: 4096, Rdx: 1,
			R10: unix.MAP_SHARED | unix.MAP_FIXED, R8: 1, R14: 1, R15: dataAt, Rsp: dataAt + 0x8000}
		if ev = th.Switch(&r); ev.Kind != platform.EventFault || ev.Addr != 0 {
			t.Fatalf("mapping by hand: %+v", ev)
		}
		r = arch.Regs{Rip: codeAt, Rdi: 0x60000000}
		g.run(th, &r, platform.EventFault)
		r = arch.Regs{Rip: codeAt, Rdi: at}
		if flags == 0 { // what was commanded is there
			g.run(th, &r, platform.EventSyscall)
		} else {
			g.run(th, &r, platform.EventFault)
		}
	}
}

// TestScribble has one thread write over the pages of all threads while the
// others trap. Events may be anything; the sentry must neither fail nor hang.
func TestScribble(t *testing.T) {
	quiet(t)
	for round := range 6 {
		// 1: mov %rbx,%rdi; mov %rdx,%rcx; add $0x1111,%rax or so; rep stosb; jmp 1b
		fill := asm([]byte{0x48, 0x89, 0xdf, 0x48, 0x89, 0xd1, 0x48, 0x05, 0x37, 0x13, 0, 0, 0xf3, 0xaa, 0xeb, 0xf0})
		loop := asm(movEax(39), syscallInsn, []byte{0xeb, 0xf7})
		g := newGuest(t, append(loop, fill...))
		var ths []*Thread
		for range 3 {
			ths = append(ths, g.thread())
		}
		done := make(chan struct{}, 3)
		for i, th := range ths {
			go func() {
				r := start()
				if i == 0 {
					r.Rip = codeAt + uint64(len(loop))
					r.Rbx = areaBase + uint64(round%3)*areaSize
					r.Rdx = 3 * areaSize
				}
				for range 300 {
					g.s.Map(0x20000000, 4096, g.data, 0, platform.Read, false)
					if th.Switch(r).Kind == platform.EventDied {
						break
					}
					th.FPState()
					th.SetFPState(nil)
					r.Rip = codeAt
				}
				th.Release()
				done <- struct{}{}
			}()
		}
		timeout := time.After(200 * time.Millisecond)
		for n := 0; n < 3; {
			select {
			case <-done:
				n++
			case <-timeout:
				g.s.Release()
				timeout = time.After(5 * time.Second)
			}
		}
		g.s.Release()
	}
}

// TestFilterKeepsWrites checks that user code cannot win write access back.
func TestFilterKeepsWrites(t *testing.T) {
	for _, r := range rules {
		if !strings.HasPrefix(r.site, "site_mprotect") {
			continue
		}
		if r.tests[1].val&unix.PROT_WRITE != 0 {
			t.Error("mprotect may give write access")
		}
	}
}

// TestOwnsNothing looks at a stub process from outside: its threads hold one
// socket each, and nothing of the stub's is writable but the thread areas.
func TestOwnsNothing(t *testing.T) {
	g := newGuest(t, asm(syscallInsn))
	th := g.thread()
	for i := range 20 {
		g.s.Map(0x20000000+uint64(i)*8192, 4096, g.data, 0, platform.Read|platform.Write, false)
	}
	g.run(th, start(), platform.EventSyscall)
	proc := "/proc/" + itoa(g.s.proc.pid)
	tasks, err := os.ReadDir(proc + "/task")
	if err != nil {
		t.Skip(err)
	}
	for _, k := range tasks {
		dir := proc + "/task/" + k.Name() + "/fd"
		fds, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			dst, _ := os.Readlink(dir + "/" + fd.Name())
			if fd.Name() != "0" || !strings.HasPrefix(dst, "socket:") {
				t.Errorf("task %s has %s -> %s", k.Name(), fd.Name(), dst)
			}
		}
		st, _ := os.ReadFile(proc + "/task/" + k.Name() + "/status")
		if !strings.Contains(string(st), "Seccomp:\t2\n") || !strings.Contains(string(st), "NoNewPrivs:\t1\n") {
			t.Errorf("task %s is not confined:\n%s", k.Name(), st)
		}
	}
	maps, err := os.ReadFile(proc + "/maps")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(maps), "\n") {
		var lo, hi uint64
		var prot string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &lo, &hi, &prot); n != 3 || hi <= maxAddr || hi > 1<<47 {
			continue
		}
		if prot[1] == 'w' && (lo != areaBase || hi != areaBase+areaRegion) {
			t.Errorf("writable: %s", line)
		}
	}
}
