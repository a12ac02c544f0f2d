package creds

import (
	"sync"

	"redoubt.dev/redoubt/sentry/errno"
)

// IDMap is one line of uid_map or gid_map.
type IDMap struct{ Inside, Outside, Length uint32 }

// UserNamespace maps ids and scopes capabilities. The zero value with Parent
// nil is the root namespace (identity maps).
type UserNamespace struct {
	Parent *UserNamespace
	Owner  KUID
	Group  KGID
	Level  int
	ID     uint64 // inode number shown in /proc/pid/ns/user

	mu             sync.RWMutex
	uidMap, gidMap []IDMap // Outside is in kernel ids
	denySetgroups  bool
}

// NewRootNS returns the initial namespace.
func NewRootNS() *UserNamespace { return &UserNamespace{ID: 4026531837} }

func toKernel(m []IDMap, id uint32) (uint32, bool) {
	for _, l := range m {
		if id >= l.Inside && id-l.Inside < l.Length {
			return l.Outside + (id - l.Inside), true
		}
	}
	return NoID, false
}

func fromKernel(m []IDMap, id uint32) (uint32, bool) {
	for _, l := range m {
		if id >= l.Outside && id-l.Outside < l.Length {
			return l.Inside + (id - l.Outside), true
		}
	}
	return OverflowID, false
}

// KUID maps a uid of this namespace to a kernel id; ok is false if unmapped.
func (ns *UserNamespace) KUID(uid uint32) (id KUID, ok bool) {
	if ns == nil || ns.Parent == nil {
		return KUID(uid), uid != NoID
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	k, ok := toKernel(ns.uidMap, uid)
	return KUID(k), ok
}

// KGID maps a gid of this namespace to a kernel id.
func (ns *UserNamespace) KGID(gid uint32) (id KGID, ok bool) {
	if ns == nil || ns.Parent == nil {
		return KGID(gid), gid != NoID
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	k, ok := toKernel(ns.gidMap, gid)
	return KGID(k), ok
}

// UID maps a kernel id to one of this namespace, or OverflowID.
func (ns *UserNamespace) UID(id KUID) uint32 {
	if ns == nil || ns.Parent == nil {
		return uint32(id)
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	u, _ := fromKernel(ns.uidMap, uint32(id))
	return u
}

// GID maps a kernel group id to one of this namespace, or OverflowID.
func (ns *UserNamespace) GID(id KGID) uint32 {
	if ns == nil || ns.Parent == nil {
		return uint32(id)
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	g, _ := fromKernel(ns.gidMap, uint32(id))
	return g
}

// Mapped says whether both kernel ids have a name in this namespace.
func (ns *UserNamespace) Mapped(u KUID, g KGID) bool {
	if ns == nil || ns.Parent == nil {
		return true
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	_, uok := fromKernel(ns.uidMap, uint32(u))
	_, gok := fromKernel(ns.gidMap, uint32(g))
	return uok && gok
}

// maxLevel is how deep user namespaces nest (user_namespaces(7)).
const maxLevel = 32

// NewChild returns a namespace inside ns, without maps, owned by c.
func (ns *UserNamespace) NewChild(c *Credentials, id uint64) (*UserNamespace, error) {
	if ns.Level >= maxLevel {
		return nil, errno.ENOSPC
	}
	if !ns.Mapped(c.EUID, c.EGID) {
		return nil, errno.EPERM
	}
	n := &UserNamespace{Parent: ns, Owner: c.EUID, Group: c.EGID, Level: ns.Level + 1, ID: id}
	ns.mu.RLock()
	n.denySetgroups = ns.denySetgroups
	ns.mu.RUnlock()
	return n, nil
}

// Enter returns c as it is in namespace ns after clone or setns: every
// capability there, no securebits.
func (c *Credentials) Enter(ns *UserNamespace) *Credentials {
	n := c.Fork()
	n.UserNS = ns
	n.Permitted, n.Effective, n.Bounding = AllCaps, AllCaps, AllCaps
	n.Inheritable, n.Ambient = 0, 0
	n.SecureBits, n.KeepCaps = 0, false
	return n
}

// InOrBelow says whether ns is o or a descendant.
func (ns *UserNamespace) InOrBelow(o *UserNamespace) bool {
	for n := ns; n != nil; n = n.Parent {
		if n == o {
			return true
		}
	}
	return false
}

// MaySetgroups says whether setgroups(2) is allowed: not before gid_map is
// written, nor after "deny".
func (ns *UserNamespace) MaySetgroups() bool {
	if ns.Parent == nil {
		return true
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	return !ns.denySetgroups && len(ns.gidMap) > 0
}

// Setgroups is what /proc/pid/setgroups shows.
func (ns *UserNamespace) Setgroups() string {
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	if ns.denySetgroups {
		return "deny"
	}
	return "allow"
}

// SetSetgroups is a write to /proc/pid/setgroups.
func (ns *UserNamespace) SetSetgroups(allow bool) error {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if allow {
		if ns.denySetgroups {
			return errno.EPERM
		}
		return nil
	}
	if len(ns.gidMap) > 0 {
		return errno.EPERM
	}
	ns.denySetgroups = true
	return nil
}

// Maps returns uid_map (gid_map with group) as seen from viewer: Outside is
// in viewer's ids.
func (ns *UserNamespace) Maps(group bool, viewer *UserNamespace) []IDMap {
	if ns.Parent == nil {
		return []IDMap{{0, 0, NoID}}
	}
	ns.mu.RLock()
	m := append([]IDMap(nil), ns.uidMap...)
	if group {
		m = append([]IDMap(nil), ns.gidMap...)
	}
	ns.mu.RUnlock()
	if viewer == ns {
		// In its own namespace a map is shown in the parent's ids.
		viewer = ns.Parent
	}
	for i := range m {
		if group {
			m[i].Outside = viewer.gidOrNone(m[i].Outside)
		} else {
			m[i].Outside = viewer.uidOrNone(m[i].Outside)
		}
	}
	return m
}

func (ns *UserNamespace) uidOrNone(k uint32) uint32 {
	if ns == nil || ns.Parent == nil {
		return k
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	if u, ok := fromKernel(ns.uidMap, k); ok {
		return u
	}
	return NoID
}

func (ns *UserNamespace) gidOrNone(k uint32) uint32 {
	if ns == nil || ns.Parent == nil {
		return k
	}
	ns.mu.RLock()
	defer ns.mu.RUnlock()
	if u, ok := fromKernel(ns.gidMap, k); ok {
		return u
	}
	return NoID
}

// SetMap is a write to uid_map or gid_map by a process with credentials c,
// opened by one with opener (linux: kernel/user_namespace.c map_write).
// Outside is in ids of the parent namespace.
func (ns *UserNamespace) SetMap(group bool, lines []IDMap, c, opener *Credentials) error {
	if ns.Parent == nil {
		return errno.EPERM
	}
	if len(lines) == 0 || len(lines) > 340 {
		return errno.EINVAL
	}
	for i, l := range lines {
		if l.Length == 0 || l.Inside+l.Length < l.Inside || l.Outside+l.Length < l.Outside ||
			l.Inside == NoID || l.Outside == NoID {
			return errno.EINVAL
		}
		for _, o := range lines[:i] {
			if l.Inside < o.Inside+o.Length && o.Inside < l.Inside+l.Length ||
				l.Outside < o.Outside+o.Length && o.Outside < l.Outside+l.Length {
				return errno.EINVAL
			}
		}
	}
	capID := CapSetuid
	if group {
		capID = CapSetgid
	}
	if !c.HasCap(CapSysAdmin, ns) {
		return errno.EPERM
	}
	if c.UserNS != ns && c.UserNS != ns.Parent {
		return errno.EPERM
	}
	if !ns.mayMap(group, lines, c, opener, capID) {
		return errno.EPERM
	}
	kernel := make([]IDMap, len(lines))
	for i, l := range lines {
		var first, last uint32
		var ok1, ok2 bool
		if group {
			a, o1 := ns.Parent.KGID(l.Outside)
			b, o2 := ns.Parent.KGID(l.Outside + l.Length - 1)
			first, last, ok1, ok2 = uint32(a), uint32(b), o1, o2
		} else {
			a, o1 := ns.Parent.KUID(l.Outside)
			b, o2 := ns.Parent.KUID(l.Outside + l.Length - 1)
			first, last, ok1, ok2 = uint32(a), uint32(b), o1, o2
		}
		if !ok1 || !ok2 || last-first != l.Length-1 {
			return errno.EPERM
		}
		kernel[i] = IDMap{l.Inside, first, l.Length}
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	p := &ns.uidMap
	if group {
		p = &ns.gidMap
	}
	if len(*p) > 0 {
		return errno.EPERM
	}
	*p = kernel
	return nil
}

func (ns *UserNamespace) mayMap(group bool, lines []IDMap, c, opener *Credentials, capID Cap) bool {
	if len(lines) == 1 && lines[0].Length == 1 && c.EUID == ns.Owner {
		if group {
			k, ok := ns.Parent.KGID(lines[0].Outside)
			ns.mu.RLock()
			deny := ns.denySetgroups
			ns.mu.RUnlock()
			if ok && deny && k == c.EGID {
				return true
			}
		} else {
			k, ok := ns.Parent.KUID(lines[0].Outside)
			if ok && k == c.EUID {
				return true
			}
		}
	}
	return c.HasCap(capID, ns.Parent) && opener.HasCap(capID, ns.Parent)
}
