package loader

import (
	"crypto/rand"
	"encoding/binary"
	mrand "math/rand/v2"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
)

// Tags of the auxiliary vector (getauxval(3)).
const (
	atPhdr        = 3
	atPhent       = 4
	atPhnum       = 5
	atPagesz      = 6
	atBase        = 7
	atFlags       = 8
	atEntry       = 9
	atUID         = 11
	atEUID        = 12
	atGID         = 13
	atEGID        = 14
	atPlatform    = 15
	atHwcap       = 16
	atClktck      = 17
	atSecure      = 23
	atRandom      = 25
	atHwcap2      = 26
	atExecfn      = 31
	atSysinfoEhdr = 33
	atMinsigstksz = 51
)

// stackExtra is what the stack has below its first contents (linux:
// setup_arg_pages).
const stackExtra = 128 << 10

// hostAux returns what the CPU and the host's kernel dictate.
var hostAux = sync.OnceValue(func() map[uint64]uint64 {
	m := map[uint64]uint64{}
	v, _ := unix.Auxv()
	for _, e := range v {
		m[uint64(e[0])] = uint64(e[1])
	}
	return m
})

// Load fills the empty space m. An error leaves m unusable (the caller kills
// the process, as Linux does beyond the point of no return).
func (p *Program) Load(ctx kctx.Ctx, m *mm.Space, ids IDs) (Image, error) {
	m.SetLayout(p.args.StackLimit, !p.args.NoRandom)
	m.SetExe(ctx, p.File.Ref())
	base := uint64(0)
	if p.interp != nil {
		base = m.PIEBase()
	}
	bias, err := p.exe.place(m, ctx, base)
	if err != nil {
		return Image{}, err
	}
	if err := p.exe.mapInto(ctx, m, bias); err != nil {
		return Image{}, err
	}
	entry := p.exe.entry + bias
	info := p.exe.info(bias)

	brk := (p.exe.hi + bias + pageMask) &^ pageMask
	if p.exe.pie && p.interp == nil {
		// A dynamic linker run directly must not have the heap behind it.
		brk = m.PIEBase()
	}
	brk += m.BrkRandom()
	m.SetBrk(brk)

	st := stack{ids: ids, argv: p.Argv, envv: p.args.Envv, execFn: p.ExecFn, exec: p.exe.execStack, random: !p.args.NoRandom}
	rip := entry
	interpBase := uint64(0)
	if p.interp != nil {
		if interpBase, err = p.interp.place(m, ctx, 0); err != nil {
			return Image{}, err
		}
		if err := p.interp.mapInto(ctx, m, interpBase); err != nil {
			return Image{}, err
		}
		rip = p.interp.entry + interpBase
	}
	if rip >= m.MaxAddr() {
		return Image{}, errno.EINVAL
	}
	if p.args.VDSO != nil {
		addr, err := p.args.VDSO.mapInto(ctx, m)
		if err != nil {
			return Image{}, err
		}
		m.SetVDSO(addr)
		st.aux(atSysinfoEhdr, addr)
	}
	host := hostAux()
	if v := host[atMinsigstksz]; v != 0 {
		st.aux(atMinsigstksz, v)
	}
	phdr := uint64(0)
	if p.exe.phdrAddr != 0 {
		phdr = p.exe.phdrAddr + bias
	}
	for _, e := range [...][2]uint64{
		{atHwcap, host[atHwcap]}, {atPagesz, pageSize}, {atClktck, 100},
		{atPhdr, phdr}, {atPhent, phdrSize}, {atPhnum, p.exe.phnum},
		{atBase, interpBase}, {atFlags, 0}, {atEntry, entry},
		{atUID, uint64(ids.UID)}, {atEUID, uint64(ids.EUID)}, {atGID, uint64(ids.GID)}, {atEGID, uint64(ids.EGID)},
	} {
		st.aux(e[0], e[1])
	}
	secure := uint64(0)
	if ids.Secure {
		secure = 1
	}
	st.aux(atSecure, secure)
	rsp, err := st.build(ctx, m, &info, host[atHwcap2])
	if err != nil {
		return Image{}, err
	}
	m.SetInfo(info)
	m.MapPending(ctx)
	return Image{Rip: rip, Rsp: rsp}, nil
}

// stack builds the first contents of a program's stack (linux:
// create_elf_tables).
type stack struct {
	ids        IDs
	argv, envv []string
	execFn     string
	exec       bool
	random     bool
	auxv       []uint64
}

func (st *stack) aux(tag, v uint64) { st.auxv = append(st.auxv, tag, v) }

func (st *stack) build(ctx kctx.Ctx, m *mm.Space, info *mm.Info, hwcap2 uint64) (uint64, error) {
	top := m.StackTop()
	strings := uint64(8 + len(st.execFn) + 1)
	for _, s := range st.argv {
		strings += uint64(len(s) + 1)
	}
	for _, s := range st.envv {
		strings += uint64(len(s) + 1)
	}
	// Strings end at the top; below them a random gap, the platform name,
	// random bytes, then vectors down to the stack pointer.
	gap := uint64(0)
	if st.random {
		gap = mrand.Uint64N(8192) &^ 15
	}
	words := uint64(1 + len(st.argv) + 1 + len(st.envv) + 1 + len(st.auxv) + 2*5)
	size := strings + gap + 16 + 16 + 16 + words*8 + 64
	size = (size + pageMask) &^ pageMask
	buf := make([]byte, size)
	base := top - size

	prot := platform.Read | platform.Write
	if st.exec {
		prot |= platform.Exec
	}
	if _, err := m.MMap(ctx, mm.MMapOpts{
		Addr: base - stackExtra, Length: size + stackExtra, Prot: prot,
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE | unix.MAP_GROWSDOWN,
	}); err != nil {
		return 0, err
	}

	pos := size - 8
	push := func(s string) uint64 {
		pos -= uint64(len(s) + 1)
		copy(buf[pos:], s)
		return base + pos
	}
	execFn := push(st.execFn)
	info.EnvEnd = execFn
	envs := make([]uint64, len(st.envv))
	for i := len(st.envv) - 1; i >= 0; i-- {
		envs[i] = push(st.envv[i])
	}
	info.EnvStart = base + pos
	args := make([]uint64, len(st.argv))
	for i := len(st.argv) - 1; i >= 0; i-- {
		args[i] = push(st.argv[i])
	}
	info.ArgStart, info.ArgEnd = base+pos, info.EnvStart

	pos = (pos - gap) &^ 15
	platformName := push("x86_64")
	pos -= 16
	rand.Read(buf[pos : pos+16])
	st.aux(atRandom, base+pos)
	st.aux(atHwcap2, hwcap2)
	st.aux(atExecfn, execFn)
	st.aux(atPlatform, platformName)
	st.aux(0, 0)

	vec := make([]uint64, 0, words)
	vec = append(vec, uint64(len(args)))
	vec = append(append(vec, args...), 0)
	vec = append(append(vec, envs...), 0)
	auxAt := len(vec)
	vec = append(vec, st.auxv...)
	pos = (pos - uint64(len(vec))*8) &^ 15
	for i, w := range vec {
		binary.LittleEndian.PutUint64(buf[pos+uint64(i)*8:], w)
	}
	if _, err := m.CopyOut(base+pos, buf[pos:]); err != nil {
		return 0, errno.EFAULT
	}
	auxv := buf[pos+uint64(auxAt)*8:][:len(st.auxv)*8]
	m.SetAuxv(append([]byte(nil), auxv...))
	info.StartStack = base + pos
	return base + pos, nil
}
