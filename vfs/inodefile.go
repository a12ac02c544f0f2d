package vfs

import "redoubt.dev/redoubt/sentry/kctx"

// NewInodeFile returns a file of an inode that no directory has: a host
// descriptor, a namespace. The inode should be SelfNamed.
func NewInodeFile(ctx kctx.Ctx, s *System, i Inode, ops FileOps, flags uint32) *File {
	return newFile(s, ctx.Creds(), s.InodePath(i), ops, flags)
}

// InodePath returns a place, with a reference, for an inode that no directory
// has (the target of a magic link).
func (s *System) InodePath(i Inode) Path {
	d := s.dcache.newDentry(s.anon.sb, s.anon.root, "", i)
	d.setFlag(dRemoved)
	s.anon.IncRef()
	return Path{s.anon, d}
}
