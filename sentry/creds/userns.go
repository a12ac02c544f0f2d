package creds

import "sync"

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
