package vfs

import (
	"hash/maphash"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// MountFlags are per-mount flags, with the values of MS_* in mount(2).
type MountFlags uint32

// Per-mount flags.
const (
	MountReadOnly    MountFlags = unix.MS_RDONLY
	MountNoSuid      MountFlags = unix.MS_NOSUID
	MountNoDev       MountFlags = unix.MS_NODEV
	MountNoExec      MountFlags = unix.MS_NOEXEC
	MountNoAtime     MountFlags = unix.MS_NOATIME
	MountNoDirAtime  MountFlags = unix.MS_NODIRATIME
	MountRelatime    MountFlags = unix.MS_RELATIME
	MountStrictAtime MountFlags = unix.MS_STRICTATIME
	MountNoSymFollow MountFlags = 256 // MS_NOSYMFOLLOW

	mountFlagsMask = MountReadOnly | MountNoSuid | MountNoDev | MountNoExec | MountNoAtime |
		MountNoDirAtime | MountRelatime | MountStrictAtime | MountNoSymFollow
)

type mountKey struct {
	parent *Mount
	point  *Dentry
}

// Mount is one place where (a part of) a file system is attached.
//
// References count Paths and open files; the tree itself holds one while the
// mount is attached. Everything without a comment is guarded by
// System.mountMu.
type Mount struct {
	sys    *System
	id     uint64
	sb     *superblock // immutable
	root   *Dentry     // immutable
	source string
	flags  atomic.Uint32
	at     atomic.Pointer[mountKey] // nil: root of a namespace, or detached
	refs   atomic.Int64
	// writers counts open files that may write, for read-only remounts.
	writers atomic.Int64

	ns       *Namespace
	children []*Mount
	expiring atomic.Bool

	// Propagation (mount_namespaces(7)).
	group      *peerGroup // shared with its members
	master     *peerGroup // receives from it
	unbindable bool

	// detached trees belong to a descriptor (open_tree(2), fsmount(2)).
	detached bool
	// locked mounts came from a more privileged namespace: they stay where
	// they are and keep lockedFlags.
	locked      bool
	lockedFlags MountFlags
}

// peerGroup is a set of mounts that share mount events.
type peerGroup struct {
	id      uint32
	members []*Mount
	slaves  []*Mount
}

// ID is the mount's number in mountinfo.
func (m *Mount) ID() uint64 { return m.id }

// UniqueID is the number that is never used again (STATX_MNT_ID_UNIQUE).
func (m *Mount) UniqueID() uint64 { return 1<<31 + m.id }

// Flags returns the per-mount flags.
func (m *Mount) Flags() MountFlags { return MountFlags(m.flags.Load()) }

// Super returns the file system.
func (m *Mount) Super() Super { return m.sb.fs }

// Root returns the root of the mount, without a reference.
func (m *Mount) Root() Path { return Path{m, m.root} }

// IncRef takes another reference.
func (m *Mount) IncRef() { m.refs.Add(1) }

// DecRef drops a reference. The last one lets go of the file system.
func (m *Mount) DecRef() {
	if m.refs.Add(-1) == 0 {
		m.release()
	}
}

func (m *Mount) release() {
	root, sb := m.root, m.sb
	m.sys.mu.Lock()
	sb.mounts--
	last := sb.mounts == 0
	if last {
		sb.dying.Store(true)
	}
	m.sys.mu.Unlock()
	if last {
		m.sys.dcache.prune(sb.root, false)
	}
	root.DecRef()
	if last && root != sb.root {
		// The root dentry itself may be idle by now.
		if sb.root.tryRef() {
			sb.root.DecRef()
		}
	}
}

// wantWrite says whether the caller may change the file system through m.
func (m *Mount) wantWrite() error {
	if m.Flags()&MountReadOnly != 0 || m.sb.readOnly.Load() {
		return errno.EROFS
	}
	return nil
}

// newMount makes an unattached mount of (a part of) sb with one reference.
func (s *System) newMount(sb *superblock, root *Dentry, source string, flags MountFlags) *Mount {
	root.IncRef()
	s.mu.Lock()
	sb.mounts++
	sb.dying.Store(false)
	s.mu.Unlock()
	m := &Mount{sys: s, sb: sb, root: root, source: source}
	m.flags.Store(uint32(defaultAtime(flags & mountFlagsMask)))
	m.refs.Store(1)
	s.nextMount++
	m.id = s.nextMount
	return m
}

// mountOn returns what is mounted on (m, d), or nil.
func (s *System) mountOn(m *Mount, d *Dentry) *Mount {
	if d.mounts.Load() == 0 {
		return nil
	}
	k := mountKey{m, d}
	return (*s.mountMap[k.shard()].Load())[k]
}

// mountShards is how many maps the mounts are spread over: each change copies
// one, and a program may make a hundred thousand mounts.
const mountShards = 256

var mountSeed = maphash.MakeSeed()

func (k mountKey) shard() uint64 { return maphash.Comparable(mountSeed, k) % mountShards }

// setMap changes the map that walkers read. Precondition: s.mountMu.
func (s *System) setMap(k mountKey, m *Mount) {
	at := &s.mountMap[k.shard()]
	old := *at.Load()
	n := make(map[mountKey]*Mount, len(old)+1)
	for k, v := range old {
		n[k] = v
	}
	if m != nil {
		n[k] = m
	} else {
		delete(n, k)
	}
	at.Store(&n)
}

// attachLocked puts m at (parent, point); the tree takes over m's first
// reference. Precondition: s.mountMu, no mount there.
func (s *System) attachLocked(m, parent *Mount, point *Dentry) {
	point.IncRef()
	parent.IncRef()
	point.mounts.Add(1)
	m.at.Store(&mountKey{parent, point})
	parent.children = append(parent.children, m)
	setNS(m, parent.ns)
	s.setMap(mountKey{parent, point}, m)
}

func setNS(m *Mount, ns *Namespace) {
	if m.ns != ns {
		if m.ns != nil {
			m.ns.count--
		}
		m.ns = ns
		if ns != nil {
			ns.count++
			ns.changed()
		}
	}
	for _, c := range m.children {
		setNS(c, ns)
	}
}

// detachLocked takes m out of its parent. Precondition: s.mountMu. The caller
// gets the tree's reference of m and must call the returned function without
// the lock.
func (s *System) detachLocked(m *Mount) func() {
	a := m.at.Load()
	if a == nil {
		return func() {}
	}
	s.setMap(*a, nil)
	m.at.Store(nil)
	a.point.mounts.Add(-1)
	a.parent.children = without(a.parent.children, m)
	if m.ns != nil {
		m.ns.changed()
	}
	return func() {
		a.point.DecRef()
		a.parent.DecRef()
	}
}

func without(l []*Mount, m *Mount) []*Mount {
	for i, x := range l {
		if x == m {
			return append(l[:i:i], l[i+1:]...)
		}
	}
	return l
}

// MountFS makes a file system and mounts it at op's path.
func (s *System) MountFS(ctx kctx.Ctx, source string, op Op, fstype string, flags MountFlags, opts MountOpts) (*Mount, error) {
	fs, err := s.NewSuper(ctx, source, fstype, opts)
	if err != nil {
		return nil, err
	}
	return s.MountSuper(ctx, source, op, fs, flags)
}

// NewSuper makes a file system of a registered type. If nothing is mounted
// from it the caller must call its Release.
func (s *System) NewSuper(ctx kctx.Ctx, source, fstype string, opts MountOpts) (Super, error) {
	t, err := s.TypeNamed(fstype)
	if err != nil {
		return nil, err
	}
	return t.Mount(ctx, source, opts)
}

// MountAt is mount(2) of a new file system.
func (s *System) MountAt(ctx kctx.Ctx, source string, op Op, fstype string, flags MountFlags, opts MountOpts) error {
	_, err := s.MountFS(ctx, source, op, fstype, flags, opts)
	return err
}

// MountSuper mounts fs at op's path.
func (s *System) MountSuper(ctx kctx.Ctx, source string, op Op, fs Super, flags MountFlags) (*Mount, error) {
	p, err := s.Walk(ctx, op)
	if err != nil {
		return nil, err
	}
	defer p.DecRef()
	sb := s.superFor(fs)
	s.mountMu.Lock()
	if sb.mounts == 0 && sb.userNS == nil {
		sb.userNS = ctx.Creds().UserNS
	}
	m := s.newMount(sb, sb.root, source, flags)
	err = s.graftLocked(m, p)
	s.mountMu.Unlock()
	if err != nil {
		m.DecRef()
		return nil, err
	}
	return m, nil
}

// graftLocked attaches the tree m on top of p and propagates it.
func (s *System) graftLocked(m *Mount, p Path) error {
	if m.root.IsDir() != p.Dentry.IsDir() {
		return errno.ENOTDIR
	}
	if p.Dentry.Removed() && p.Dentry != p.Mount.root {
		return errno.ENOENT
	}
	if p.Mount.ns == nil {
		return errno.EINVAL
	}
	// Somebody may have mounted there since the walk: go on top.
	for {
		x := s.mountOn(p.Mount, p.Dentry)
		if x == nil {
			break
		}
		p = Path{x, x.root}
	}
	to := receiversAt(p)
	if !roomFor(m, p, to) {
		return errno.ENOSPC
	}
	s.attachLocked(m, p.Mount, p.Dentry)
	s.propagateLocked(m, p, to)
	return nil
}

// roomFor says whether no namespace gets more than maxMounts when m is
// attached at p and propagated (linux: fs/namespace.c count_mounts).
func roomFor(m *Mount, p Path, to []receiver) bool {
	size := 0
	var count func(*Mount)
	count = func(m *Mount) {
		size++
		for _, c := range m.children {
			count(c)
		}
	}
	count(m)
	more := map[*Namespace]int{p.Mount.ns: size}
	for _, r := range to {
		more[r.mount.ns] += size
	}
	for ns, n := range more {
		if ns.count+n > maxMounts {
			return false
		}
	}
	return true
}

// maxMounts is the limit of fs.mount-max.
const maxMounts = 100000
