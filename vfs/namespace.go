package vfs

import (
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"
)

// Namespace is a mount namespace (mount_namespaces(7)).
type Namespace struct {
	sys    *System
	id     uint64
	userNS *creds.UserNamespace
	root   *Mount
	count  int // mounts in it, under System.mountMu
	refs   atomic.Int64
	// event counts changes and queue wakes pollers of /proc/mounts.
	event atomic.Uint64
	queue wait.Queue
}

// NewNamespace makes a mount namespace with fs as its root. The caller gets a
// reference.
func (s *System) NewNamespace(ctx kctx.Ctx, fs Super, source string, flags MountFlags) *Namespace {
	sb := s.superFor(fs)
	s.mountMu.Lock()
	defer s.mountMu.Unlock()
	ns := s.newNS(ctx.Creds().UserNS)
	ns.root = s.newMount(sb, sb.root, source, flags)
	setNS(ns.root, ns)
	return ns
}

func (s *System) newNS(u *creds.UserNamespace) *Namespace {
	s.nextNS++
	ns := &Namespace{sys: s, id: 4026531841 + s.nextNS, userNS: u}
	ns.refs.Store(1)
	return ns
}

// ID is the inode number of /proc/pid/ns/mnt.
func (ns *Namespace) ID() uint64 { return ns.id }

// UserNS is the owner.
func (ns *Namespace) UserNS() *creds.UserNamespace { return ns.userNS }

// Root returns the topmost root of the namespace with a reference.
func (ns *Namespace) Root() Path {
	ns.sys.mountMu.RLock()
	defer ns.sys.mountMu.RUnlock()
	p := Path{ns.root, ns.root.root}
	for {
		m := ns.sys.mountOn(p.Mount, p.Dentry)
		if m == nil {
			return p.IncRef()
		}
		p = Path{m, m.root}
	}
}

// IncRef takes another reference.
func (ns *Namespace) IncRef() { ns.refs.Add(1) }

// DecRef drops a reference; the last one unmounts everything.
func (ns *Namespace) DecRef() {
	if ns.refs.Add(-1) != 0 {
		return
	}
	ns.sys.mountMu.Lock()
	done := ns.sys.umountTreeLocked(ns.root)
	ns.sys.mountMu.Unlock()
	done()
}

func (ns *Namespace) changed() {
	ns.event.Add(1)
	ns.queue.Notify(wait.Pri | wait.Err)
}

// Event counts changes of the mount tree, for poll on /proc/mounts.
func (ns *Namespace) Event() (uint64, *wait.Queue) { return ns.event.Load(), &ns.queue }
