package vfs

import "sort"

// MountInfo is one line of /proc/pid/mountinfo.
type MountInfo struct {
	Mount        *Mount // without a reference
	ID, ParentID uint64
	Dev          Dev
	// Root is the part of the file system that is mounted, Point where, seen
	// from the root that was asked with.
	Root, Point string
	Flags       MountFlags
	ReadOnly    bool // the file system itself
	Type        string
	Source      string
	Options     string // of the file system
	// Propagation: peer group, master's group, 0 if none.
	Shared, Master uint32
	Unbindable     bool
}

// Mounts lists the mounts of ns that can be reached from root, in the order
// they were made.
func (ns *Namespace) Mounts(root Path) []MountInfo {
	s := ns.sys
	s.mountMu.RLock()
	defer s.mountMu.RUnlock()
	var l []MountInfo
	var walk func(m *Mount)
	walk = func(m *Mount) {
		if point, ok := (Path{m, m.root}).Resolve(root); ok {
			i := MountInfo{Mount: m, ID: m.id, ParentID: m.id, Dev: m.sb.fs.Dev(), Root: dentryPath(m.root, m.sb.root), Point: point,
				Flags: m.Flags(), ReadOnly: m.sb.readOnly.Load(), Type: m.sb.fs.Type().Name(), Source: m.source,
				Options: m.sb.fs.Options(), Unbindable: m.unbindable}
			if p, ok := m.sb.fs.(PartOf); ok {
				if top := p.RootPath(); i.Root == "/" {
					i.Root = top
				} else if top != "/" {
					i.Root = top + i.Root
				}
			}
			if a := m.at.Load(); a != nil {
				i.ParentID = a.parent.id
			}
			if m.group != nil {
				i.Shared = m.group.id
			}
			if m.master != nil {
				i.Master = m.master.id
			}
			l = append(l, i)
		}
		for _, c := range m.children {
			walk(c)
		}
	}
	walk(ns.root)
	sort.Slice(l, func(i, j int) bool { return l[i].ID < l[j].ID })
	return l
}
