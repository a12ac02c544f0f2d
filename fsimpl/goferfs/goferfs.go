// Package goferfs is the file system of files that a gofer serves.
//
// A Super is one connection (gofer/wire): calls go over the lane, one message
// each; data never does, since an open brings a host descriptor that reads,
// writes and mappings use directly. Inodes form a tree of their own below the
// vfs dentries, because a call names a file by its path: an inode knows its
// parent and name, and a rename moves it.
//
// With cache=exclusive nobody else changes the tree: attributes, listings and
// absent names are kept, and whole directories are fetched ahead, so that most
// lookups and stats need no message. With cache=remote_revalidating every
// lookup asks (Revalidate), and an open file's attributes come from its
// descriptor. With cache=none the same holds.
//
// Lock order: Super.mu (the tree), then inode.mu (attributes, descriptors).
// Neither is held across a call.
package goferfs

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// Conn is what MountOpts.Internal carries: the sockets of one connection.
// Mount takes them over.
type Conn struct {
	// RFD and WFD are the 9P socket (they may be the same, or -1).
	RFD, WFD int
	// DonationFD is the lane, a SOCK_SEQPACKET socket.
	DonationFD int
	// Cache is "exclusive", "remote_revalidating" or "none".
	Cache string
	// OnDeath is called once if the gofer goes away.
	OnDeath func()
	// RootPath is where the tree lies on the host, if that is shown.
	RootPath string
}

// Type is the "9p" file system type.
type Type struct{ sys *vfs.System }

// New returns the type; mounts get their device numbers from sys.
func New(sys *vfs.System) *Type { return &Type{sys} }

// Name implements vfs.FSType.
func (*Type) Name() string { return "9p" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

// Mount implements vfs.FSType. User code cannot mount it: only boot has
// descriptors to give.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	c, ok := opts.Internal.(Conn)
	if !ok {
		return nil, errno.EINVAL
	}
	s := &Super{typ: t, lane: wire.NewClient(c.DonationFD), dev: t.sys.AllocDev(), readOnly: opts.ReadOnly,
		byID: make(map[fileID]*inode), cache: c.Cache, rootPath: c.RootPath}
	switch c.Cache {
	case "", "exclusive":
		s.exclusive, s.cache = true, "exclusive"
	case "remote_revalidating", "none":
	default:
		return nil, errno.EINVAL
	}
	s.ahead.fs = s
	s.lane.OnDeath = c.OnDeath
	s.rfd, s.wfd = c.RFD, c.WFD
	d, _, err := s.lane.Call(wire.NewRequest(wire.OpStat, ""), 0)
	var a wire.Attr
	if d.Attr(&a); err == nil && !d.End() {
		err = errno.EIO
	}
	if err != nil {
		s.Release()
		return nil, err
	}
	s.rootDev = fileID{a.DevMajor, a.DevMinor, 0}
	s.mu.Lock()
	s.root = s.newInodeLocked(nil, "", &a)
	s.root.refs = 1
	s.mu.Unlock()
	supers.Store(s, nil)
	return s, nil
}

// Super is one mounted connection.
type Super struct {
	typ       *Type
	lane      *wire.Client
	rfd, wfd  int // the 9P socket until it is used, or -1
	p9mu      sync.Mutex
	p9        *p9.Client
	p9root    p9.File
	dev       vfs.Dev
	rootDev   fileID
	root      *inode
	readOnly  bool
	exclusive bool
	cache     string
	rootPath  string

	// changes counts changes of names: what a listing says is kept only if
	// nothing changed while it was under way.
	changes atomic.Uint64
	// walking counts listings in a row: a walk of the tree is fetched in
	// larger pieces.
	walking atomic.Int32
	// openedAhead files were opened before they were asked for, openedUsed of
	// them were asked for later.
	openedAhead, openedUsed atomic.Int64

	mu    sync.RWMutex
	byID  map[fileID]*inode // files with several names; all in use if not exclusive
	nodes int               // inodes alive

	idle  idleFiles
	ahead readAhead
}

type fileID struct {
	major, minor uint32
	ino          uint64
}

// nodeLimit is how many inodes a Super keeps without being asked to.
const nodeLimit = 1 << 17

// pipe joins the two descriptors of a 9P connection.
type pipe struct{ r, w *os.File }

func (p pipe) Read(b []byte) (int, error)  { return p.r.Read(b) }
func (p pipe) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p pipe) Close() error                { p.w.Close(); return p.r.Close() }

// root9P returns the root by 9P, attaching at first use: buffers and a
// handshake per mount are not worth having before. nil if the server has none.
func (s *Super) root9P() p9.File {
	s.p9mu.Lock()
	defer s.p9mu.Unlock()
	rfd, wfd := s.rfd, s.wfd
	if rfd < 0 {
		return s.p9root
	}
	s.rfd, s.wfd = -1, -1
	unix.SetNonblock(rfd, true)
	r := os.NewFile(uintptr(rfd), "9p")
	w := r
	if wfd != rfd && wfd >= 0 {
		unix.SetNonblock(wfd, true)
		w = os.NewFile(uintptr(wfd), "9p")
	}
	c, err := p9.NewClient(pipe{r, w})
	if err != nil {
		r.Close()
		w.Close()
		return nil
	}
	s.p9 = c
	if f, err := c.Attach("/"); err == nil {
		s.p9root = f
	}
	return s.p9root
}

// Type implements vfs.Super.
func (s *Super) Type() vfs.FSType { return s.typ }

// Root implements vfs.Super.
func (s *Super) Root() vfs.Inode {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.root.refs++
	return s.root
}

// Dev implements vfs.Super.
func (s *Super) Dev() vfs.Dev { return s.dev }

// Volatile implements vfs.Super.
func (s *Super) Volatile() bool { return !s.exclusive }

// Options implements vfs.Super.
func (s *Super) Options() string { return "trans=fd,cache=" + s.cache }

// v9fsMagic is V9FS_MAGIC, which statfs(2) shows for 9P.
const v9fsMagic = 0x01021997

// Statfs implements vfs.Super.
func (s *Super) Statfs(ctx kctx.Ctx) (unix.Statfs_t, error) {
	var w wire.Statfs
	if r := s.root9P(); r != nil {
		f, err := r.StatFS()
		if err != nil {
			return unix.Statfs_t{}, errno.EIO
		}
		w = wire.Statfs{BSize: f.BlockSize, NameLen: f.NameLength, Blocks: f.Blocks, Bfree: f.BlocksFree,
			Bavail: f.BlocksAvailable, Files: f.Files, Free: f.FilesFree}
	} else {
		d, _, err := s.lane.Call(wire.NewRequest(wire.OpStatfs, ""), 0)
		if err != nil {
			return unix.Statfs_t{}, err
		}
		if d.Statfs(&w); !d.End() {
			return unix.Statfs_t{}, errno.EIO
		}
	}
	return unix.Statfs_t{Type: v9fsMagic, Bsize: int64(w.BSize), Frsize: int64(w.BSize), Namelen: int64(min(w.NameLen, 255)),
		Blocks: w.Blocks, Bfree: w.Bfree, Bavail: w.Bavail, Files: w.Files, Ffree: w.Free}, nil
}

// Sync implements vfs.Super.
func (s *Super) Sync(ctx kctx.Ctx) error {
	if s.readOnly {
		return nil
	}
	_, _, err := s.lane.Call(wire.NewRequest(wire.OpSync, ""), 0)
	return err
}

// RootPath implements vfs.PartOf.
func (s *Super) RootPath() string {
	if s.rootPath == "" {
		return "/"
	}
	return s.rootPath
}

// Release implements vfs.Super.
func (s *Super) Release() {
	s.ahead.stop.Store(true)
	s.idle.drop()
	s.lane.Settle()
	supers.Delete(s)
	s.lane.Close()
	s.p9mu.Lock()
	defer s.p9mu.Unlock()
	if s.p9 != nil {
		s.p9.Close()
	}
	if s.rfd >= 0 {
		unix.Close(s.rfd)
		if s.wfd != s.rfd && s.wfd >= 0 {
			unix.Close(s.wfd)
		}
		s.rfd = -1
	}
}

// pathLocked returns i's path for a call. Precondition: s.mu. ok is false if
// i has no name any more.
func (i *inode) pathLocked() (string, bool) {
	n, depth := 0, 0
	for x := i; x.parent != nil; x = x.parent {
		if x.gone {
			return "", false
		}
		n += len(x.name) + 1
		depth++
	}
	if depth == 0 {
		return "", !i.gone
	}
	if depth == 1 {
		return i.name, true
	}
	buf := make([]byte, n-1)
	at := n - 1
	for x := i; x.parent != nil; x = x.parent {
		at -= len(x.name)
		copy(buf[at:], x.name)
		if at > 0 {
			at--
			buf[at] = '/'
		}
	}
	return string(buf), true
}

// path returns i's path; ESTALE if it has none.
func (i *inode) path() (string, error) {
	i.fs.mu.RLock()
	defer i.fs.mu.RUnlock()
	p, ok := i.pathLocked()
	if !ok {
		return "", errno.ESTALE
	}
	return p, nil
}

// childPath returns the path of a name in directory i.
func (i *inode) childPath(name string) (string, error) {
	p, err := i.path()
	if err == errno.ESTALE {
		err = errno.ENOENT
	}
	if err != nil || p == "" {
		return name, err
	}
	if len(p)+1+len(name) > wire.MaxPath {
		return "", errno.ENAMETOOLONG
	}
	return strings.Join([]string{p, name}, "/"), nil
}
