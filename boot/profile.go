package boot

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot/bpf"
)

// CompileProfile turns an OCI seccomp profile into the filter the guest runs
// under, the way libseccomp does for x86-64: per call the conditional rules in
// order, then an unconditional one, then the default. Names number does not
// know (calls of other machines, calls younger than ours) are left out, as
// every runtime does.
func CompileProfile(p *specs.LinuxSeccomp, number func(name string) (uint32, bool)) ([]unix.SockFilter, error) {
	def, err := profileAction(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, err
	}
	type call struct {
		conditional []rule
		always      *rule
	}
	calls := make(map[uint32]*call)
	var order []uint32
	for _, s := range p.Syscalls {
		act, err := profileAction(s.Action, s.ErrnoRet)
		if err != nil {
			return nil, fmt.Errorf("rule for %s: %w", strings.Join(s.Names, ", "), err)
		}
		if act == def {
			continue
		}
		for _, name := range s.Names {
			nr, ok := number(name)
			if !ok {
				continue
			}
			c := calls[nr]
			if c == nil {
				c = &call{}
				calls[nr] = c
				order = append(order, nr)
			}
			if len(s.Args) == 0 {
				c.always = &rule{action: act}
				continue
			}
			rules, err := argRules(s.Args, act)
			if err != nil {
				return nil, fmt.Errorf("rule for %s: %w", name, err)
			}
			c.conditional = append(c.conditional, rules...)
		}
	}
	var prog bpf.Program
	prog.Load(4)
	prog.JumpUnless(unix.BPF_JEQ, unix.AUDIT_ARCH_X86_64, "foreign")
	prog.Load(0)
	for i, nr := range order {
		c := calls[nr]
		next := fmt.Sprintf("call%d", i)
		prog.JumpUnless(unix.BPF_JEQ, nr, next)
		for j, r := range c.conditional {
			miss := fmt.Sprintf("%s.%d", next, j)
			for _, a := range r.args {
				compareArg(&prog, a, miss)
			}
			prog.Ret(r.action)
			prog.Label(miss)
		}
		if c.always != nil {
			prog.Ret(c.always.action)
		} else {
			prog.Ret(def)
		}
		prog.Label(next)
	}
	prog.Ret(def)
	prog.Label("foreign")
	prog.Ret(unix.SECCOMP_RET_KILL_PROCESS)
	return prog.Link()
}

type rule struct {
	action uint32
	args   []specs.LinuxSeccompArg
}

// argRules makes one rule of conditions on different arguments; several on the
// same argument are alternatives (runc: libcontainer/seccomp matchCall).
func argRules(args []specs.LinuxSeccompArg, act uint32) ([]rule, error) {
	var seen [6]int
	repeated := false
	for _, a := range args {
		if a.Index > 5 {
			return nil, fmt.Errorf("argument %d does not exist", a.Index)
		}
		switch a.Op {
		case specs.OpEqualTo, specs.OpNotEqual, specs.OpGreaterEqual, specs.OpGreaterThan,
			specs.OpLessEqual, specs.OpLessThan, specs.OpMaskedEqual:
		default:
			return nil, fmt.Errorf("operator %q is unknown", a.Op)
		}
		seen[a.Index]++
		repeated = repeated || seen[a.Index] > 1
	}
	if !repeated {
		return []rule{{act, args}}, nil
	}
	var l []rule
	for i := range args {
		l = append(l, rule{act, args[i : i+1]})
	}
	return l, nil
}

func profileAction(a specs.LinuxSeccompAction, errnoRet *uint) (uint32, error) {
	errno := uint32(unix.EPERM)
	if errnoRet != nil {
		errno = uint32(*errnoRet) & unix.SECCOMP_RET_DATA
	}
	switch a {
	case specs.ActKill, specs.ActKillThread:
		return unix.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActKillProcess:
		return unix.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActTrap:
		return unix.SECCOMP_RET_TRAP, nil
	case specs.ActErrno:
		return unix.SECCOMP_RET_ERRNO | errno, nil
	case specs.ActTrace:
		return unix.SECCOMP_RET_TRACE | errno, nil
	case specs.ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case specs.ActLog:
		return unix.SECCOMP_RET_LOG, nil
	case specs.ActNotify:
		return 0, fmt.Errorf("action %s is not supported", a)
	}
	return 0, fmt.Errorf("action %q is unknown", a)
}

// compareArg goes to miss unless the 64-bit comparison of an argument holds.
// Classic BPF has 32-bit words and unsigned "greater" comparisons only.
func compareArg(p *bpf.Program, a specs.LinuxSeccompArg, miss string) {
	lowOff := uint32(16 + 8*a.Index)
	highOff := lowOff + 4
	low, high := uint32(a.Value), uint32(a.Value>>32)
	hit := miss + ".hit" + fmt.Sprint(a.Index)
	differs := func(off, v uint32, label string) { // jumps to label if the word differs
		p.Load(off)
		p.JumpUnless(unix.BPF_JEQ, v, label)
	}
	switch a.Op {
	case specs.OpEqualTo:
		differs(highOff, high, miss)
		differs(lowOff, low, miss)
	case specs.OpNotEqual:
		differs(highOff, high, hit)
		differs(lowOff, low, hit)
		p.Jump(miss)
		p.Label(hit)
	case specs.OpMaskedEqual: // (argument & Value) == ValueTwo
		p.Load(highOff)
		p.Emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, high)
		p.JumpUnless(unix.BPF_JEQ, uint32(a.ValueTwo>>32), miss)
		p.Load(lowOff)
		p.Emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, low)
		p.JumpUnless(unix.BPF_JEQ, uint32(a.ValueTwo), miss)
	case specs.OpGreaterThan, specs.OpGreaterEqual:
		// high words decide unless they are equal.
		lower := miss + ".low" + fmt.Sprint(a.Index)
		p.Load(highOff)
		p.JumpUnless(unix.BPF_JGT, high, lower)
		p.Jump(hit)
		p.Label(lower)
		p.JumpUnless(unix.BPF_JEQ, high, miss)
		p.Load(lowOff)
		op := uint16(unix.BPF_JGT)
		if a.Op == specs.OpGreaterEqual {
			op = unix.BPF_JGE
		}
		p.JumpUnless(op, low, miss)
		p.Label(hit)
	case specs.OpLessThan, specs.OpLessEqual:
		same := miss + ".same" + fmt.Sprint(a.Index)
		p.Load(highOff)
		p.JumpUnless(unix.BPF_JGE, high, hit) // less: done
		p.JumpUnless(unix.BPF_JGT, high, same)
		p.Jump(miss)
		p.Label(same)
		p.Load(lowOff)
		op := uint16(unix.BPF_JGE) // not (argument >= value)
		if a.Op == specs.OpLessEqual {
			op = unix.BPF_JGT
		}
		p.JumpUnless(op, low, hit)
		p.Jump(miss)
		p.Label(hit)
	}
}
