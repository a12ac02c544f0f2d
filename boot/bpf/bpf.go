// Package bpf assembles classic BPF for seccomp filters: instructions are
// appended, jumps name labels, Link resolves them.
package bpf

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Program is BPF under construction; jumps name labels until link.
type Program struct {
	code   []unix.SockFilter
	jumps  map[int]string
	labels map[string]int
}

// Emit appends one instruction without jumps.
func (p *Program) Emit(code uint16, k uint32) {
	p.code = append(p.code, unix.SockFilter{Code: code, K: k})
}

// Load loads a word of the data at off.
func (p *Program) Load(off uint32) { p.Emit(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, off) }

// Ret ends the filter with verdict k.
func (p *Program) Ret(k uint32) { p.Emit(unix.BPF_RET|unix.BPF_K, k) }

// JumpUnless goes to the label if the comparison fails. The far jump is an
// unconditional one, so tables of any size link.
func (p *Program) JumpUnless(op uint16, k uint32, to string) {
	p.code = append(p.code, unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: 1, K: k})
	p.Jump(to)
}

// Jump goes to the label.
func (p *Program) Jump(to string) {
	if p.jumps == nil {
		p.jumps = make(map[int]string)
	}
	p.jumps[len(p.code)] = to
	p.Emit(unix.BPF_JMP|unix.BPF_JA, 0)
}

// Label names the next instruction.
func (p *Program) Label(name string) {
	if p.labels == nil {
		p.labels = make(map[string]int)
	}
	p.labels[name] = len(p.code)
}

// Link resolves the labels and returns the finished code.
func (p *Program) Link() ([]unix.SockFilter, error) {
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
