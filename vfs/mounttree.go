package vfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// This file changes the mount tree: bind, move, unmount, pivot_root, copies
// for new namespaces. propagation.go makes peers follow.

// cloneMount copies m with another root. The copy joins m's peer group and
// master, as bind mounts do. Precondition: s.mountMu.
func (s *System) cloneMount(m *Mount, root *Dentry) *Mount {
	c := s.newMount(m.sb, root, m.source, 0)
	c.flags.Store(m.flags.Load())
	c.lockedFlags = m.lockedFlags
	if m.group != nil {
		m.group.join(c)
	}
	if m.master != nil {
		m.master.enslave(c)
	}
	return c
}

// cloneTree copies m and, if all, what is mounted below root. visit sees each
// pair. Unbindable mounts are left out unless forNS.
func (s *System) cloneTree(m *Mount, root *Dentry, all, forNS bool, visit func(old, new *Mount)) *Mount {
	c := s.cloneMount(m, root)
	if forNS {
		c.unbindable = m.unbindable
	}
	if visit != nil {
		visit(m, c)
	}
	if !all {
		return c
	}
	for _, k := range append([]*Mount(nil), m.children...) {
		point := k.at.Load().point
		if !below(point, root) || k.unbindable && !forNS {
			continue
		}
		kc := s.cloneTree(k, k.root, true, forNS, visit)
		kc.locked = k.locked
		s.attachLocked(kc, c, point)
	}
	return c
}

// discard drops a tree that was never attached. Precondition: s.mountMu; the
// result is called without it.
func (s *System) discard(m *Mount) func() { return s.umountTreeLocked(m) }

// umountTreeLocked takes m and everything below it apart. The result drops the
// references and must be called without the lock.
func (s *System) umountTreeLocked(m *Mount) (done func()) {
	var all []*Mount
	var walk func(m *Mount)
	walk = func(m *Mount) {
		for _, c := range append([]*Mount(nil), m.children...) {
			walk(c)
		}
		all = append(all, m)
	}
	walk(m)
	var after []func()
	for _, x := range all {
		after = append(after, s.detachLocked(x))
		setNS(x, nil)
		s.leaveGroups(x)
	}
	return func() {
		for _, f := range after {
			f()
		}
		for _, x := range all {
			x.DecRef()
		}
	}
}

// walkTwo resolves two operations.
func (s *System) walkTwo(ctx kctx.Ctx, a, b Op) (Path, Path, error) {
	p, err := s.Walk(ctx, a)
	if err != nil {
		return p, Path{}, err
	}
	q, err := s.Walk(ctx, b)
	if err != nil {
		p.DecRef()
		return Path{}, q, err
	}
	return p, q, nil
}

// BindMount is mount(2) with MS_BIND, and MS_REC if recursive.
func (s *System) BindMount(ctx kctx.Ctx, from, to Op, recursive bool) error {
	src, dst, err := s.walkTwo(ctx, from, to)
	if err != nil {
		return err
	}
	defer src.DecRef()
	defer dst.DecRef()
	s.mountMu.Lock()
	if src.Mount.unbindable || src.Mount.ns == nil && src.Mount != s.anon && !src.Mount.detached {
		s.mountMu.Unlock()
		return errno.EINVAL
	}
	if !recursive && lockedBelow(src.Mount, src.Dentry) {
		s.mountMu.Unlock()
		return errno.EINVAL
	}
	m := s.cloneTree(src.Mount, src.Dentry, recursive, false, nil)
	done := func() {}
	if err = s.graftLocked(m, dst); err != nil {
		done = s.discard(m)
	}
	s.mountMu.Unlock()
	done()
	return err
}

// OpenTree is open_tree(2): the place itself, or with clone a detached copy of
// it that lives until the returned Path goes (Path.Mount.Dissolve).
func (s *System) OpenTree(ctx kctx.Ctx, from Op, clone, recursive bool) (Path, error) {
	p, err := s.Walk(ctx, from)
	if err != nil || !clone {
		return p, err
	}
	defer p.DecRef()
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	if p.Mount.unbindable || p.Mount.ns == nil && !p.Mount.detached || !recursive && lockedBelow(p.Mount, p.Dentry) {
		return Path{}, errno.EINVAL
	}
	m := s.cloneTree(p.Mount, p.Dentry, recursive, false, nil)
	m.detached = true
	m.IncRef()
	m.root.IncRef()
	return Path{m, m.root}, nil
}

// DetachedMount mounts fs nowhere (fsmount(2)); Dissolve ends it unless it was
// moved somewhere.
func (s *System) DetachedMount(ctx kctx.Ctx, fs Super, source string, flags MountFlags) Path {
	sb := s.superFor(fs)
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	if sb.mounts == 0 && sb.userNS == nil {
		sb.userNS = ctx.Creds().UserNS
	}
	m := s.newMount(sb, sb.root, source, flags)
	m.detached = true
	m.IncRef()
	m.root.IncRef()
	return Path{m, m.root}
}

// Dissolve unmounts a detached tree when the descriptor for it closes.
func (m *Mount) Dissolve() {
	m.sys.mountMu.Lock()
	done := func() {}
	if m.detached {
		m.detached = false
		done = m.sys.umountTreeLocked(m)
	}
	m.sys.mountMu.Unlock()
	done()
}

// MoveMount is mount(2) with MS_MOVE and move_mount(2).
func (s *System) MoveMount(ctx kctx.Ctx, from, to Op) error {
	dst, src, err := s.walkTwo(ctx, to, from)
	if err != nil {
		return err
	}
	defer src.DecRef()
	defer dst.DecRef()
	s.mountMu.Lock()
	done, err := s.moveLocked(src, dst)
	s.mountMu.Unlock()
	done()
	return err
}

func (s *System) moveLocked(src, dst Path) (func(), error) {
	m := src.Mount
	none := func() {}
	if src.Dentry != m.root {
		return none, errno.EINVAL
	}
	if m.root.IsDir() != dst.Dentry.IsDir() {
		return none, errno.ENOTDIR
	}
	if m.detached {
		m.detached = false
		if err := s.graftLocked(m, dst); err != nil {
			m.detached = true
			return none, err
		}
		return none, nil
	}
	a := m.at.Load()
	if a == nil || m.locked || a.parent.group != nil || dst.Mount.group != nil && hasUnbindable(m) {
		return none, errno.EINVAL
	}
	for x := dst.Mount; x != nil; {
		if x == m {
			return none, errno.ELOOP
		}
		b := x.at.Load()
		if b == nil {
			break
		}
		x = b.parent
	}
	done := s.detachLocked(m)
	if err := s.graftLocked(m, dst); err != nil {
		// Back to where it was.
		s.attachLocked(m, a.parent, a.point)
		return done, err
	}
	return done, nil
}

func hasUnbindable(m *Mount) bool {
	if m.unbindable {
		return true
	}
	for _, c := range m.children {
		if hasUnbindable(c) {
			return true
		}
	}
	return false
}

// Umount is umount2(2).
func (s *System) Umount(ctx kctx.Ctx, op Op, flags uint32) error {
	if flags&unix.UMOUNT_NOFOLLOW != 0 {
		op.Flags |= OpNoFollow
	}
	if flags&^(unix.MNT_FORCE|unix.MNT_DETACH|unix.MNT_EXPIRE|unix.UMOUNT_NOFOLLOW) != 0 ||
		flags&unix.MNT_EXPIRE != 0 && flags&(unix.MNT_FORCE|unix.MNT_DETACH) != 0 {
		return errno.EINVAL
	}
	p, err := s.Walk(ctx, op)
	if err != nil {
		return err
	}
	m := p.Mount
	if p.Dentry != m.root {
		p.DecRef()
		return errno.EINVAL
	}
	p.Dentry.DecRef() // the mount keeps its root
	s.mountMu.Lock()
	done, err := s.umountLocked(m, op.NS, flags)
	s.mountMu.Unlock()
	m.DecRef()
	done()
	return err
}

func (s *System) umountLocked(m *Mount, ns *Namespace, flags uint32) (func(), error) {
	none := func() {}
	if m.ns == nil || ns != nil && m.ns != ns || m.locked {
		return none, errno.EINVAL
	}
	if m == m.ns.root {
		// Not even lazily: the root of a namespace stays (do_umount would
		// remount it read-only).
		if flags&unix.MNT_DETACH == 0 {
			return none, errno.EBUSY
		}
		return none, errno.EINVAL
	}
	if flags&unix.MNT_DETACH == 0 {
		// The tree, and the caller's walk, hold one reference each.
		if len(m.children) > 0 || m.refs.Load() > 2 {
			m.expiring.Store(false)
			return none, errno.EBUSY
		}
	}
	if flags&unix.MNT_EXPIRE != 0 && !m.expiring.Swap(true) {
		return none, errno.EAGAIN
	}
	more := s.propagateUmountLocked(m)
	done := s.umountTreeLocked(m)
	return func() {
		done()
		more()
	}, nil
}

// PivotRoot is pivot_root(2). The caller moves the tasks of the namespace from
// the old root to the new one; both come with references.
func (s *System) PivotRoot(ctx kctx.Ctx, newRoot, putOld Op) (old, new Path, err error) {
	newRoot.Flags |= OpDirectory
	putOld.Flags |= OpDirectory
	n, o, err := s.walkTwo(ctx, newRoot, putOld)
	if err != nil {
		return old, new, err
	}
	defer n.DecRef()
	defer o.DecRef()
	root := newRoot.Root
	s.mountMu.Lock()
	done, err := s.pivotLocked(root, n, o, newRoot.NS)
	s.mountMu.Unlock()
	done()
	if err != nil {
		return old, new, err
	}
	return root.IncRef(), n.IncRef(), nil
}

func (s *System) pivotLocked(root, n, o Path, ns *Namespace) (func(), error) {
	none := func() {}
	rm, nm := root.Mount, n.Mount
	ra, na := rm.at.Load(), nm.at.Load()
	switch {
	case rm.ns != ns || nm.ns != ns || o.Mount.ns != ns, n.Dentry.Removed(), nm.locked,
		shared(o.Mount), na != nil && shared(na.parent), ra != nil && shared(ra.parent):
		return none, errno.EINVAL
	case nm == rm || o.Mount == rm:
		return none, errno.EBUSY
	case root.Dentry != rm.root, n.Dentry != nm.root, na == nil:
		return none, errno.EINVAL
	case ra == nil && rm != ns.root:
		return none, errno.EINVAL
	}
	if !s.reaches(o, n) || !s.reaches(n, root) {
		return none, errno.EINVAL
	}
	d1 := s.detachLocked(nm)
	var d2 func()
	if ra != nil {
		d2 = s.detachLocked(rm)
	}
	// The old root goes to putOld, on top of what is there.
	for {
		x := s.mountOn(o.Mount, o.Dentry)
		if x == nil {
			break
		}
		o = Path{x, x.root}
	}
	s.attachLocked(rm, o.Mount, o.Dentry)
	if ra != nil {
		s.attachLocked(nm, ra.parent, ra.point)
	} else {
		ns.root = nm
		setNS(nm, ns)
	}
	ns.changed()
	return func() {
		d1()
		if d2 != nil {
			d2()
		}
	}, nil
}

func shared(m *Mount) bool { return m.group != nil }

// reaches says whether p is at or below top in the mount tree.
func (s *System) reaches(p, top Path) bool {
	m, d := p.Mount, p.Dentry
	for m != top.Mount {
		a := m.at.Load()
		if a == nil {
			return false
		}
		m, d = a.parent, a.point
	}
	return below(d, top.Dentry)
}

// Remounter is a Super that takes new options.
type Remounter interface {
	Remount(ctx kctx.Ctx, data string) error
}

const atimeFlags = MountNoAtime | MountNoDirAtime | MountRelatime | MountStrictAtime

// defaultAtime makes relatime the default.
func defaultAtime(fl MountFlags) MountFlags {
	if fl&MountNoAtime == 0 {
		fl |= MountRelatime
	}
	if fl&MountStrictAtime != 0 {
		fl &^= MountRelatime | MountNoAtime
	}
	return fl
}

// Remount is mount(2) with MS_REMOUNT: flags replace those of the mount, data
// and read-only those of the file system, unless bind.
func (s *System) Remount(ctx kctx.Ctx, op Op, flags MountFlags, data string, bind bool) error {
	p, err := s.Walk(ctx, op)
	if err != nil {
		return err
	}
	defer p.DecRef()
	if p.Dentry != p.Mount.root {
		return errno.EINVAL
	}
	// Without any atime flag the old ones stay.
	if flags&atimeFlags == 0 {
		flags |= p.Mount.Flags() & atimeFlags
	}
	if bind {
		return s.SetMountFlags(p.Mount, mountFlagsMask, flags)
	}
	if !p.Mount.sb.mayReconfigure(ctx) {
		return errno.EPERM
	}
	if flags&MountReadOnly != 0 && !p.Mount.sb.readOnly.Load() && p.Mount.sb.writers.Load() > 0 {
		return errno.EBUSY
	}
	if err := s.SetMountFlags(p.Mount, mountFlagsMask, flags); err != nil {
		return err
	}
	return s.Reconfigure(ctx, p.Mount, data, flags&MountReadOnly != 0)
}

// Reconfigure gives the file system behind m other options (fsconfig(2)).
func (s *System) Reconfigure(ctx kctx.Ctx, m *Mount, data string, readOnly bool) error {
	if !m.sb.mayReconfigure(ctx) {
		return errno.EPERM
	}
	if readOnly && !m.sb.readOnly.Load() && m.sb.writers.Load() > 0 {
		return errno.EBUSY
	}
	if r, ok := m.sb.fs.(Remounter); ok {
		if err := r.Remount(ctx, data); err != nil {
			return err
		}
	}
	m.sb.readOnly.Store(readOnly)
	return nil
}

func (sb *superblock) mayReconfigure(ctx kctx.Ctx) bool {
	cr := ctx.Creds()
	ns := sb.userNS
	if ns == nil {
		ns = rootNS(cr.UserNS)
	}
	return cr.HasCap(creds.CapSysAdmin, ns)
}

// lockedBelow says whether a mount that must stay hides something below d: a
// copy of m without it would show that (linux: has_locked_children).
func lockedBelow(m *Mount, d *Dentry) bool {
	for _, c := range m.children {
		if c.locked && below(c.at.Load().point, d) {
			return true
		}
	}
	return false
}

// SuperReadOnly says whether the file system itself is read-only.
func (m *Mount) SuperReadOnly() bool { return m.sb.readOnly.Load() }

// SetSuperReadOnly makes it so, or not, without checks.
func (m *Mount) SetSuperReadOnly(on bool) { m.sb.readOnly.Store(on) }

// SetMountFlags replaces the flags in mask.
func (s *System) SetMountFlags(m *Mount, mask, flags MountFlags) error {
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	old := m.Flags()
	n := old&^mask | flags&mask&mountFlagsMask
	if mask&atimeFlags != 0 {
		n = defaultAtime(n)
	}
	if lost := old &^ n & m.lockedFlags; lost != 0 {
		return errno.EPERM
	}
	if n&MountReadOnly != 0 && old&MountReadOnly == 0 && m.writers.Load() > 0 {
		return errno.EBUSY
	}
	m.flags.Store(uint32(n))
	if m.ns != nil {
		m.ns.changed()
	}
	return nil
}

// Clone copies the namespace for clone(2) and unshare(2) with CLONE_NEWNS. The
// second result maps a Path of the old namespace to the copy (no reference is
// taken or dropped; paths elsewhere map to themselves).
func (ns *Namespace) Clone(ctx kctx.Ctx, userNS *creds.UserNamespace) (*Namespace, func(Path) Path) {
	s := ns.sys
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	c := s.newNS(userNS)
	pairs := map[*Mount]*Mount{}
	c.root = s.cloneTree(ns.root, ns.root.root, true, true, func(o, n *Mount) { pairs[o] = n })
	setNS(c.root, c)
	if userNS != ns.userNS {
		for _, m := range pairs {
			s.makeSlave(m)
			m.locked = m != c.root
			m.lockedFlags = m.Flags() & (MountReadOnly | MountNoSuid | MountNoDev | MountNoExec | atimeFlags)
		}
	}
	return c, func(p Path) Path {
		if n := pairs[p.Mount]; n != nil {
			return Path{n, p.Dentry}
		}
		return p
	}
}

// InNamespace says whether m is attached in ns.
func (m *Mount) InNamespace(ns *Namespace) bool {
	m.sys.mountMu.RLock()
	defer m.sys.mountMu.RUnlock()
	return m.ns == ns
}

// Descendants lists m and the mounts below it.
func (m *Mount) Descendants() []*Mount {
	m.sys.mountMu.RLock()
	defer m.sys.mountMu.RUnlock()
	var l []*Mount
	var walk func(m *Mount)
	walk = func(m *Mount) {
		l = append(l, m)
		for _, c := range m.children {
			walk(c)
		}
	}
	walk(m)
	return l
}

// Children lists the mounts directly on m.
func (m *Mount) Children() []*Mount {
	m.sys.mountMu.RLock()
	defer m.sys.mountMu.RUnlock()
	return append([]*Mount(nil), m.children...)
}
