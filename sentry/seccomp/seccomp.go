// Package seccomp runs the system-call filters that guests install
// (seccomp(2)): it checks and interprets classic BPF programs.
//
// A Filters is a chain, newest program first, immutable and shared by tasks.
// For each call number that is allowed whatever its arguments are, every chain
// has a bit, so such calls cost one test.
package seccomp

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
)

// ArchX8664 is AUDIT_ARCH_X86_64.
const ArchX8664 = 0xc000003e

// Actions, most restrictive first (linux/seccomp.h).
const (
	KillProcess = 0x80000000
	KillThread  = 0x00000000
	Trap        = 0x00030000
	Errno       = 0x00050000
	UserNotif   = 0x7fc00000
	Trace       = 0x7ff00000
	Log         = 0x7ffc0000
	Allow       = 0x7fff0000

	ActionMask = 0xffff0000
	DataMask   = 0x0000ffff
)

// Known says whether an action can be returned (SECCOMP_GET_ACTION_AVAIL).
func Known(action uint32) bool {
	switch action {
	case KillProcess, KillThread, Trap, Errno, UserNotif, Trace, Log, Allow:
		return true
	}
	return false
}

// Data is struct seccomp_data, what a program looks at.
type Data struct {
	Nr   int32
	Arch uint32
	IP   uint64
	Args [6]uint64
}

const dataSize = 64

func (d *Data) word(off uint32) uint32 {
	switch {
	case off == 0:
		return uint32(d.Nr)
	case off == 4:
		return d.Arch
	case off < 16:
		return uint32(d.IP >> (8 * (off - 8)))
	}
	off -= 16
	return uint32(d.Args[off/8] >> (off % 8 * 8))
}

// Insn is struct sock_filter.
type Insn struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// Program is a checked filter.
type Program struct {
	insns []Insn
	// Log is SECCOMP_FILTER_FLAG_LOG.
	Log bool
	// Listener gets the calls that the program answers UserNotif for.
	Listener *Listener
}

// maxInsns is BPF_MAXINSNS; maxChain bounds a whole chain (linux:
// MAX_INSNS_PER_PATH).
const (
	maxInsns = 4096
	maxChain = 32768
)

// Classes and codes of classic BPF.
const (
	bpfLD   = 0
	bpfLDX  = 1
	bpfST   = 2
	bpfSTX  = 3
	bpfALU  = 4
	bpfJMP  = 5
	bpfRET  = 6
	bpfMISC = 7

	ldWAbs  = bpfLD | 0x20
	ldWLen  = bpfLD | 0x80
	ldImm   = bpfLD
	ldMem   = bpfLD | 0x60
	ldxLen  = bpfLDX | 0x80
	ldxImm  = bpfLDX
	ldxMem  = bpfLDX | 0x60
	retK    = bpfRET
	retA    = bpfRET | 0x10
	jmpJA   = bpfJMP
	miscTAX = bpfMISC
	miscTXA = bpfMISC | 0x80
)

// Check verifies a program (linux: seccomp_check_filter and bpf_check_classic).
func Check(insns []Insn) (*Program, error) {
	n := len(insns)
	if n == 0 || n > maxInsns {
		return nil, errno.EINVAL
	}
	// valid[i] is the set of scratch words surely written before i.
	valid := make([]uint16, n+1)
	for i := range valid {
		valid[i] = 0xffff
	}
	valid[0] = 0
	mem := uint16(0)
	for i, in := range insns {
		mem &= valid[i]
		if i == 0 {
			mem = 0
		}
		left := uint64(n - i - 1)
		switch in.Code {
		case ldWAbs:
			if in.K >= dataSize || in.K&3 != 0 {
				return nil, errno.EINVAL
			}
		case ldWLen, ldxLen, ldImm, ldxImm, miscTAX, miscTXA:
		case ldMem, ldxMem:
			if in.K >= 16 || mem>>in.K&1 == 0 {
				return nil, errno.EINVAL
			}
		case bpfST, bpfSTX:
			if in.K >= 16 {
				return nil, errno.EINVAL
			}
			mem |= 1 << in.K
		case retK, retA:
			mem = 0xffff
		case jmpJA:
			if uint64(in.K) >= left {
				return nil, errno.EINVAL
			}
			valid[uint64(i)+1+uint64(in.K)] &= mem
			mem = 0xffff
		default:
			switch in.Code & 7 {
			case bpfALU:
				src := in.Code & 8
				switch op := in.Code & 0xf0; op {
				case 0x00, 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0xa0: // + - * | & << >> ^
					if (op == 0x60 || op == 0x70) && src == 0 && in.K >= 32 {
						return nil, errno.EINVAL
					}
				case 0x30: // /
					if src == 0 && in.K == 0 {
						return nil, errno.EINVAL
					}
				case 0x80: // neg
					if src != 0 {
						return nil, errno.EINVAL
					}
				default:
					return nil, errno.EINVAL
				}
			case bpfJMP:
				switch in.Code & 0xf0 {
				case 0x10, 0x20, 0x30, 0x40: // == > >= &
				default:
					return nil, errno.EINVAL
				}
				if uint64(in.JT) >= left || uint64(in.JF) >= left {
					return nil, errno.EINVAL
				}
				valid[i+1+int(in.JT)] &= mem
				valid[i+1+int(in.JF)] &= mem
				mem = 0xffff
			default:
				return nil, errno.EINVAL
			}
			if in.Code&^0xff != 0 {
				return nil, errno.EINVAL
			}
		}
	}
	if c := insns[n-1].Code; c != retK && c != retA {
		return nil, errno.EINVAL
	}
	return &Program{insns: append([]Insn(nil), insns...)}, nil
}

// Run returns the program's verdict.
func (p *Program) Run(d *Data) uint32 {
	v, _ := p.run(d, nil)
	return v
}

// run interprets p. With touched it also reports whether anything but number
// and architecture was looked at.
func (p *Program) run(d *Data, touched *bool) (uint32, bool) {
	var a, x uint32
	var m [16]uint32
	for pc := 0; pc < len(p.insns); pc++ {
		in := &p.insns[pc]
		switch in.Code {
		case ldWAbs:
			if touched != nil && in.K >= 8 {
				*touched = true
			}
			a = d.word(in.K)
			continue
		case ldWLen:
			a = dataSize
			continue
		case ldImm:
			a = in.K
			continue
		case ldMem:
			a = m[in.K]
			continue
		case ldxLen:
			x = dataSize
			continue
		case ldxImm:
			x = in.K
			continue
		case ldxMem:
			x = m[in.K]
			continue
		case bpfST:
			m[in.K] = a
			continue
		case bpfSTX:
			m[in.K] = x
			continue
		case retK:
			return in.K, true
		case retA:
			return a, true
		case miscTAX:
			x = a
			continue
		case miscTXA:
			a = x
			continue
		case jmpJA:
			pc += int(in.K)
			continue
		}
		v := in.K
		if in.Code&8 != 0 {
			v = x
		}
		if in.Code&7 == bpfJMP {
			var yes bool
			switch in.Code & 0xf0 {
			case 0x10:
				yes = a == v
			case 0x20:
				yes = a > v
			case 0x30:
				yes = a >= v
			case 0x40:
				yes = a&v != 0
			}
			if yes {
				pc += int(in.JT)
			} else {
				pc += int(in.JF)
			}
			continue
		}
		switch in.Code & 0xf0 {
		case 0x00:
			a += v
		case 0x10:
			a -= v
		case 0x20:
			a *= v
		case 0x30:
			if v == 0 {
				return 0, true
			}
			a /= v
		case 0x40:
			a |= v
		case 0x50:
			a &= v
		case 0x60:
			a <<= v & 31
		case 0x70:
			a >>= v & 31
		case 0x80:
			a = -a
		case 0xa0:
			a ^= v
		}
	}
	return KillProcess, false
}

const cached = 512

// Filters is the chain of filters of a task, newest first. Immutable.
type Filters struct {
	prog *Program
	prev *Filters
	n    int // instructions in the chain
	// allow has a bit for each number that every program allows whatever the
	// arguments are.
	allow [cached / 64]uint64
}

// Add returns the chain f with p in front.
func (f *Filters) Add(p *Program) (*Filters, error) {
	n := len(p.insns) + 4
	if f != nil {
		n += f.n
	}
	if n > maxChain {
		return nil, errno.ENOMEM
	}
	c := &Filters{prog: p, prev: f, n: n}
	for nr := 0; nr < cached; nr++ {
		if f != nil && f.allow[nr/64]>>(nr%64)&1 == 0 {
			continue
		}
		touched := false
		d := Data{Nr: int32(nr), Arch: ArchX8664}
		if v, ok := p.run(&d, &touched); ok && !touched && v&ActionMask == Allow {
			c.allow[nr/64] |= 1 << (nr % 64)
		}
	}
	return c, nil
}

// Count is how many programs are in the chain.
func (f *Filters) Count() int {
	n := 0
	for ; f != nil; f = f.prev {
		n++
	}
	return n
}

// Contains says whether o is f or older in the chain (SECCOMP_FILTER_FLAG_TSYNC).
func (f *Filters) Contains(o *Filters) bool {
	for x := f; x != nil; x = x.prev {
		if x == o {
			return true
		}
	}
	return o == nil
}

// Program returns the i-th oldest program's instructions
// (PTRACE_SECCOMP_GET_FILTER).
func (f *Filters) Program(i int) []Insn {
	i = f.Count() - 1 - i
	for x := f; x != nil; x = x.prev {
		if i == 0 {
			return x.prog.insns
		}
		i--
	}
	return nil
}

// Allows says whether nr is allowed without looking further.
func (f *Filters) Allows(nr uint64) bool {
	return nr < cached && f.allow[nr/64]>>(nr%64)&1 != 0
}

// Run returns the most restrictive verdict; among equals the newest wins.
func (f *Filters) Run(d *Data) uint32 {
	v, _ := f.Decide(d)
	return v
}

// Decide is Run, with the program whose verdict it is (nil for Allow).
func (f *Filters) Decide(d *Data) (uint32, *Program) {
	best, prog := uint32(Allow), (*Program)(nil)
	for x := f; x != nil; x = x.prev {
		v := x.prog.Run(d)
		if int32(v&ActionMask) < int32(best&ActionMask) {
			best, prog = v, x.prog
		}
	}
	return best, prog
}

// Strict is the filter of SECCOMP_MODE_STRICT.
func Strict() *Program {
	ret := func(v uint32) Insn { return Insn{retK, 0, 0, v} }
	eq := func(nr uint32, jt uint8) Insn { return Insn{0x15, jt, 0, nr} }
	return &Program{insns: []Insn{
		{ldWAbs, 0, 0, 0},
		eq(unix.SYS_READ, 4), eq(unix.SYS_WRITE, 3), eq(unix.SYS_EXIT, 2), eq(unix.SYS_RT_SIGRETURN, 1),
		ret(KillThread), ret(Allow),
	}}
}
