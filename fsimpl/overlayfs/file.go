package overlayfs

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// Open implements vfs.Inode. Whoever may write gets the upper file; reading a
// file that is only below goes to the lower one until it is copied up.
func (i *inode) Open(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
	if i.isDir() {
		return &dirFile{i: i}, nil
	}
	if flags&unix.O_ACCMODE != unix.O_RDONLY || flags&unix.O_TRUNC != 0 {
		size := int64(-1)
		if flags&unix.O_TRUNC != 0 {
			size = 0
		}
		if err := i.copyUp(ctx, size); err != nil {
			return nil, err
		}
	}
	if u := i.up(); u != nil {
		return u.Open(ctx, d, flags)
	}
	ops, err := i.lower[0].Open(ctx, d, flags)
	if err != nil || i.fs.upper == nil || i.kind != unix.S_IFREG {
		return ops, err
	}
	return &lowerFile{FileOps: ops, i: i}, nil
}

// lowerFile is a file of a lower layer open for reading. After a copy-up it
// goes on with the upper file, as the descriptions of Linux' overlayfs do.
// Mappings made before stay with the lower file, there as here.
type lowerFile struct {
	vfs.FileOps
	i     *inode
	upper atomic.Pointer[vfs.FileOps]
	mu    sync.Mutex
}

// now returns the operations to use.
func (f *lowerFile) now(ctx kctx.Ctx) vfs.FileOps {
	if f.i.upper.Load() == nil {
		return f.FileOps
	}
	if p := f.upper.Load(); p != nil {
		return *p
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.upper.Load(); p != nil {
		return *p
	}
	ops, err := f.i.up().Open(ctx, nil, unix.O_RDONLY)
	if err != nil {
		return f.FileOps
	}
	f.upper.Store(&ops)
	return ops
}

// Read implements vfs.FileOps.
func (f *lowerFile) Read(ctx kctx.Ctx, vf *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	return f.now(ctx).Read(ctx, vf, dst, off)
}

// Write implements vfs.FileOps; it is never open for writing.
func (f *lowerFile) Write(kctx.Ctx, *vfs.File, *usermem.Buf, *int64) (int64, error) {
	return 0, errno.EBADF
}

// Seek implements vfs.FileOps.
func (f *lowerFile) Seek(ctx kctx.Ctx, vf *vfs.File, off int64, whence int) (int64, error) {
	return f.now(ctx).Seek(ctx, vf, off, whence)
}

// Mmap implements vfs.FileOps.
func (f *lowerFile) Mmap(ctx kctx.Ctx, vf *vfs.File) (memmap.Mappable, error) {
	return f.now(ctx).Mmap(ctx, vf)
}

// Sync implements vfs.FileOps.
func (f *lowerFile) Sync(ctx kctx.Ctx, vf *vfs.File, dataOnly bool) error {
	if p := f.upper.Load(); p != nil {
		return (*p).Sync(ctx, vf, dataOnly)
	}
	return nil // what never changes is safe
}

// Release implements vfs.FileOps.
func (f *lowerFile) Release(ctx kctx.Ctx, vf *vfs.File) {
	f.FileOps.Release(ctx, vf)
	if p := f.upper.Load(); p != nil {
		(*p).Release(ctx, vf)
	}
}

// HostFD returns the host descriptor of the file, if it has one (else -1).
func (f *lowerFile) HostFD() int {
	if h, ok := f.FileOps.(interface{ HostFD() int }); ok && f.i.upper.Load() == nil {
		return h.HostFD()
	}
	return -1
}

// dirFile is an open directory: a merged listing taken at its start.
type dirFile struct {
	vfs.DirFileBase
	i    *inode
	list []vfs.Dirent
	have bool
}

// Seek implements vfs.FileOps.
func (f *dirFile) Seek(ctx kctx.Ctx, vf *vfs.File, off int64, whence int) (int64, error) {
	if whence != unix.SEEK_END {
		return 0, errno.EINVAL
	}
	return off + 1<<31, nil
}

// Readdir implements vfs.FileOps.
func (f *dirFile) Readdir(ctx kctx.Ctx, vf *vfs.File, pos int64, emit func(vfs.Dirent) bool) error {
	if !f.have || pos == 0 {
		l, err := f.i.merge(ctx)
		if err != nil {
			return err
		}
		f.list, f.have = l, true
	}
	for ; pos < int64(len(f.list))+2; pos++ {
		d := vfs.Dirent{Next: pos + 1, Type: unix.DT_DIR}
		switch pos {
		case 0:
			d.Name, d.Ino = ".", f.i.ino
		case 1:
			p := f.i.parent
			if p == nil {
				p = f.i
			}
			d.Name, d.Ino = "..", p.ino
		default:
			d = f.list[pos-2]
			d.Next = pos + 1
		}
		if !emit(d) {
			return nil
		}
	}
	return nil
}

// Sync implements vfs.FileOps.
func (f *dirFile) Sync(ctx kctx.Ctx, vf *vfs.File, dataOnly bool) error { return f.i.fs.Sync(ctx) }

// readAll lists a layer's directory without "." and "..".
func readAll(ctx kctx.Ctx, d vfs.Inode) ([]vfs.Dirent, error) {
	ops, err := d.Open(ctx, nil, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	vf := new(vfs.File)
	vf.SetFlags(unix.O_NOATIME)
	defer ops.Release(ctx, vf)
	var l []vfs.Dirent
	err = ops.Readdir(ctx, vf, 0, func(e vfs.Dirent) bool {
		if e.Name != "." && e.Name != ".." {
			l = append(l, e)
		}
		return true
	})
	return l, err
}

// merge lists what directory i shows.
func (i *inode) merge(ctx kctx.Ctx) ([]vfs.Dirent, error) {
	s := i.fs
	type part struct {
		dir   vfs.Inode
		layer int
	}
	var parts []part
	if u := i.up(); u != nil {
		parts = append(parts, part{u, upperLayer})
	}
	for _, l := range i.lower {
		parts = append(parts, part{l.Inode, l.layer})
	}
	var out []vfs.Dirent
	var seen map[string]bool
	if len(parts) > 1 {
		seen = make(map[string]bool)
	}
	for n, p := range parts {
		l, err := readAll(ctx, p.dir)
		if err != nil {
			if err == errno.ENOENT {
				continue // removed
			}
			return nil, err
		}
		if out == nil {
			out = make([]vfs.Dirent, 0, len(l))
		}
		for _, e := range l {
			if seen != nil {
				if seen[e.Name] {
					continue
				}
				if n+1 < len(parts) {
					seen[e.Name] = true
				}
			}
			e.Ino = s.inoIn(p.layer, e.Ino)
			odd := e.Type == unix.DT_CHR // perhaps a whiteout
			if odd || p.layer == upperLayer && (i.impure.Load() || e.Type == unix.DT_DIR && len(i.lower) > 0) {
				c, err := p.dir.Lookup(ctx, e.Name)
				if err != nil {
					continue
				}
				if odd && isWhiteout(ctx, c) {
					c.Release()
					continue
				}
				if p.layer == upperLayer {
					e.Ino = i.entryIno(ctx, e.Name, c)
				}
				c.Release()
			}
			out = append(out, e)
		}
	}
	return out, nil
}

// entryIno is the number that stat shows for an upper entry.
func (i *inode) entryIno(ctx kctx.Ctx, name string, u vfs.Inode) uint64 {
	if len(i.lower) > 0 && isDir(u) && !i.fs.isOpaque(u) {
		if _, l, err := i.find(ctx, name, 0); err == nil {
			defer release(nil, l)
			if len(l) > 0 && isDir(l[0].Inode) {
				k := inode{fs: i.fs, lower: l}
				return k.shownIno(ctx)
			}
		}
	}
	return i.fs.upperIno(ctx, u)
}
