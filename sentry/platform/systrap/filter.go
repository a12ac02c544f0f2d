package systrap

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

//go:generate stub/build.sh

//go:embed stub.elf
var stubELF []byte

// test says what one argument of a permitted call must look like.
type test struct {
	arg  int
	kind testKind
	val  uint32
}

type testKind int

const (
	// equal compares the low word, which is all that an int argument has.
	equal testKind = iota
	// within wants the high word 0 and no bit but those of val in the low one.
	within
	// rangeBelow wants [arg, arg+next argument) below vdsoBase. High words
	// only: their sum may be at most that of maxAddr, so that the carries end
	// in the gap between maxAddr and vdsoBase.
	rangeBelow
)

// rule permits one call at one instruction of the stub.
type rule struct {
	site  string
	nr    uint32
	tests []test
}

// rules is everything a thread with user code may ask of the host, most
// frequent first. User code can jump to each of these instructions with
// registers of its choice, so each must be harmless with any arguments that
// pass:
//   - it has no descriptors but its own socket, outside gate.S;
//   - unmapping, or losing access, harms only itself;
//   - mprotect never gives write access: a mapping's protection may be what
//     keeps a page copy-on-write.
var rules = []rule{
	{"site_sigreturn", unix.SYS_RT_SIGRETURN, nil},
	{"site_futex", unix.SYS_FUTEX, []test{{1, within, 1}, {3, equal, 0}}},
	{"site_close_sig", unix.SYS_CLOSE_RANGE, []test{{0, equal, 1}, {1, equal, 0xffffffff}, {2, equal, 0}}},
	{"site_close_user", unix.SYS_CLOSE_RANGE, []test{{0, equal, 1}, {1, equal, 0xffffffff}, {2, equal, 0}}},
	{"site_recv", unix.SYS_RECVMSG, []test{{0, equal, 0}, {2, equal, unix.MSG_DONTWAIT | unix.MSG_TRUNC}}},
	{"site_mmap_user", unix.SYS_MMAP, []test{{0, rangeBelow, maxAddr >> 32}, {2, within, 7},
		{3, within, unix.MAP_SHARED | unix.MAP_FIXED | unix.MAP_POPULATE}}},
	{"site_munmap_user", unix.SYS_MUNMAP, []test{{0, rangeBelow, maxAddr >> 32}}},
	{"site_mprotect_user", unix.SYS_MPROTECT, []test{{0, rangeBelow, maxAddr >> 32}, {2, within, unix.PROT_READ | unix.PROT_EXEC}}},
	{"site_exit", unix.SYS_EXIT, nil},
}

// Offsets in struct seccomp_data; arguments are 8 bytes from dataArgs.
const (
	dataNr   = 0
	dataArch = 4
	dataIP   = 8
	dataArgs = 16
)

// fastEntry is the address of the stub's entry for patched calls.
var fastEntry uint64

// symbols returns the stub's symbols.
func symbols(stub []byte) (map[string]uint64, error) {
	f, err := elf.NewFile(bytes.NewReader(stub))
	if err != nil {
		return nil, fmt.Errorf("reading the stub: %w", err)
	}
	syms, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("reading the stub's symbols: %w", err)
	}
	addr := map[string]uint64{}
	for _, s := range syms {
		addr[s.Name] = s.Value
	}
	return addr, nil
}

// buildFilters compiles rules for the stub: base is inherited by everything
// from the zygote, thread comes on top for threads with user code. Anything
// that is not at one of the stub's instructions traps; a permitted instruction
// with refused arguments kills, so that SIGSYS never comes while descriptors
// are open. The zygote's and the leader's own code, between priv_start and
// priv_end, may do anything; in a thread with user code it kills.
func buildFilters(stub []byte) (base, thread []unix.SockFilter, err error) {
	addr, err := symbols(stub)
	if err != nil {
		return nil, nil, err
	}
	if fastEntry = addr["fast_entry"]; fastEntry == 0 {
		return nil, nil, fmt.Errorf("stub has no symbol fast_entry")
	}

	const (
		ld  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jeq = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jgt = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
		set = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret = unix.BPF_RET | unix.BPF_K
		tax = unix.BPF_MISC | unix.BPF_TAX
		add = unix.BPF_ALU | unix.BPF_ADD | unix.BPF_X
	)
	kill := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS}
	trap := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_TRAP}
	allow := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	if addr["priv_start"] == 0 || addr["priv_end"] <= addr["priv_start"] {
		return nil, nil, fmt.Errorf("stub has no range of privileged text")
	}
	prog := []unix.SockFilter{
		{Code: ld, K: dataArch},
		{Code: jeq, Jt: 1, K: unix.AUDIT_ARCH_X86_64},
		trap,
		{Code: ld, K: dataIP + 4},
		{Code: jeq, Jt: 1, K: stubBase >> 32},
		trap,
		{Code: ld, K: dataIP},
		// The address in seccomp_data is that behind the instruction.
		{Code: jgt, Jf: 2, K: uint32(addr["priv_start"])},
		{Code: jgt, Jt: 1, K: uint32(addr["priv_end"])},
		allow,
	}
	var blocks [][]unix.SockFilter
	for _, r := range rules {
		if addr[r.site] == 0 {
			return nil, nil, fmt.Errorf("stub has no symbol %s", r.site)
		}
		// must adds a comparison, and the verdict when it does not hold.
		var b []unix.SockFilter
		must := func(code uint16, k uint32, want bool) {
			j := unix.SockFilter{Code: code, K: k}
			if want {
				j.Jt = 1
			} else {
				j.Jf = 1
			}
			b = append(b, j, kill)
		}
		load := func(off int) { b = append(b, unix.SockFilter{Code: ld, K: uint32(off)}) }
		load(dataNr)
		must(jeq, r.nr, true)
		for _, t := range r.tests {
			lo := dataArgs + 8*t.arg
			switch t.kind {
			case equal:
				load(lo)
				must(jeq, t.val, true)
			case within:
				load(lo)
				must(set, ^t.val, false)
				load(lo + 4)
				must(jeq, 0, true)
			case rangeBelow:
				load(lo + 4)
				must(jgt, t.val, false)
				b = append(b, unix.SockFilter{Code: tax})
				load(lo + 12)
				must(jgt, t.val, false)
				b = append(b, unix.SockFilter{Code: add})
				must(jgt, t.val, false)
			}
		}
		blocks = append(blocks, append(b, allow))
	}
	// One comparison per site, then the blocks. A comparison is two
	// instructions because a conditional jump reaches only 255 ahead.
	at := len(prog) + 2*len(rules) + 1
	for i, r := range rules {
		skip := at - (len(prog) + 2)
		prog = append(prog,
			unix.SockFilter{Code: jeq, Jf: 1, K: uint32(addr[r.site]) + 2},
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(skip)})
		at += len(blocks[i])
	}
	prog = append(prog, trap)
	for _, b := range blocks {
		prog = append(prog, b...)
	}
	thread = []unix.SockFilter{
		{Code: ld, K: dataIP + 4},
		{Code: jeq, Jf: 3, K: stubBase >> 32},
		{Code: ld, K: dataIP},
		{Code: jgt, Jf: 1, K: uint32(addr["priv_start"])},
		{Code: jgt, Jf: 1, K: uint32(addr["priv_end"])},
		allow,
		kill,
	}
	return prog, thread, nil
}

// confPage is the page at confBase: a struct sock_fprog for each filter, and
// the filters.
func confPage(filters ...[]unix.SockFilter) []byte {
	le := binary.LittleEndian
	page := make([]byte, 16*len(filters), pageSize)
	for i, prog := range filters {
		le.PutUint16(page[16*i:], uint16(len(prog)))
		le.PutUint64(page[16*i+8:], confBase+uint64(len(page)))
		for _, f := range prog {
			page = le.AppendUint16(page, f.Code)
			page = append(page, f.Jt, f.Jf)
			page = le.AppendUint32(page, f.K)
		}
	}
	return page
}
