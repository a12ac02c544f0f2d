// Package devpts has pseudoterminals (pty(7)): the file system devpts with
// ptmx and the slaves, /dev/ptmx and /dev/tty, and the console that is pumped
// to a terminal of the host.
//
// A pair is both ends; the line discipline between them is package ldisc,
// sessions and foreground groups are kernel's. Input travels: master Write ->
// ldisc -> slave Read; signals it causes are sent after the pair's lock is
// dropped.
package devpts

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// Type is the file system type "devpts". K may be nil in tests.
type Type struct {
	K   *kernel.Kernel
	Sys *vfs.System
}

// Name implements vfs.FSType.
func (*Type) Name() string { return "devpts" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

// Super is one instance: its own numbers and its own ptmx.
type Super struct {
	*kernfs.FS
	k        *kernel.Kernel
	root     *kernfs.Inode
	mode     uint32
	ptmxMode uint32
	uid      *creds.KUID
	gid      *creds.KGID
	max      int

	mu    sync.Mutex
	pairs map[uint32]*pair
	low   uint32 // no number below it is free
}

// maxPtys is kernel.pty.max.
const maxPtys = 4096

// Mount implements vfs.FSType.
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	s := &Super{FS: kernfs.New(t.Sys, t, 0x1cd1), k: t.K, mode: 0o600, max: maxPtys, pairs: map[uint32]*pair{}}
	s.Chmod = true
	for _, o := range strings.Split(opts.Data, ",") {
		key, val, _ := strings.Cut(o, "=")
		base := 10
		if key == "mode" || key == "ptmxmode" {
			base = 8
		}
		var n uint64
		if key != "" && key != "newinstance" {
			var err error
			if n, err = strconv.ParseUint(val, base, 32); err != nil {
				return nil, errno.EINVAL
			}
		}
		switch key {
		case "", "newinstance":
		case "mode":
			s.mode = uint32(n) & 0o7777
		case "ptmxmode":
			s.ptmxMode = uint32(n) & 0o7777
		case "max":
			s.max = int(min(n, maxPtys))
		case "uid":
			u, ok := ctx.Creds().UserNS.KUID(uint32(n))
			if !ok {
				return nil, errno.EINVAL
			}
			s.uid = &u
		case "gid":
			g, ok := ctx.Creds().UserNS.KGID(uint32(n))
			if !ok {
				return nil, errno.EINVAL
			}
			s.gid = &g
		default:
			return nil, errno.EINVAL
		}
	}
	var shown []string
	if s.uid != nil {
		shown = append(shown, fmt.Sprintf("uid=%d", *s.uid))
	}
	if s.gid != nil {
		shown = append(shown, fmt.Sprintf("gid=%d", *s.gid))
	}
	s.Opts = strings.Join(append(shown, fmt.Sprintf("mode=%03o,ptmxmode=%03o", s.mode, s.ptmxMode)), ",")
	s.root = s.NewDir(0o755)
	s.root.Ino = 1
	s.root.Dyn = slaves{s}
	s.RootInode = s.root
	ptmx := &kernfs.Inode{FS: s.FS, Ino: 2, Mode: unix.S_IFCHR | s.ptmxMode, Rdev: vfs.Dev{Major: 5, Minor: 2}}
	s.root.Add("ptmx", ptmx)
	return s, nil
}

// newMaster makes a pair and its master end for ctx.
func (s *Super) newMaster(ctx kctx.Ctx) (*master, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pairs) >= s.max {
		return nil, errno.ENOSPC
	}
	n := s.low
	for s.pairs[n] != nil {
		n++
	}
	s.low = n + 1
	p := newPair(s, n)
	s.pairs[n] = p
	node := &kernfs.Inode{FS: s.FS, Ino: uint64(n) + 3, Mode: unix.S_IFCHR | s.mode, Rdev: vfs.Dev{Major: slaveMajor, Minor: n}}
	cr := ctx.Creds()
	uid, gid := cr.FSUID, cr.FSGID
	if s.uid != nil {
		uid = *s.uid
	}
	if s.gid != nil {
		gid = *s.gid
	}
	node.SetOwner(uid, gid)
	node.OpenOps = func(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
		return p.openSlave(ctx, flags)
	}
	node.Alive = func() bool { return s.pair(n) == p }
	p.node = node
	return &master{p: p}, nil
}

func (s *Super) remove(p *pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pairs[p.n] == p {
		delete(s.pairs, p.n)
		s.low = min(s.low, p.n)
	}
}

func (s *Super) pair(n uint32) *pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pairs[n]
}

// slaves are the entries of an instance beside ptmx.
type slaves struct{ s *Super }

// Lookup implements kernfs.Dynamic.
func (l slaves) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	n, err := strconv.ParseUint(name, 10, 31)
	if err != nil || name != strconv.FormatUint(n, 10) {
		return nil, errno.ENOENT
	}
	if p := l.s.pair(uint32(n)); p != nil {
		return p.node, nil
	}
	return nil, errno.ENOENT
}

// List implements kernfs.Dynamic.
func (l slaves) List(ctx kctx.Ctx, from int64, emit func(kernfs.Entry) bool) error {
	l.s.mu.Lock()
	var nrs []int
	for n := range l.s.pairs {
		if int64(n) >= from {
			nrs = append(nrs, int(n))
		}
	}
	l.s.mu.Unlock()
	sort.Ints(nrs)
	for _, n := range nrs {
		if !emit(kernfs.Entry{Key: int64(n), Name: strconv.Itoa(n), Ino: uint64(n) + 3, Type: unix.DT_CHR}) {
			break
		}
	}
	return nil
}

// RegisterDevices makes /dev/ptmx (5:2) and /dev/tty (5:0) work wherever
// their nodes are.
func RegisterDevices(sys *vfs.System) {
	sys.RegisterDevice(false, vfs.Dev{Major: 5, Minor: 2}, func(ctx kctx.Ctx, p vfs.Path, flags uint32) (vfs.FileOps, error) {
		s, root, err := instanceAt(ctx, sys, p)
		if err != nil {
			return nil, err
		}
		m, err := s.newMaster(ctx)
		if err != nil {
			root.DecRef()
			return nil, err
		}
		m.root = root
		return m, nil
	})
	sys.RegisterDevice(false, vfs.Dev{Major: 5, Minor: 0}, func(ctx kctx.Ctx, p vfs.Path, flags uint32) (vfs.FileOps, error) {
		t, ok := ctx.(*kernel.Task)
		if !ok {
			return nil, errno.ENXIO
		}
		tty, ok := t.TTY().(*TTY)
		if !ok || tty == nil {
			return nil, errno.ENXIO
		}
		return tty.pair.openSlave(ctx, flags|unix.O_NOCTTY)
	})
}

// instanceAt finds the devpts that a ptmx node belongs to: its own file
// system, or what is mounted on "pts" beside it (linux: devpts_mntget). The
// instance's root comes with a reference.
func instanceAt(ctx kctx.Ctx, sys *vfs.System, p vfs.Path) (*Super, vfs.Path, error) {
	if s, ok := p.Dentry.Super().(*Super); ok {
		r := p.Mount.Root().IncRef()
		return s, r, nil
	}
	dir := vfs.Path{Mount: p.Mount, Dentry: p.Dentry.Parent()}
	r, err := sys.Walk(ctx, vfs.Op{Sys: sys, Root: dir, Start: dir, Path: "pts", Flags: vfs.OpNoFollow})
	if err != nil {
		return nil, vfs.Path{}, errno.ENODEV
	}
	if s, ok := r.Dentry.Super().(*Super); ok {
		return s, r, nil
	}
	r.DecRef()
	return nil, vfs.Path{}, errno.ENODEV
}

// openPeer is TIOCGPTPEER: the slave as a new descriptor of the caller, even
// if its name cannot be reached.
func (m *master) openPeer(ctx kctx.Ctx, flags uint32) (uint64, error) {
	t, ok := ctx.(*kernel.Task)
	if !ok {
		return 0, errno.ENOTTY
	}
	sys := m.p.fs.Sys
	slave, err := sys.Walk(ctx, vfs.Op{Sys: sys, Root: m.root, Start: m.root, Path: strconv.Itoa(int(m.p.n))})
	if err != nil {
		return 0, errno.EIO
	}
	defer slave.DecRef()
	f, err := sys.OpenFile(ctx, slave, flags, true)
	if err != nil {
		return 0, err
	}
	fd, err := t.InstallFile(f, flags&unix.O_CLOEXEC != 0)
	if err != nil {
		f.DecRef(ctx)
		return 0, err
	}
	return uint64(fd), nil
}
