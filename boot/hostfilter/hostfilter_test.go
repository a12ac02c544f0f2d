package hostfilter

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// run interprets a filter the way the kernel does.
func run(t *testing.T, code []unix.SockFilter, arch, nr uint32, args [6]uint64) uint32 {
	t.Helper()
	var data [64]byte
	binary.LittleEndian.PutUint32(data[offNr:], nr)
	binary.LittleEndian.PutUint32(data[offArch:], arch)
	for i, a := range args {
		binary.LittleEndian.PutUint64(data[offArgs+8*i:], a)
	}
	var acc uint32
	for pc := 0; pc < len(code); pc++ {
		in := code[pc]
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = binary.LittleEndian.Uint32(data[in.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			if acc == in.K {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		default:
			t.Fatalf("instruction %d has unknown code %#x", pc, in.Code)
		}
	}
	t.Fatal("filter ran off its end")
	return 0
}

func TestTables(t *testing.T) {
	const x86, i386 = unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386
	sentry, err := Assemble(Sentry(), Kill)
	if err != nil {
		t.Fatal(err)
	}
	gofer, err := Assemble(Gofer(false), Kill)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		code  []unix.SockFilter
		arch  uint32
		nr    uint32
		args  [6]uint64
		allow bool
	}{
		{"read", sentry, x86, unix.SYS_READ, [6]uint64{}, true},
		{"read of the 32-bit ABI", sentry, i386, unix.SYS_READ, [6]uint64{}, false},
		{"x32 read", sentry, x86, 0x40000000, [6]uint64{}, false},
		{"open", sentry, x86, unix.SYS_OPEN, [6]uint64{}, false},
		{"openat", sentry, x86, unix.SYS_OPENAT, [6]uint64{}, false},
		{"execve", sentry, x86, unix.SYS_EXECVE, [6]uint64{}, false},
		{"socket", sentry, x86, unix.SYS_SOCKET, [6]uint64{unix.AF_INET}, false},
		{"mmap rw", sentry, x86, unix.SYS_MMAP, [6]uint64{0, 1, 3}, true},
		{"mmap exec", sentry, x86, unix.SYS_MMAP, [6]uint64{0, 1, 7}, false},
		{"thread", sentry, x86, unix.SYS_CLONE, [6]uint64{threadFlags}, true},
		{"fork", sentry, x86, unix.SYS_CLONE, [6]uint64{uint64(unix.SIGCHLD)}, false},
		{"thread with high bits", sentry, x86, unix.SYS_CLONE, [6]uint64{threadFlags | 1<<40}, false},
		{"TIOCSTI", sentry, x86, unix.SYS_IOCTL, [6]uint64{0, unix.TIOCSTI}, false},
		{"TCGETS", sentry, x86, unix.SYS_IOCTL, [6]uint64{0, unix.TCGETS}, true},
		{"ioctl ignores the high word of an int", sentry, x86, unix.SYS_IOCTL, [6]uint64{0, 1<<32 | unix.TCGETS}, true},
		{"gofer openat", gofer, x86, unix.SYS_OPENAT, [6]uint64{}, true},
		{"gofer mount", gofer, x86, unix.SYS_MOUNT, [6]uint64{}, false},
		{"gofer socket", gofer, x86, unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX}, false},
		{"gofer setuid", gofer, x86, unix.SYS_SETUID, [6]uint64{}, false},
		{"past the table", sentry, x86, 9999, [6]uint64{}, false},
	} {
		want := uint32(Kill)
		if c.allow {
			want = unix.SECCOMP_RET_ALLOW
		}
		if got := run(t, c.code, c.arch, c.nr, c.args); got != want {
			t.Errorf("%s: filter returns %#x, want %#x", c.name, got, want)
		}
	}
	for _, r := range append(Sentry(), Gofer(true)...) {
		if r.Reason == "" || r.Name == "" {
			t.Errorf("call %d has no name or reason", r.Nr)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	if _, err := Assemble([]Rule{{Nr: 1, Name: "a"}, {Nr: 1, Name: "b"}}, Kill); err == nil {
		t.Error("a call listed twice was accepted")
	}
	if _, err := Assemble([]Rule{{Nr: 1, Name: "a", Any: [][]Check{{{Arg: 6}}}}}, Kill); err == nil {
		t.Error("a seventh argument was accepted")
	}
}
