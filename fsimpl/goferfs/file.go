package goferfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// file is an open regular file. It works on a donated descriptor of its inode;
// positions are always given, so the descriptor is shared by all.
type file struct {
	vfs.RegularBase
	i   *inode
	fd  int
	acc int
}

// maxIO is MAX_RW_COUNT.
const maxIO = 0x7ffff000

// Read implements vfs.FileOps.
func (f *file) Read(ctx kctx.Ctx, _ *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	n, err := dst.WithBlocks(min(dst.Len(), maxIO), true, func(b [][]byte) (int64, error) {
		n, err := hostIO(unix.SYS_PREADV2, f.fd, b, *off, 0)
		*off += n
		return n, err
	})
	return n, errno.FromHost(err)
}

// Write implements vfs.FileOps. vfs syncs for O_SYNC.
func (f *file) Write(ctx kctx.Ctx, vf *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	fl, rwf := vf.Flags(), 0
	if fl&unix.O_APPEND != 0 {
		rwf |= unix.RWF_APPEND
	}
	n, err := src.WithBlocks(min(src.Len(), maxIO), false, func(b [][]byte) (int64, error) {
		n, err := hostIO(unix.SYS_PWRITEV2, f.fd, b, *off, rwf)
		*off += n
		return n, err
	})
	if n > 0 {
		i := f.i
		i.mu.Lock()
		if fl&unix.O_APPEND != 0 || i.mode.Load()&(unix.S_ISUID|unix.S_ISGID) != 0 {
			i.refreshLocked(f.fd)
		}
		if fl&unix.O_APPEND != 0 {
			*off = int64(i.attr.size)
		}
		i.dirty = true
		i.mu.Unlock()
	}
	return n, errno.FromHost(err)
}

// Seek implements vfs.FileOps.
func (f *file) Seek(ctx kctx.Ctx, vf *vfs.File, off int64, whence int) (int64, error) {
	st, err := f.i.Stat(ctx)
	if err != nil {
		return 0, err
	}
	if whence == unix.SEEK_END {
		return vfs.SeekInData(off, whence, int64(st.Size))
	}
	n, err := unix.Seek(f.fd, off, whence)
	return n, errno.FromHost(err)
}

// Mmap implements vfs.FileOps.
func (f *file) Mmap(ctx kctx.Ctx, vf *vfs.File) (memmap.Mappable, error) {
	if err := f.i.prepareMap(f.acc == unix.O_RDWR); err != nil {
		return nil, err
	}
	return f.i, nil
}

// Sync implements vfs.FileOps.
func (f *file) Sync(ctx kctx.Ctx, vf *vfs.File, dataOnly bool) error {
	if dataOnly {
		return errno.FromHost(unix.Fdatasync(f.fd))
	}
	return errno.FromHost(unix.Fsync(f.fd))
}

// Allocate implements vfs.FileOps.
func (f *file) Allocate(ctx kctx.Ctx, vf *vfs.File, mode uint32, off, n uint64) error {
	err := unix.Fallocate(f.fd, mode, int64(off), int64(n))
	f.i.touched()
	return errno.FromHost(err)
}

// HostFD returns the donated descriptor, for copies between host files.
func (f *file) HostFD() int { return f.fd }

// Release implements vfs.FileOps.
func (f *file) Release(ctx kctx.Ctx, vf *vfs.File) { f.i.unuse() }

// dirFile is an open directory: a listing taken at its start.
type dirFile struct {
	vfs.DirFileBase
	i    *inode
	list []entry
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
		l, err := f.i.listing()
		if err != nil {
			return err
		}
		f.list, f.have = l, true
	}
	for ; pos < int64(len(f.list))+2; pos++ {
		d := vfs.Dirent{Next: pos + 1, Type: unix.DT_DIR}
		switch pos {
		case 0:
			d.Name, d.Ino = ".", f.i.ino()
		case 1:
			d.Name, d.Ino = "..", f.i.parentIno()
		default:
			e := &f.list[pos-2]
			d.Name, d.Ino, d.Type = e.name, e.ino, e.typ
		}
		if !emit(d) {
			return nil
		}
	}
	return nil
}

func (i *inode) ino() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.inoLocked()
}

func (i *inode) parentIno() uint64 {
	i.fs.mu.RLock()
	p := i.parent
	i.fs.mu.RUnlock()
	if p == nil {
		p = i
	}
	return p.ino()
}

// listing returns the directory's entries, from the cache if it has them all.
func (i *inode) listing() ([]entry, error) {
	s := i.fs
	for {
		s.mu.Lock()
		if i.gone {
			s.mu.Unlock()
			return nil, nil
		}
		if s.exclusive && i.dir.complete {
			l := i.dir.listing
			if l == nil {
				l = make([]entry, 0, len(i.dir.kids))
				for name, k := range i.dir.kids {
					k.mu.Lock()
					l = append(l, entry{name, k.inoLocked(), uint8(k.mode.Load() & unix.S_IFMT >> 12)})
					k.mu.Unlock()
				}
				i.dir.listing = l
			}
			s.mu.Unlock()
			s.ahead.from(i)
			return l, nil
		}
		room := s.nodes < nodeLimit
		s.mu.Unlock()
		if s.exclusive && s.ahead.wait() {
			continue // what was fetched ahead may be this
		}
		more := uint32(0)
		if s.exclusive && room {
			// The deeper a walk of the tree, the more of it comes at once.
			if n := s.walking.Add(1); n > walkStarts {
				more = uint32(min(128<<min(n-walkStarts, 5), wire.MaxList))
			}
		}
		l, err := i.fetch(1<<31, more)
		s.ahead.from(i)
		return l, err
	}
}

// Sync implements vfs.FileOps.
func (f *dirFile) Sync(ctx kctx.Ctx, vf *vfs.File, dataOnly bool) error { return f.i.fs.Sync(ctx) }
