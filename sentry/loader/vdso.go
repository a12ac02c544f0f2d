package loader

import (
	"bytes"
	"debug/elf"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
)

//go:generate vdso/build.sh

//go:embed vdso/vdso.so
var vdsoImage []byte

// VDSO is the vDSO's image and its parameter page, one per sandbox.
//
// Time costs the guest what it costs a host program, because the guest's vDSO
// calls the host's: a stub process has that mapped like any process, and the
// platform leaves it in a place above user memory. So no clock is calibrated
// here and nothing has to be updated.
type VDSO struct {
	mem   *pages.Memory
	param memmap.Range
	data  *mm.Fixed
	text  *mm.Fixed
}

// params is the parameter page (vdso/vdso.c).
type params struct {
	Gettime, Getcpu uint64
	Mono, Boot      int64
}

// NewVDSO makes the vDSO of a sandbox. base is where the host's vDSO is mapped
// in stub processes, 0 if it is not.
func NewVDSO(mem *pages.Memory, base uint64) (*VDSO, error) {
	n := (uint64(len(vdsoImage)) + pageMask) &^ pageMask
	r, err := mem.Allocate(pageSize + n)
	if err != nil {
		return nil, fmt.Errorf("allocating the vDSO: %w", err)
	}
	v := &VDSO{mem: mem, param: memmap.Range{Start: r.Start, End: r.Start + pageSize}}
	v.data = &mm.Fixed{Mem: mem, Range: v.param, Name: "[vvar]"}
	v.text = &mm.Fixed{Mem: mem, Range: memmap.Range{Start: r.Start + pageSize, End: r.End}, Name: "[vdso]"}
	b, err := mem.Bytes(r.Start+pageSize, n, true)
	if err != nil {
		return nil, fmt.Errorf("filling the vDSO: %w", err)
	}
	copy(b, vdsoImage)
	if base != 0 {
		if p, err := hostParams(base); err == nil {
			if err := v.put(p); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func (v *VDSO) put(p params) error {
	b, err := v.mem.Bytes(v.param.Start, pageSize, true)
	if err != nil {
		return fmt.Errorf("filling the vDSO's parameters: %w", err)
	}
	var out bytes.Buffer
	binary.Write(&out, binary.LittleEndian, p)
	copy(b, out.Bytes())
	return nil
}

// SetOffsets says how far the sandbox's CLOCK_MONOTONIC and CLOCK_BOOTTIME are
// ahead of the host's (a restored sandbox). No user code may run meanwhile.
func (v *VDSO) SetOffsets(monoNs, bootNs int64) error {
	b, err := v.mem.Bytes(v.param.Start, pageSize, true)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(b[16:], uint64(monoNs))
	binary.LittleEndian.PutUint64(b[24:], uint64(bootNs))
	return nil
}

// hostParams finds the functions of the host's vDSO, whose image in this
// process is the same as in any other.
func hostParams(base uint64) (p params, err error) {
	image := hostVDSO()
	if image == nil {
		return p, errors.New("the host has no vDSO")
	}
	f, err := elf.NewFile(bytes.NewReader(image))
	if err != nil {
		return p, fmt.Errorf("reading the host's vDSO: %w", err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return p, fmt.Errorf("reading the host's vDSO: %w", err)
	}
	for _, s := range syms {
		if s.Value == 0 || s.Value >= uint64(len(image)) {
			continue
		}
		switch s.Name {
		case "__vdso_clock_gettime":
			p.Gettime = base + s.Value
		case "__vdso_getcpu":
			p.Getcpu = base + s.Value
		}
	}
	return p, nil
}

func (v *VDSO) mapInto(ctx kctx.Ctx, m *mm.Space) (uint64, error) {
	n := v.text.Range.Len()
	addr, err := m.MMap(ctx, mm.MMapOpts{
		Length: pageSize + n, Prot: platform.Read, MaxProt: platform.Read, Flags: unix.MAP_PRIVATE,
		Mappable: v.data, Name: "[vvar]", Special: true,
	})
	if err != nil {
		return 0, err
	}
	const rx = platform.Read | platform.Exec
	return m.MMap(ctx, mm.MMapOpts{
		Addr: addr + pageSize, Length: n, Prot: rx, MaxProt: rx, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED,
		Mappable: v.text, Name: "[vdso]", Special: true,
	})
}
