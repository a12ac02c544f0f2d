package vfs

import "strings"

// Path is a place in the mount tree: a dentry seen through a mount. The zero
// value is no place. Whoever keeps a Path holds a reference on it.
type Path struct {
	Mount  *Mount
	Dentry *Dentry
}

// Ok says whether p is a place.
func (p Path) Ok() bool { return p.Dentry != nil }

// IncRef takes another reference.
func (p Path) IncRef() Path {
	if p.Dentry != nil {
		p.Mount.IncRef()
		p.Dentry.IncRef()
	}
	return p
}

// DecRef drops a reference.
func (p Path) DecRef() {
	if p.Dentry != nil {
		p.Dentry.DecRef()
		p.Mount.DecRef()
	}
}

// Inode returns the inode.
func (p Path) Inode() Inode { return p.Dentry.inode }

// String returns the path as seen from root, as /proc shows it: with
// " (deleted)" if its name is gone. A path outside root is shown from the
// root of its mount tree.
func (p Path) String(root Path) string {
	s, _ := p.Resolve(root)
	if p.Dentry != nil && p.Dentry.Removed() && p.Dentry.sb.named() {
		s += " (deleted)"
	}
	return s
}

// Resolve returns the path as seen from root and whether it is below root.
func (p Path) Resolve(root Path) (string, bool) {
	if p.Dentry == nil {
		return "", false
	}
	if n, ok := p.Dentry.inode.(SelfNamed); ok {
		return n.FileName(), true
	}
	var parts []string
	m, d := p.Mount, p.Dentry
	reach := false
	for {
		if m == root.Mount && d == root.Dentry {
			reach = true
			break
		}
		if d == m.root {
			a := m.at.Load()
			if a == nil {
				break
			}
			m, d = a.parent, a.point
			continue
		}
		pl := d.at.Load()
		if pl.parent == nil {
			break
		}
		parts = append(parts, pl.name)
		d = pl.parent
	}
	if len(parts) == 0 {
		return "/", reach
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	return b.String(), reach
}

// dentryPath is the path of d inside its file system, up to top.
func dentryPath(d, top *Dentry) string {
	var parts []string
	for d != top {
		pl := d.at.Load()
		if pl.parent == nil {
			break
		}
		parts = append(parts, pl.name)
		d = pl.parent
	}
	if len(parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(parts[i])
	}
	return b.String()
}

// below says whether d is top or under it.
func below(d, top *Dentry) bool {
	for d != top {
		if d = d.at.Load().parent; d == nil {
			return false
		}
	}
	return true
}
