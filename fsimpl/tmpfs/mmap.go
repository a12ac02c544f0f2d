package tmpfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/vfs"
)

// mapAround is how many bytes around a fault are offered for mapping.
const mapAround = 16 << 20

// faultAhead is how many bytes around a fault on a hole are filled with it.
const faultAhead = 64 << 10

func (f *file) AddMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) error {
	if writable && f.seals.Load()&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
		return errno.EPERM
	}
	f.maps.Add(m, ar, off, writable)
	return nil
}

func (f *file) RemoveMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) {
	f.maps.Remove(m, ar, off, writable)
}

// Translate fills holes that are touched, by reads too: the page then stays the
// same when it is written.
func (f *file) Translate(ctx kctx.Ctx, required, optional memmap.Range, write bool) ([]memmap.Translation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := roundUp(f.size.Load())
	required.End = min(required.End, end)
	if required.Start >= required.End {
		return nil, nil
	}
	optional.End = min(optional.End, end)
	// As much as is cheap.
	optional = optional.Intersect(memmap.Range{Start: required.Start - min(required.Start, mapAround), End: required.End + mapAround})
	fill := memmap.Range{Start: required.Start &^ (faultAhead - 1), End: (required.End + faultAhead - 1) &^ (faultAhead - 1)}.Intersect(optional)
	if f.sb.freePages() < faultAhead/pageSize || fill.Len() == 0 {
		fill = required
	}
	if err := f.fillLocked(fill.Start, fill.End); err != nil {
		if _, _, ok := f.extents.piece(required.Start); !ok {
			return nil, err
		}
	}
	var out []memmap.Translation
	mem := f.sb.t.mem
	write = f.seals.Load()&unix.F_SEAL_WRITE == 0
	f.extents.each(optional, func(e extent) {
		mem.IncRef(memmap.Range{Start: e.mem, End: e.mem + e.n})
		if k := len(out) - 1; k >= 0 && out[k].Source.End == e.off && out[k].Offset+out[k].Source.Len() == e.mem {
			out[k].Source.End = e.end()
			return
		}
		out = append(out, memmap.Translation{Source: memmap.Range{Start: e.off, End: e.end()}, File: mem, Offset: e.mem, Write: write})
	})
	return out, nil
}

// Identity for /proc/pid/maps; the path is filled in by vfs's user.
func (f *file) MappedName(ctx kctx.Ctx) memmap.Identity {
	return memmap.Identity{DevMajor: f.sb.dev.Major, DevMinor: f.sb.dev.Minor, Ino: f.ino}
}

// Seals returns the seals (fcntl(2), F_GET_SEALS).
func (f *file) Seals() uint32 { return f.seals.Load() }

// AddSeals is F_ADD_SEALS.
func (f *file) AddSeals(s uint32) error {
	const known = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE | sealExec
	if s&^uint32(known) != 0 {
		return errno.EINVAL
	}
	f.dataMu.Lock()
	defer f.dataMu.Unlock()
	old := f.seals.Load()
	if old&unix.F_SEAL_SEAL != 0 {
		return errno.EPERM
	}
	if s&unix.F_SEAL_WRITE != 0 && old&unix.F_SEAL_WRITE == 0 && f.maps.Writable() {
		return errno.EBUSY
	}
	if s&sealExec != 0 && f.mode.Load()&0o111 != 0 {
		s |= unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE
	}
	f.seals.Store(old | s)
	return nil
}

const sealExec = 0x20 // F_SEAL_EXEC

// NewMemfd makes a file for memfd_create(2): sealed with F_SEAL_SEAL unless
// sealing is allowed.
func (s *Super) NewMemfd(ctx kctx.Ctx, mode uint32, allowSealing bool) vfs.Inode {
	cr := ctx.Creds()
	s.inodes.Add(1)
	f := s.newFile(unix.S_IFREG|mode, cr.FSUID, cr.FSGID)
	if allowSealing {
		f.seals.Store(0)
	}
	return f
}

// NewMemfdFile is memfd_create(2): a file shown as "/memfd:name (deleted)".
// exec gives it mode 0777, else 0666.
func (t *Type) NewMemfdFile(ctx kctx.Ctx, name string, exec, allowSealing bool) (*vfs.File, error) {
	s, m, err := t.kernelMount(ctx)
	if err != nil {
		return nil, err
	}
	mode := uint32(0o666)
	if exec {
		mode = 0o777
	}
	i := s.NewMemfd(ctx, mode, allowSealing)
	return vfs.NewUnlinkedFile(ctx, m, "memfd:"+name, i, unix.O_RDWR|vfs.LargeFile)
}

// kernelMount returns the instance for files without names.
func (t *Type) kernelMount(ctx kctx.Ctx) (*Super, *vfs.Mount, error) {
	t.kernel.mu.Lock()
	defer t.kernel.mu.Unlock()
	if t.kernel.m == nil {
		fs, err := t.Mount(ctx, "tmpfs", vfs.MountOpts{Data: "size=0"})
		if err != nil {
			return nil, nil, err
		}
		t.kernel.m = t.sys.KernelMount(fs)
	}
	return t.kernel.m.Super().(*Super), t.kernel.m, nil
}
