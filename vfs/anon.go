package vfs

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }

// SelfNamed is an Inode that names its files itself, wherever they hang
// (pipe:[7], mnt:[4026531841]).
type SelfNamed interface{ FileName() string }

// named says whether names of the file system are real ("(deleted)" applies).
func (s *superblock) named() bool { _, anon := s.fs.(*anonSuper); return !anon }

// anonSuper holds the inodes of files without names: pipes, sockets, event
// objects.
type anonSuper struct {
	dev Dev
	sys *System
}

type anonType struct{ name string }

func (t anonType) Name() string { return t.name }
func (anonType) NoDev() bool    { return true }
func (anonType) Mount(kctx.Ctx, string, MountOpts) (Super, error) {
	return nil, unix.EINVAL
}

func (a *anonSuper) Type() FSType { return anonType{"anon_inodefs"} }
func (a *anonSuper) Root() Inode  { return &anonInode{sb: a, name: "/", mode: typeDir | 0o555} }
func (a *anonSuper) Statfs(kctx.Ctx) (unix.Statfs_t, error) {
	return unix.Statfs_t{Type: 0x09041934, Bsize: 4096, Namelen: 255}, nil
}
func (a *anonSuper) Sync(kctx.Ctx) error { return nil }
func (a *anonSuper) Dev() Dev            { return a.dev }
func (a *anonSuper) Volatile() bool      { return false }
func (a *anonSuper) Options() string     { return "" }
func (a *anonSuper) Release()            {}

// anonInode is the inode of one such file.
type anonInode struct {
	InodeBase
	NotDir
	NotLink
	NoXattr
	NoOpen
	NoRelease
	sb   *anonSuper
	name string // may contain %d for the number
	ino  uint64
	mode uint32
	uid  creds.KUID
	gid  creds.KGID
	time unix.Timespec
}

func (i *anonInode) Attr() (uint32, creds.KUID, creds.KGID) { return i.mode, i.uid, i.gid }

func (i *anonInode) Stat(kctx.Ctx) (Stat, error) {
	return Stat{Dev: i.sb.dev, Ino: i.ino, Mode: i.mode, Nlink: 1, UID: i.uid, GID: i.gid,
		BlkSize: 4096, Atime: i.time, Mtime: i.time, Ctime: i.time, Btime: i.time}, nil
}

// SetStat accepts mode and owner of pipes and sockets, as Linux does, and
// refuses changes of event objects.
func (i *anonInode) SetStat(ctx kctx.Ctx, s SetStat) error {
	if i.mode&typeMask == 0 {
		return errno.EOPNOTSUPP
	}
	if s.Mask&SetMode != 0 {
		i.mode = i.mode&typeMask | s.Mode&0o7777
	}
	if s.Mask&SetUID != 0 {
		i.uid = s.UID
	}
	if s.Mask&SetGID != 0 {
		i.gid = s.GID
	}
	return nil
}

func (i *anonInode) FileName() string {
	if strings.HasSuffix(i.name, "[%d]") {
		return i.name[:len(i.name)-4] + "[" + utoa(i.ino) + "]"
	}
	return i.name
}

func (s *System) initAnon() {
	sb := s.superFor(&anonSuper{dev: s.AllocDev(), sys: s})
	s.anon = s.newMount(sb, sb.root, "none", 0)
}

// Now is the time for inode time stamps.
func Now() unix.Timespec {
	t := time.Now()
	return unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
}

// NewAnonFile returns a file without a name in any directory, owned by root.
// name is what /proc/pid/fd shows, with %d for its inode number: "pipe:[%d]",
// "socket:[%d]", "anon_inode:[eventfd]".
func NewAnonFile(s *System, name string, ops FileOps, flags uint32) *File {
	return s.anonFile(rootCreds, s.anonInodeFor(rootCreds, name), ops, flags)
}

// NewAnonFileFor is NewAnonFile owned by ctx.
func NewAnonFileFor(ctx kctx.Ctx, s *System, name string, ops FileOps, flags uint32) *File {
	return s.anonFile(ctx.Creds(), s.anonInodeFor(ctx.Creds(), name), ops, flags)
}

// NewAnonPair returns two files that share one inode: the ends of a pipe.
func NewAnonPair(ctx kctx.Ctx, s *System, name string, r, w FileOps, rflags, wflags uint32) (*File, *File) {
	cr := ctx.Creds()
	i := s.anonInodeFor(cr, name)
	return s.anonFile(cr, i, r, rflags), s.anonFile(cr, i, w, wflags)
}

var rootCreds = creds.NewRoot(creds.NewRootNS())

func (s *System) anonInodeFor(cr *creds.Credentials, name string) *anonInode {
	mode := uint32(0o600)
	switch {
	case strings.HasPrefix(name, "pipe:"):
		mode = unix.S_IFIFO | 0o600
	case strings.HasPrefix(name, "socket:"):
		mode = unix.S_IFSOCK | 0o777
	}
	return &anonInode{sb: s.anon.sb.fs.(*anonSuper), name: name, ino: s.nextIno.Add(1), mode: mode,
		uid: cr.FSUID, gid: cr.FSGID, time: Now()}
}

func (s *System) anonFile(cr *creds.Credentials, i *anonInode, ops FileOps, flags uint32) *File {
	d := s.dcache.newDentry(s.anon.sb, s.anon.root, i.name, i)
	d.setFlag(dRemoved)
	s.anon.IncRef()
	return newFile(s, cr, Path{s.anon, d}, ops, flags)
}

// KernelMount mounts fs nowhere, for files without names that need a real file
// system behind them (memfd_create(2), System V shared memory).
func (s *System) KernelMount(fs Super) *Mount {
	sb := s.superFor(fs)
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	return s.newMount(sb, sb.root, fs.Type().Name(), 0)
}

// NewUnlinkedFile opens inode, whose count it takes over, by a name that is
// shown but exists in no directory ("memfd:x").
func NewUnlinkedFile(ctx kctx.Ctx, m *Mount, name string, inode Inode, flags uint32) (*File, error) {
	s := m.sys
	d := s.dcache.newDentry(m.sb, m.root, name, inode)
	d.setFlag(dRemoved)
	defer d.DecRef()
	mode, _, _ := inode.Attr()
	f, err := s.openInode(ctx, m, d, mode&typeMask, flags)
	if err == nil && f.mode&fInodeWriter != 0 {
		// As alloc_file_pseudo: such a file does not count as being written,
		// so that a memfd can be executed by the descriptor that filled it.
		f.mode &^= fInodeWriter
		s.base(inode).writers.Add(-1)
	}
	return f, err
}
