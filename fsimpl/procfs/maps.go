package procfs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

func perms(a *mm.VMA) string {
	b := []byte("---p")
	if a.Prot&platform.Read != 0 {
		b[0] = 'r'
	}
	if a.Prot&platform.Write != 0 {
		b[1] = 'w'
	}
	if a.Prot&platform.Exec != 0 {
		b[2] = 'x'
	}
	if a.Shared {
		b[3] = 's'
	}
	return string(b)
}

// mapWriter writes lines of maps (proc_pid_maps(5)). Neighbours are often
// parts of one file, whose name and numbers it remembers.
type mapWriter struct {
	ctx  kctx.Ctx
	last exeFile
	id   memmap.Identity
}

// identity is what stat(2) of the mapped path shows: an overlay's own numbers,
// not those of the layer that is mapped.
func (m *mapWriter) identity(a *mm.VMA) memmap.Identity {
	f, ok := a.File.(exeFile)
	if !ok {
		return a.ID
	}
	if f != m.last {
		m.last, m.id = f, a.ID
		if st, err := f.Stat(m.ctx); err == nil {
			m.id.DevMajor, m.id.DevMinor, m.id.Ino = st.Dev.Major, st.Dev.Minor, st.Ino
		}
		m.id.Path = pathName(m.ctx, f.Path())
	}
	return m.id
}

func (m *mapWriter) line(w *bytes.Buffer, a *mm.VMA) {
	start := w.Len()
	id := m.identity(a)
	fmt.Fprintf(w, "%08x-%08x %s %08x %02x:%02x %d ", a.Start, a.End, perms(a), a.Offset, id.DevMajor, id.DevMinor, id.Ino)
	name := a.Name
	if id.Path != "" {
		name = id.Path
	}
	if name != "" {
		for w.Len()-start < 73 {
			w.WriteByte(' ')
		}
		w.WriteString(strings.ReplaceAll(name, "\n", "\\012"))
	}
	w.WriteByte('\n')
}

func maps(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	return v.withMM(ctx, func(s *mm.Space) error {
		m := mapWriter{ctx: ctx}
		s.ForEachVMA(ctx, false, func(a mm.VMA) bool {
			m.line(w, &a)
			return true
		})
		return nil
	})
}

// usage is what smaps counts, in bytes.
type usage struct{ rss, pss, anon, file, shared, private, locked uint64 }

func (u *usage) add(o usage) {
	u.rss += o.rss
	u.pss += o.pss
	u.anon += o.anon
	u.file += o.file
	u.shared += o.shared
	u.private += o.private
	u.locked += o.locked
}

func usageOf(a *mm.VMA) usage {
	u := usage{anon: a.Private + a.SharedByFork, file: a.SharedFile}
	u.rss = u.anon + u.file
	u.shared, u.private = a.SharedByFork, a.Private
	if a.Shared {
		u.shared += a.SharedFile
	} else {
		u.private += a.SharedFile
	}
	u.pss = u.private + u.shared/2
	if a.Locked {
		u.locked = u.rss
	}
	return u
}

func (u *usage) write(w *bytes.Buffer, rollup bool) {
	kb := func(name string, n uint64) { fmt.Fprintf(w, "%-15s %8d kB\n", name+":", n>>10) }
	kb("Rss", u.rss)
	kb("Pss", u.pss)
	kb("Pss_Dirty", u.anon)
	if rollup {
		kb("Pss_Anon", u.anon)
		kb("Pss_File", u.pss-min(u.pss, u.anon))
		kb("Pss_Shmem", 0)
	}
	kb("Shared_Clean", u.shared)
	kb("Shared_Dirty", 0)
	kb("Private_Clean", u.private-min(u.private, u.anon))
	kb("Private_Dirty", min(u.private, u.anon))
	kb("Referenced", u.rss)
	kb("Anonymous", u.anon)
	for _, n := range []string{"KSM", "LazyFree", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap", "SwapPss"} {
		kb(n, 0)
	}
	kb("Locked", u.locked)
}

func vmFlags(a *mm.VMA) string {
	var f []string
	on := func(c bool, s string) {
		if c {
			f = append(f, s)
		}
	}
	on(a.Prot&platform.Read != 0, "rd")
	on(a.Prot&platform.Write != 0, "wr")
	on(a.Prot&platform.Exec != 0, "ex")
	on(a.Shared, "sh")
	on(a.MaxProt&platform.Read != 0, "mr")
	on(a.MaxProt&platform.Write != 0, "mw")
	on(a.MaxProt&platform.Exec != 0, "me")
	on(a.Shared, "ms")
	on(a.GrowsDown, "gd")
	on(a.Locked, "lo")
	on(a.DontFork, "dc")
	on(a.DontDump, "dd")
	on(a.WipeOnFork, "wf")
	on(a.NoReserve, "nr")
	on(a.Prot&platform.Write != 0 && !a.Shared, "ac")
	return strings.Join(f, " ")
}

func smaps(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	return v.withMM(ctx, func(s *mm.Space) error {
		m := mapWriter{ctx: ctx}
		s.ForEachVMA(ctx, true, func(a mm.VMA) bool {
			m.line(w, &a)
			kb := func(name string, n uint64) { fmt.Fprintf(w, "%-15s %8d kB\n", name+":", n>>10) }
			kb("Size", a.End-a.Start)
			kb("KernelPageSize", 4096)
			kb("MMUPageSize", 4096)
			u := usageOf(&a)
			u.write(w, false)
			fmt.Fprintf(w, "THPeligible:           0\nVmFlags: %s \n", vmFlags(&a))
			return true
		})
		return nil
	})
}

func smapsRollup(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	return v.withMM(ctx, func(s *mm.Space) error {
		var u usage
		first, last := uint64(0), uint64(0)
		s.ForEachVMA(ctx, true, func(a mm.VMA) bool {
			if first == 0 {
				first = a.Start
			}
			last = a.End
			u.add(usageOf(&a))
			return true
		})
		line := fmt.Sprintf("%08x-%08x ---p 00000000 00:00 0 ", first, last)
		fmt.Fprintf(w, "%-73s[rollup]\n", line)
		u.write(w, true)
		return nil
	})
}

func numaMaps(v *view, ctx kctx.Ctx, w *bytes.Buffer) error {
	return v.withMM(ctx, func(s *mm.Space) error {
		s.ForEachVMA(ctx, true, func(a mm.VMA) bool {
			fmt.Fprintf(w, "%08x default", a.Start)
			switch {
			case a.Name == "[heap]":
				w.WriteString(" heap")
			case a.Name == "[stack]":
				w.WriteString(" stack")
			case a.ID.Path != "":
				fmt.Fprintf(w, " file=%s", a.ID.Path)
			}
			u := usageOf(&a)
			if n := u.anon >> 12; n > 0 {
				fmt.Fprintf(w, " anon=%d dirty=%d", n, n)
			}
			if n := u.file >> 12; n > 0 {
				fmt.Fprintf(w, " mapped=%d", n)
			}
			if n := u.rss >> 12; n > 0 {
				fmt.Fprintf(w, " N0=%d kernelpagesize_kB=4", n)
			}
			w.WriteByte('\n')
			return true
		})
		return nil
	})
}

// memFile is /proc/pid/mem: the task's memory at its addresses, past
// protections like a debugger.
func memFile(v *view, i *kernfs.Inode) vfs.Inode {
	i.OpenOps = func(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
		s := v.t.MM()
		if s == nil {
			return nil, errno.EACCES
		}
		return &memOps{s: s}, nil
	}
	return i
}

type memOps struct {
	vfs.RegularBase
	s *mm.Space
}

// FileOps of /proc/pid/mem hold the space, but not its memory: once the last
// task is gone reads give 0.

func (m *memOps) move(ctx kctx.Ctx, b *usermem.Buf, off *int64, fn func(io usermem.IO, addr uint64, p []byte) (int, error), write bool) (int64, error) {
	if !m.s.IncUsers() {
		return 0, nil
	}
	defer m.s.DecUsers(ctx)
	io := m.s.Forced(ctx)
	var done int64
	var page [4096]byte
	for b.Len() > 0 {
		addr := uint64(*off)
		p := page[:min(b.Len(), int64(4096-addr%4096))]
		if write {
			n, err := b.Peek(p)
			if err != nil {
				return done, err
			}
			p = p[:n]
		}
		n, err := fn(io, addr, p)
		if n > 0 {
			if write {
				b.Skip(int64(n))
			} else if _, perr := b.Put(p[:n]); perr != nil {
				if done > 0 {
					return done, nil
				}
				return 0, perr
			}
			done += int64(n)
			*off += int64(n)
		}
		if err != nil || n < len(p) {
			if done > 0 {
				return done, nil
			}
			return 0, errno.EIO
		}
	}
	return done, nil
}

// Read implements vfs.FileOps.
func (m *memOps) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	return m.move(ctx, dst, off, func(io usermem.IO, addr uint64, p []byte) (int, error) { return io.CopyIn(addr, p) }, false)
}

// Write implements vfs.FileOps.
func (m *memOps) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	return m.move(ctx, src, off, func(io usermem.IO, addr uint64, p []byte) (int, error) { return io.CopyOut(addr, p) }, true)
}

// Seek implements vfs.FileOps.
func (m *memOps) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) {
	return 0, errno.EINVAL
}

// pagemapFile is /proc/pid/pagemap: which pages are mapped, without numbers
// of page frames (as Linux shows it to the unprivileged).
func pagemapFile(v *view, i *kernfs.Inode) vfs.Inode {
	i.OpenOps = func(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
		s := v.t.MM()
		if s == nil {
			return nil, errno.ESRCH
		}
		return &pagemapOps{s: s}, nil
	}
	return i
}

type pagemapOps struct {
	vfs.RegularBase
	s *mm.Space
}

// Read implements vfs.FileOps.
func (m *pagemapOps) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	if *off%8 != 0 || dst.Len()%8 != 0 {
		return 0, errno.EINVAL
	}
	if !m.s.IncUsers() {
		return 0, nil
	}
	defer m.s.DecUsers(ctx)
	first := uint64(*off) / 8
	end := m.s.MaxAddr() >> 12
	if first >= end {
		return 0, nil
	}
	n := min(uint64(dst.Len())/8, end-first, 65536)
	out := make([]uint64, n)
	for k := range out {
		vec, err := m.s.Mincore(ctx, (first+uint64(k))<<12, 4096)
		if err == nil && len(vec) == 1 && vec[0]&1 != 0 {
			out[k] = 1 << 63
		}
	}
	var done int64
	for k := range out {
		if _, err := dst.Put(usermem.AsBytes(&out[k])); err != nil {
			return done, err
		}
		done += 8
	}
	*off += done
	return done, nil
}

// mapFilesDir is /proc/pid/map_files: a link for each mapped file.
func mapFilesDir(v *view, i *kernfs.Inode) vfs.Inode {
	i.Check = v.inspect
	i.Dyn = &mapFiles{v}
	return i
}

type mapFiles struct{ v *view }

func (m *mapFiles) each(ctx kctx.Ctx, fn func(a *mm.VMA) bool) {
	m.v.withMM(ctx, func(s *mm.Space) error {
		s.ForEachVMA(ctx, false, func(a mm.VMA) bool {
			if a.File == nil {
				return true
			}
			return fn(&a)
		})
		return nil
	})
}

// Lookup implements kernfs.Dynamic.
func (m *mapFiles) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	lo, hi, ok := strings.Cut(name, "-")
	start, err1 := strconv.ParseUint(lo, 16, 64)
	end, err2 := strconv.ParseUint(hi, 16, 64)
	if !ok || err1 != nil || err2 != nil {
		return nil, errno.ENOENT
	}
	get := func(ctx kctx.Ctx) (vfs.Path, error) {
		var p vfs.Path
		m.each(ctx, func(a *mm.VMA) bool {
			if a.Start == start && a.End == end {
				if f, ok := a.File.(exeFile); ok {
					p = f.Path().IncRef()
				}
				return false
			}
			return a.Start < start
		})
		if !p.Ok() {
			return p, errno.ENOENT
		}
		return p, nil
	}
	p, err := get(ctx)
	if err != nil {
		return nil, err
	}
	p.DecRef()
	v := m.v
	l := &kernfs.Inode{FS: v.p.FS, Ino: v.p.NextIno(), Mode: lnk | 0o400, Owner: v.owner, Alive: v.alive}
	return pathLink(v, l, func() (vfs.Path, error) { return get(kctx.Background(v.t.Creds())) }), nil
}

// List implements kernfs.Dynamic.
func (m *mapFiles) List(ctx kctx.Ctx, from int64, emit func(kernfs.Entry) bool) error {
	var l []kernfs.Entry
	m.each(ctx, func(a *mm.VMA) bool {
		if k := int64(a.Start >> 12); k >= from {
			l = append(l, kernfs.Entry{Key: k, Name: fmt.Sprintf("%x-%x", a.Start, a.End), Ino: 1, Type: unix.DT_LNK})
		}
		return true
	})
	for _, e := range l {
		if !emit(e) {
			break
		}
	}
	return nil
}
