// Package tmpfs is the file system in memory (tmpfs(5)): directories and inodes
// are Go objects, file contents are ranges of the sandbox's memory file, so
// that they can be mapped.
//
// Lock order: Super.tree (all directories of one instance), file.dataMu (held
// over copies to and from user memory; a fault on such a copy may need node.mu
// of the same file, never dataMu), node.mu. Directory structure lives here and
// not in dentries, which are only a cache.
package tmpfs

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/vfs"
)

const pageSize = 4096

// magic is TMPFS_MAGIC of statfs(2).
const magic = 0x01021994

// Memory is where contents live; pages.Memory is one.
type Memory interface {
	memmap.File
	Allocate(n uint64) (memmap.Range, error)
}

// Type makes tmpfs instances.
type Type struct {
	sys *vfs.System
	mem Memory
	// DefaultSize is the limit in bytes of an instance without size= and
	// nr_blocks= (Linux: half of the memory); 0 is none.
	DefaultSize uint64
	name        string
	kernel      struct {
		mu sync.Mutex
		m  *vfs.Mount
	}
}

// NewType returns the type "tmpfs" for sys with contents in mem.
func NewType(sys *vfs.System, mem Memory) *Type { return &Type{sys: sys, mem: mem, name: "tmpfs"} }

// NewNamedType is NewType with another name ("devtmpfs", "ramfs").
func NewNamedType(sys *vfs.System, mem Memory, name string) *Type {
	return &Type{sys: sys, mem: mem, name: name}
}

func (t *Type) Name() string { return t.name }
func (t *Type) NoDev() bool  { return true }

// Mount makes an instance.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	s := &Super{t: t, dev: t.sys.AllocDev()}
	o := options{mode: 0o1777, size: t.DefaultSize, inodes: t.DefaultSize / pageSize, uid: uint32(ctx.Creds().FSUID), gid: uint32(ctx.Creds().FSGID)}
	if err := o.parse(ctx.Creds(), opts.Data); err != nil {
		return nil, err
	}
	s.apply(&o)
	s.shown = o.show
	s.root = s.newDir(nil, o.mode, creds.KUID(o.uid), creds.KGID(o.gid))
	s.root.parent = s.root
	return s, nil
}

// Super is one instance.
type Super struct {
	t    *Type
	dev  vfs.Dev
	root *dir

	// tree guards the directories' entries, link counts and parents.
	tree sync.RWMutex

	maxPages  atomic.Int64 // 0: no limit
	maxInodes atomic.Int64
	pages     atomic.Int64
	inodes    atomic.Int64
	nextIno   atomic.Uint64
	shownMu   sync.Mutex
	shown     string
}

func (s *Super) Type() vfs.FSType    { return s.t }
func (s *Super) Root() vfs.Inode     { s.root.refs.Add(1); return s.root }
func (s *Super) Sync(kctx.Ctx) error { return nil }
func (s *Super) Dev() vfs.Dev        { return s.dev }
func (s *Super) Volatile() bool      { return false }
func (s *Super) apply(o *options) {
	s.maxPages.Store(int64((o.size + pageSize - 1) / pageSize))
	s.maxInodes.Store(int64(o.inodes))
}
func (s *Super) Options() string {
	s.shownMu.Lock()
	defer s.shownMu.Unlock()
	return s.shown
}

// Remount changes size= and nr_inodes=.
func (s *Super) Remount(ctx kctx.Ctx, data string) error {
	o := options{size: uint64(s.maxPages.Load()) * pageSize, inodes: uint64(s.maxInodes.Load())}
	if err := o.parse(ctx.Creds(), data); err != nil {
		return err
	}
	if p := int64((o.size + pageSize - 1) / pageSize); p != 0 && p < s.pages.Load() || o.inodes != 0 && int64(o.inodes) < s.inodes.Load() {
		return errno.EINVAL
	}
	s.apply(&o)
	if o.show != "" {
		s.shownMu.Lock()
		s.shown = o.show
		s.shownMu.Unlock()
	}
	return nil
}

// Statfs is statfs(2).
func (s *Super) Statfs(kctx.Ctx) (unix.Statfs_t, error) {
	st := unix.Statfs_t{Type: magic, Bsize: pageSize, Frsize: pageSize, Namelen: 255}
	st.Fsid.Val = [2]int32{int32(s.dev.Minor), 0x7265}
	if m := s.maxPages.Load(); m > 0 {
		st.Blocks = uint64(m)
		st.Bfree = uint64(max(m-s.pages.Load(), 0))
		st.Bavail = st.Bfree
	}
	if m := s.maxInodes.Load(); m > 0 {
		st.Files = uint64(m)
		st.Ffree = uint64(max(m-s.inodes.Load(), 0))
	}
	return st, nil
}

// Release frees all contents.
func (s *Super) Release() { s.root.freeTree() }

// takePages counts n more pages; ENOSPC beyond the limit.
func (s *Super) takePages(n int64) error {
	m := s.maxPages.Load()
	if s.pages.Add(n) > m && m > 0 {
		s.pages.Add(-n)
		return errno.ENOSPC
	}
	return nil
}

// freePages is how many pages are left below the limit.
func (s *Super) freePages() int64 {
	if m := s.maxPages.Load(); m > 0 {
		return m - s.pages.Load()
	}
	// No file system is larger than this, so that a wild fallocate ends.
	return max(1<<26-s.pages.Load(), 0)
}

func (s *Super) takeInode() error {
	m := s.maxInodes.Load()
	if s.inodes.Add(1) > m && m > 0 {
		s.inodes.Add(-1)
		return errno.ENOSPC
	}
	return nil
}

// options are the mount options.
type options struct {
	size, inodes uint64
	mode         uint32
	uid, gid     uint32
	show         string
}

func (o *options) parse(cr *creds.Credentials, data string) error {
	var show []string
	for _, opt := range strings.Split(data, ",") {
		if opt == "" {
			continue
		}
		key, val, _ := strings.Cut(opt, "=")
		var err error
		switch key {
		case "size":
			o.size, err = parseSize(val)
			show = append(show, "size="+strconv.FormatUint((o.size+1023)/1024, 10)+"k")
		case "nr_blocks":
			o.size, err = parseSize(val)
			o.size *= pageSize
			show = append(show, "size="+strconv.FormatUint(o.size/1024, 10)+"k")
		case "nr_inodes":
			o.inodes, err = parseSize(val)
			show = append(show, "nr_inodes="+strconv.FormatUint(o.inodes, 10))
		case "mode":
			var m uint64
			m, err = strconv.ParseUint(val, 8, 32)
			if m&^0o7777 != 0 {
				err = errno.EINVAL
			}
			o.mode = uint32(m)
			show = append(show, "mode="+strconv.FormatUint(m, 8))
		case "uid":
			var v uint64
			v, err = strconv.ParseUint(val, 10, 32)
			k, ok := cr.UserNS.KUID(uint32(v))
			if !ok {
				err = errno.EINVAL
			}
			o.uid = uint32(k)
			show = append(show, "uid="+val)
		case "gid":
			var v uint64
			v, err = strconv.ParseUint(val, 10, 32)
			k, ok := cr.UserNS.KGID(uint32(v))
			if !ok {
				err = errno.EINVAL
			}
			o.gid = uint32(k)
			show = append(show, "gid="+val)
		case "huge", "mpol", "inode32", "inode64", "noswap", "nr_swap":
		default:
			return errno.EINVAL
		}
		if err != nil {
			return errno.EINVAL
		}
	}
	o.show = strings.Join(show, ",")
	return nil
}

// parseSize reads a number with a suffix k, m, g, t, p or %.
func parseSize(s string) (uint64, error) {
	if s == "" {
		return 0, errno.EINVAL
	}
	shift := 0
	switch s[len(s)-1] | 0x20 {
	case 'k':
		shift = 10
	case 'm':
		shift = 20
	case 'g':
		shift = 30
	case 't':
		shift = 40
	case 'p':
		shift = 50
	case '%' | 0x20:
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 8)
		if err != nil {
			return 0, errno.EINVAL
		}
		var si unix.Sysinfo_t
		if err := unix.Sysinfo(&si); err != nil {
			return 0, errno.FromHost(err)
		}
		return si.Totalram / 100 * n, nil
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n > 1<<62>>shift {
		return 0, errno.EINVAL
	}
	return n << shift, nil
}
