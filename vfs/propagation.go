package vfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// Propagation of mount events (mount_namespaces(7), SHARED SUBTREES). All
// functions here need System.mountMu.

func (g *peerGroup) join(m *Mount) {
	m.group = g
	g.members = append(g.members, m)
}

func (g *peerGroup) enslave(m *Mount) {
	m.master = g
	g.slaves = append(g.slaves, m)
}

func (s *System) newGroup(m *Mount) *peerGroup {
	s.nextGroup++
	g := &peerGroup{id: s.nextGroup}
	g.join(m)
	return g
}

// leavePeers takes m out of its peer group. Slaves of a group that dies go to
// its former member's master, or become private.
func (s *System) leavePeers(m *Mount) {
	g := m.group
	if g == nil {
		return
	}
	m.group = nil
	g.members = without(g.members, m)
	if len(g.members) > 0 {
		return
	}
	for _, sl := range g.slaves {
		sl.master = nil
		if m.master != nil {
			m.master.enslave(sl)
		}
	}
	g.slaves = nil
}

func (s *System) leaveMaster(m *Mount) {
	if m.master != nil {
		m.master.slaves = without(m.master.slaves, m)
		m.master = nil
	}
}

func (s *System) leaveGroups(m *Mount) {
	s.leavePeers(m)
	s.leaveMaster(m)
}

// makeSlave turns m into a slave of its peer group.
func (s *System) makeSlave(m *Mount) {
	g := m.group
	if g == nil {
		return
	}
	if len(g.members) == 1 {
		// Nobody to receive from but the group's own master.
		s.leavePeers(m)
		return
	}
	s.leavePeers(m)
	s.leaveMaster(m)
	g.enslave(m)
}

// setType changes the propagation of one mount.
func (s *System) setType(m *Mount, flags uintptr) {
	switch {
	case flags&unix.MS_SHARED != 0:
		m.unbindable = false
		if m.group == nil {
			s.newGroup(m)
		}
	case flags&unix.MS_SLAVE != 0:
		m.unbindable = false
		s.makeSlave(m)
	case flags&unix.MS_PRIVATE != 0:
		m.unbindable = false
		s.leaveGroups(m)
	case flags&unix.MS_UNBINDABLE != 0:
		s.leaveGroups(m)
		m.unbindable = true
	}
}

// SetPropagation is mount(2) with one of MS_SHARED, MS_SLAVE, MS_PRIVATE and
// MS_UNBINDABLE, and perhaps MS_REC.
func (s *System) SetPropagation(ctx kctx.Ctx, op Op, flags uintptr) error {
	kind := flags & (unix.MS_SHARED | unix.MS_SLAVE | unix.MS_PRIVATE | unix.MS_UNBINDABLE)
	if kind == 0 || kind&(kind-1) != 0 {
		return errno.EINVAL
	}
	p, err := s.Walk(ctx, op)
	if err != nil {
		return err
	}
	defer p.DecRef()
	if p.Dentry != p.Mount.root {
		return errno.EINVAL
	}
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	var walk func(m *Mount)
	walk = func(m *Mount) {
		s.setType(m, kind)
		if flags&unix.MS_REC != 0 {
			for _, c := range m.children {
				walk(c)
			}
		}
	}
	walk(p.Mount)
	if ns := p.Mount.ns; ns != nil {
		ns.changed()
	}
	return nil
}

// receivers calls fn for every mount other than m that receives m's events:
// peers, and slaves with theirs. level counts how far down; like is the group
// the receiver belongs to, whose members share what they get.
func receivers(m *Mount, fn func(t *Mount, from *peerGroup, slave bool)) {
	seen := map[*peerGroup]bool{}
	var down func(g *peerGroup)
	down = func(g *peerGroup) {
		if seen[g] {
			return
		}
		seen[g] = true
		for _, sl := range append([]*Mount(nil), g.slaves...) {
			fn(sl, g, true)
			if sl.group != nil {
				for _, p := range append([]*Mount(nil), sl.group.members...) {
					if p != sl {
						fn(p, sl.group, false)
					}
				}
				down(sl.group)
			}
		}
	}
	if m.group == nil {
		return
	}
	for _, p := range append([]*Mount(nil), m.group.members...) {
		if p != m {
			fn(p, m.group, false)
		}
	}
	down(m.group)
}

// receiver is an argument list of receivers' fn.
type receiver struct {
	mount *Mount
	from  *peerGroup
	slave bool
}

// receiversAt lists who gets a copy of what is mounted at p. Mounts that are in
// no namespace yet get none (linux: fs/pnode.c propagate_one, IS_MNT_NEW): a
// tree that is mounted below itself would otherwise be copied into its copies.
func receiversAt(p Path) (to []receiver) {
	receivers(p.Mount, func(t *Mount, from *peerGroup, slave bool) {
		if t != p.Mount && t.ns != nil && below(p.Dentry, t.root) {
			to = append(to, receiver{t, from, slave})
		}
	})
	return to
}

// propagateLocked copies the tree m, just attached at p, to the receivers of
// p.Mount's events.
func (s *System) propagateLocked(m *Mount, p Path, to []receiver) {
	if p.Mount.group == nil {
		return
	}
	// What is mounted in a shared place is shared.
	var share func(m *Mount)
	share = func(m *Mount) {
		if m.group == nil {
			s.newGroup(m)
		}
		for _, c := range m.children {
			share(c)
		}
	}
	share(m)
	// made is the copy that each group got first; further ones are its peers.
	made := map[*peerGroup]*Mount{p.Mount.group: m}
	for _, r := range to {
		t, slave := r.mount, r.slave
		src := made[r.from]
		if src == nil || s.mountOn(t, p.Dentry) != nil {
			continue
		}
		var c *Mount
		if slave {
			if t.group != nil && made[t.group] != nil {
				src, slave = made[t.group], false
			}
		}
		c = s.cloneTree(src, src.root, true, false, func(o, n *Mount) {
			if slave {
				s.makeSlave(n)
				if t.group != nil {
					s.newGroup(n)
				}
			}
		})
		if t.group != nil && made[t.group] == nil {
			made[t.group] = c
		}
		s.attachLocked(c, t, p.Dentry)
	}
}

// propagateUmountLocked unmounts the copies of m that receivers of its parent
// have at the same place, unless something else is mounted on them.
func (s *System) propagateUmountLocked(m *Mount) (done func()) {
	a := m.at.Load()
	if a == nil {
		return func() {}
	}
	var after []func()
	receivers(a.parent, func(t *Mount, _ *peerGroup, _ bool) {
		c := s.mountOn(t, a.point)
		if c == nil || c == m || c.sb != m.sb || len(c.children) > 0 {
			return
		}
		after = append(after, s.umountTreeLocked(c))
	})
	return func() {
		for _, f := range after {
			f()
		}
	}
}
