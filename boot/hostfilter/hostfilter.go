// Package hostfilter holds the host system calls the sandbox and the gofer may
// make, one readable table per process, and turns a table into a seccomp
// filter that the kernel enforces.
//
// A table row is a call, the argument checks it must pass and the reason it is
// there. What is in no row kills the process (or, while debugging, traps with
// a stack trace). The package knows nothing of what the processes do.
package hostfilter

import (
	"fmt"
	"sort"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot/bpf"
)

// Check compares one argument: (argument & Mask) == Val. A mask without high
// bits looks only at the low word, which is right for int arguments.
type Check struct {
	Arg       int
	Mask, Val uint64
}

// Rule allows one call. With no Any every argument is allowed; otherwise at
// least one alternative must have all its checks hold.
type Rule struct {
	Nr     uint32
	Name   string
	Any    [][]Check
	Reason string
}

// Action is what happens to a call that no rule allows.
type Action uint32

// Actions for what is not allowed.
const (
	Kill Action = unix.SECCOMP_RET_KILL_PROCESS
	Trap Action = unix.SECCOMP_RET_TRAP
)

// Offsets in struct seccomp_data (linux: include/uapi/linux/seccomp.h).
const (
	offNr   = 0
	offArch = 4
	offArgs = 16
)

// Assemble compiles rules to classic BPF.
func Assemble(rules []Rule, deny Action) ([]unix.SockFilter, error) {
	rules = append([]Rule(nil), rules...)
	sort.SliceStable(rules, func(i, j int) bool { return rules[i].Nr < rules[j].Nr })
	var p bpf.Program
	p.Load(offArch)
	p.JumpUnless(unix.BPF_JEQ, unix.AUDIT_ARCH_X86_64, "deny")
	p.Load(offNr)
	for i, r := range rules {
		if i > 0 && rules[i-1].Nr == r.Nr {
			return nil, fmt.Errorf("call %s is in the table twice", r.Name)
		}
		next := fmt.Sprintf("rule%d", i+1)
		p.JumpUnless(unix.BPF_JEQ, r.Nr, next)
		if len(r.Any) == 0 {
			p.Ret(unix.SECCOMP_RET_ALLOW)
		}
		for j, checks := range r.Any {
			alt := fmt.Sprintf("rule%d.%d", i, j+1)
			for _, c := range checks {
				if c.Arg < 0 || c.Arg > 5 {
					return nil, fmt.Errorf("call %s: argument %d does not exist", r.Name, c.Arg)
				}
				word(&p, uint32(offArgs+8*c.Arg), uint32(c.Mask), uint32(c.Val), alt)
				word(&p, uint32(offArgs+8*c.Arg+4), uint32(c.Mask>>32), uint32(c.Val>>32), alt)
			}
			p.Ret(unix.SECCOMP_RET_ALLOW)
			p.Label(alt)
		}
		if len(r.Any) != 0 {
			p.Ret(uint32(deny))
		}
		p.Label(next)
	}
	p.Label("deny")
	p.Ret(uint32(deny))
	return p.Link()
}

// word checks one half of an argument; a zero mask needs no code.
func word(p *bpf.Program, off, mask, val uint32, otherwise string) {
	if mask == 0 {
		return
	}
	p.Load(off)
	if mask != ^uint32(0) {
		p.Emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, mask)
	}
	p.JumpUnless(unix.BPF_JEQ, val, otherwise)
}
