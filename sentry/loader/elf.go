package loader

import (
	"bytes"
	"debug/elf"
	"encoding/binary"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
)

const (
	ehdrSize = 64
	phdrSize = 56
	// maxPhdrs keeps the program headers within one page group (linux:
	// load_elf_phdrs allows 64 KiB).
	maxPhdrs = 65536 / phdrSize
)

// segment is a PT_LOAD entry, checked.
type segment struct {
	vaddr, filesz, memsz, off uint64
	prot                      platform.Prot
}

func (s *segment) end() uint64 { return s.vaddr + s.memsz }

// elfFile is an ELF file's headers.
type elfFile struct {
	file      File
	pie       bool
	entry     uint64
	phoff     uint64
	phnum     uint64
	phdrAddr  uint64 // virtual address of the program headers
	segs      []segment
	interp    string
	execStack bool
	align     uint64
	lo, hi    uint64 // range of virtual addresses, in pages
}

// parseELF checks the headers of an ELF file. read fills p from off and fails if the
// file is too short. It never panics, whatever the file holds.
func parseELF(read func(p []byte, off uint64) error) (*elfFile, error) {
	var h [ehdrSize]byte
	if read(h[:], 0) != nil || !bytes.Equal(h[:4], []byte(elf.ELFMAG)) {
		return nil, errno.ENOEXEC
	}
	le := binary.LittleEndian
	typ, machine := elf.Type(le.Uint16(h[16:])), elf.Machine(le.Uint16(h[18:]))
	if h[4] != byte(elf.ELFCLASS64) || h[5] != byte(elf.ELFDATA2LSB) || machine != elf.EM_X86_64 ||
		typ != elf.ET_EXEC && typ != elf.ET_DYN {
		return nil, errno.ENOEXEC
	}
	b := &elfFile{pie: typ == elf.ET_DYN, entry: le.Uint64(h[24:]), phoff: le.Uint64(h[32:]), phnum: uint64(le.Uint16(h[56:])), align: pageSize}
	if le.Uint16(h[54:]) != phdrSize || b.phnum == 0 || b.phnum > maxPhdrs || b.phoff > 1<<62 {
		return nil, errno.ENOEXEC
	}
	ph := make([]byte, b.phnum*phdrSize)
	if read(ph, b.phoff) != nil {
		return nil, errno.ENOEXEC
	}
	if err := b.parsePhdrs(ph, read); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *elfFile) parsePhdrs(ph []byte, read func(p []byte, off uint64) error) error {
	le := binary.LittleEndian
	for ; len(ph) > 0; ph = ph[phdrSize:] {
		typ, flags := elf.ProgType(le.Uint32(ph)), elf.ProgFlag(le.Uint32(ph[4:]))
		off, vaddr := le.Uint64(ph[8:]), le.Uint64(ph[16:])
		filesz, memsz, align := le.Uint64(ph[32:]), le.Uint64(ph[40:]), le.Uint64(ph[48:])
		switch typ {
		case elf.PT_INTERP:
			if b.interp != "" {
				continue
			}
			if filesz < 2 || filesz > pathMax {
				return errno.ENOEXEC
			}
			name := make([]byte, filesz)
			if read(name, off) != nil {
				return errno.EIO
			}
			if name[filesz-1] != 0 {
				return errno.ENOEXEC
			}
			b.interp = string(name[:bytes.IndexByte(name, 0)])
			if b.interp == "" {
				return errno.ENOENT
			}
		case elf.PT_GNU_STACK:
			b.execStack = flags&elf.PF_X != 0
		case elf.PT_LOAD:
			if memsz == 0 {
				continue
			}
			const top = 1 << 47
			if filesz > memsz || vaddr >= top || memsz > top-vaddr || off > 1<<62 || vaddr&pageMask != off&pageMask && filesz > 0 {
				return errno.EINVAL
			}
			if n := len(b.segs); n > 0 && vaddr&^pageMask < (b.segs[n-1].end()-1)&^pageMask {
				return errno.EINVAL
			}
			s := segment{vaddr: vaddr, filesz: filesz, memsz: memsz, off: off}
			if flags&elf.PF_R != 0 {
				s.prot |= platform.Read
			}
			if flags&elf.PF_W != 0 {
				s.prot |= platform.Write
			}
			if flags&elf.PF_X != 0 {
				s.prot |= platform.Exec
			}
			if align > b.align && align&(align-1) == 0 && align <= 1<<30 {
				b.align = align
			}
			if b.phoff >= off && b.phoff-off < filesz {
				b.phdrAddr = b.phoff - off + vaddr
			}
			b.segs = append(b.segs, s)
		}
	}
	if len(b.segs) == 0 {
		return errno.ENOEXEC
	}
	b.lo = b.segs[0].vaddr &^ pageMask
	b.hi = (b.segs[len(b.segs)-1].end() + pageMask) &^ pageMask
	return nil
}

func readELF(ctx kctx.Ctx, f File) (*elfFile, error) {
	b, err := parseELF(func(p []byte, off uint64) error {
		for len(p) > 0 {
			n, err := f.ReadAt(ctx, p, int64(off))
			if err != nil {
				return err
			}
			if n == 0 {
				return errno.EIO
			}
			p = p[n:]
			off += uint64(n)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.file = f
	return b, nil
}

// place decides where b goes: its bias.
func (b *elfFile) place(m *mm.Space, ctx kctx.Ctx, fixed uint64) (bias uint64, err error) {
	if !b.pie {
		return 0, nil
	}
	if fixed != 0 {
		return (fixed &^ (b.align - 1)) - b.lo, nil
	}
	// Reserve the whole range to learn a free place, with room to align.
	n := b.hi - b.lo
	room := n
	if b.align > pageSize {
		room += b.align
	}
	addr, err := m.MMap(ctx, mm.MMapOpts{Length: room, Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE})
	if err != nil {
		return 0, err
	}
	if err := m.Munmap(ctx, addr, room); err != nil {
		return 0, err
	}
	start := (addr + b.align - 1) &^ (b.align - 1)
	return start - b.lo, nil
}

// mapInto maps b's segments at bias.
func (b *elfFile) mapInto(ctx kctx.Ctx, m *mm.Space, bias uint64) error {
	mappable, err := b.file.Mappable(ctx)
	if err != nil {
		return err
	}
	if b.lo+bias < 65536 || b.hi+bias < b.hi || b.hi+bias > m.MaxAddr() {
		return errno.ENOMEM
	}
	for i := range b.segs {
		if err := b.mapSegment(ctx, m, mappable, &b.segs[i], bias); err != nil {
			return err
		}
	}
	return nil
}

func (b *elfFile) mapSegment(ctx kctx.Ctx, m *mm.Space, mappable memmap.Mappable, s *segment, bias uint64) error {
	start := (s.vaddr + bias) &^ pageMask
	fileEnd := s.vaddr + bias + s.filesz
	end := (s.vaddr + bias + s.memsz + pageMask) &^ pageMask
	mapEnd := start
	if s.filesz > 0 {
		mapEnd = (fileEnd + pageMask) &^ pageMask
		if _, err := m.MMap(ctx, mm.MMapOpts{
			Addr: start, Length: mapEnd - start, Prot: s.prot, Mappable: mappable, File: b.file.Ref(),
			Offset: s.off &^ pageMask, Flags: unix.MAP_PRIVATE | unix.MAP_FIXED,
		}); err != nil {
			return err
		}
	}
	if s.memsz == s.filesz {
		return nil
	}
	if mapEnd > fileEnd && s.filesz > 0 && s.prot&platform.Write != 0 {
		// The rest of the last page of the file is zero, not file.
		if _, err := m.ZeroOut(fileEnd, mapEnd-fileEnd); err != nil {
			return err
		}
	}
	if end > mapEnd {
		if _, err := m.MMap(ctx, mm.MMapOpts{
			Addr: mapEnd, Length: end - mapEnd, Prot: s.prot,
			Flags: unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS,
		}); err != nil {
			return err
		}
	}
	return nil
}

// info fills what /proc/pid/stat shows of the program.
func (b *elfFile) info(bias uint64) (i mm.Info) {
	first := true
	for _, s := range b.segs {
		lo, fileEnd := s.vaddr+bias, s.vaddr+bias+s.filesz
		if s.prot&platform.Exec != 0 {
			if i.StartCode == 0 || lo < i.StartCode {
				i.StartCode = lo
			}
			i.EndCode = max(i.EndCode, fileEnd)
		}
		if first || lo > i.StartData {
			i.StartData = lo
		}
		i.EndData = max(i.EndData, fileEnd)
		first = false
	}
	return i
}
