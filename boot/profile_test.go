package boot

import (
	"encoding/binary"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// runFilter interprets a filter on call nr with first argument arg.
func runFilter(t *testing.T, code []unix.SockFilter, nr uint32, arg uint64) uint32 {
	t.Helper()
	var data [64]byte
	binary.LittleEndian.PutUint32(data[0:], nr)
	binary.LittleEndian.PutUint32(data[4:], unix.AUDIT_ARCH_X86_64)
	binary.LittleEndian.PutUint64(data[16:], arg)
	var acc uint32
	jump := func(pc int, yes bool, in unix.SockFilter) int {
		if yes {
			return pc + int(in.Jt)
		}
		return pc + int(in.Jf)
	}
	for pc := 0; pc < len(code); pc++ {
		in := code[pc]
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			acc = binary.LittleEndian.Uint32(data[in.K:])
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			pc = jump(pc, acc == in.K, in)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			pc = jump(pc, acc > in.K, in)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			pc = jump(pc, acc >= in.K, in)
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

func testNumber(name string) (uint32, bool) {
	n, ok := map[string]uint32{"read": 0, "write": 1, "personality": 135}[name]
	return n, ok
}

func TestProfileComparisons(t *testing.T) {
	values := []uint64{0, 1, 5, 6, 7, 1<<32 | 5, 1<<32 | 6, 1<<32 | 7, 2<<32 | 6, ^uint64(0)}
	for _, op := range []struct {
		op   specs.LinuxSeccompOperator
		want func(a, v uint64) bool
	}{
		{specs.OpEqualTo, func(a, v uint64) bool { return a == v }},
		{specs.OpNotEqual, func(a, v uint64) bool { return a != v }},
		{specs.OpGreaterThan, func(a, v uint64) bool { return a > v }},
		{specs.OpGreaterEqual, func(a, v uint64) bool { return a >= v }},
		{specs.OpLessThan, func(a, v uint64) bool { return a < v }},
		{specs.OpLessEqual, func(a, v uint64) bool { return a <= v }},
		{specs.OpMaskedEqual, func(a, v uint64) bool { return a&v == v&6 }},
	} {
		for _, v := range values {
			code, err := CompileProfile(&specs.LinuxSeccomp{
				DefaultAction: specs.ActErrno,
				Syscalls: []specs.LinuxSyscall{{Names: []string{"personality", "unknown_call"}, Action: specs.ActAllow,
					Args: []specs.LinuxSeccompArg{{Index: 0, Op: op.op, Value: v, ValueTwo: v & 6}}}},
			}, testNumber)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range values {
				got := runFilter(t, code, 135, a) == unix.SECCOMP_RET_ALLOW
				if got != op.want(a, v) {
					t.Errorf("%s: argument %#x, value %#x: allowed %v", op.op, a, v, got)
				}
			}
			if got := runFilter(t, code, 0, v); got != unix.SECCOMP_RET_ERRNO|uint32(unix.EPERM) {
				t.Errorf("a call in no rule gives %#x", got)
			}
		}
	}
}

func TestProfileRefuses(t *testing.T) {
	for _, p := range []specs.LinuxSeccomp{
		{DefaultAction: "SCMP_ACT_WHAT"},
		{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActNotify}}},
		{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActKill,
			Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}}}}},
		{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActKill,
			Args: []specs.LinuxSeccompArg{{Index: 0, Op: "SCMP_CMP_WHAT"}}}}},
	} {
		if _, err := CompileProfile(&p, testNumber); err == nil {
			t.Errorf("profile %+v was accepted", p)
		}
	}
}
