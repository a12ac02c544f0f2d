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
	var p program
	p.load(offArch)
	p.jumpUnless(unix.BPF_JEQ, unix.AUDIT_ARCH_X86_64, "deny")
	p.load(offNr)
	for i, r := range rules {
		if i > 0 && rules[i-1].Nr == r.Nr {
			return nil, fmt.Errorf("call %s is in the table twice", r.Name)
		}
		next := fmt.Sprintf("rule%d", i+1)
		p.jumpUnless(unix.BPF_JEQ, r.Nr, next)
		if len(r.Any) == 0 {
			p.ret(unix.SECCOMP_RET_ALLOW)
		}
		for j, checks := range r.Any {
			alt := fmt.Sprintf("rule%d.%d", i, j+1)
			for _, c := range checks {
				if c.Arg < 0 || c.Arg > 5 {
					return nil, fmt.Errorf("call %s: argument %d does not exist", r.Name, c.Arg)
				}
				p.word(uint32(offArgs+8*c.Arg), uint32(c.Mask), uint32(c.Val), alt)
				p.word(uint32(offArgs+8*c.Arg+4), uint32(c.Mask>>32), uint32(c.Val>>32), alt)
			}
			p.ret(unix.SECCOMP_RET_ALLOW)
			p.label(alt)
		}
		if len(r.Any) != 0 {
			p.ret(uint32(deny))
		}
		p.label(next)
	}
	p.label("deny")
	p.ret(uint32(deny))
	return p.link()
}

// program is BPF under construction; jumps name labels until link.
type program struct {
	code   []unix.SockFilter
	jumps  map[int]string
	labels map[string]int
}

func (p *program) emit(code uint16, k uint32) {
	p.code = append(p.code, unix.SockFilter{Code: code, K: k})
}

func (p *program) load(off uint32) { p.emit(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off) }
func (p *program) ret(k uint32)    { p.emit(unix.BPF_RET|unix.BPF_K, k) }

// word checks one half of an argument; a zero mask needs no code.
func (p *program) word(off, mask, val uint32, otherwise string) {
	if mask == 0 {
		return
	}
	p.load(off)
	if mask != ^uint32(0) {
		p.emit(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, mask)
	}
	p.jumpUnless(unix.BPF_JEQ, val, otherwise)
}

// jumpUnless goes to the label if the comparison fails. The far jump is an
// unconditional one, so tables of any size link.
func (p *program) jumpUnless(op uint16, k uint32, to string) {
	p.code = append(p.code, unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: 1, K: k})
	if p.jumps == nil {
		p.jumps = make(map[int]string)
	}
	p.jumps[len(p.code)] = to
	p.emit(unix.BPF_JMP|unix.BPF_JA, 0)
}

func (p *program) label(name string) {
	if p.labels == nil {
		p.labels = make(map[string]int)
	}
	p.labels[name] = len(p.code)
}

func (p *program) link() ([]unix.SockFilter, error) {
	if len(p.code) > unix.BPF_MAXINSNS {
		return nil, fmt.Errorf("filter has %d instructions, the kernel takes %d", len(p.code), unix.BPF_MAXINSNS)
	}
	for at, name := range p.jumps {
		to, ok := p.labels[name]
		if !ok || to <= at {
			return nil, fmt.Errorf("filter label %q does not lie ahead", name)
		}
		p.code[at].K = uint32(to - at - 1)
	}
	return p.code, nil
}
