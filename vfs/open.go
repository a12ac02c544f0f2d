package vfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// Tmpfiler is a directory Inode that can make files without a name
// (O_TMPFILE). The inode's link count is 0 until Link names it.
type Tmpfiler interface {
	Tmpfile(ctx kctx.Ctx, mode uint32) (Inode, error)
}

// OpenAt is open(2): op with flags O_* and, for O_CREAT and O_TMPFILE, mode
// with the umask already applied.
func (s *System) OpenAt(ctx kctx.Ctx, op Op, flags, mode uint32) (*File, error) {
	if flags&unix.O_NOFOLLOW != 0 {
		op.Flags |= OpNoFollow
	}
	if flags&unix.O_PATH != 0 {
		flags &= unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
		return s.openPath(ctx, &op, flags)
	}
	if flags&unix.O_TMPFILE == unix.O_TMPFILE {
		return s.openTmpfile(ctx, &op, flags, mode)
	}
	if flags&unix.O_CREAT != 0 {
		if flags&unix.O_DIRECTORY != 0 {
			return nil, errno.EINVAL
		}
		return s.openCreate(ctx, &op, flags, mode)
	}
	if flags&unix.O_DIRECTORY != 0 {
		op.Flags |= OpDirectory
	}
	var w walk
	if err := w.existing(ctx, &op); err != nil {
		return nil, err
	}
	return s.openExisting(ctx, &w, flags, false)
}

func (s *System) openPath(ctx kctx.Ctx, op *Op, flags uint32) (*File, error) {
	if flags&unix.O_DIRECTORY != 0 {
		op.Flags |= OpDirectory
	}
	var w walk
	if err := w.existing(ctx, op); err != nil {
		return nil, err
	}
	return newFile(s, ctx.Creds(), w.path(), nil, flags), nil
}

// OpenFile opens p, of which it takes no reference, with flags O_*; without
// permission checks if trusted (the sentry's own needs).
func (s *System) OpenFile(ctx kctx.Ctx, p Path, flags uint32, trusted bool) (*File, error) {
	p.Dentry.IncRef()
	w := walk{sys: s, ctx: ctx, cr: ctx.Creds(), mnt: p.Mount, d: p.Dentry, held: true}
	return s.openExisting(ctx, &w, flags, trusted)
}

// openExisting opens where w ended. It uses up w's reference.
func (s *System) openExisting(ctx kctx.Ctx, w *walk, flags uint32, trusted bool) (*File, error) {
	d, m := w.d, w.mnt
	f, err := s.openDentry(ctx, m, d, flags, trusted)
	w.drop()
	return f, err
}

// accessMask turns an open mode into a permission mask.
func accessMask(flags uint32) uint32 {
	mask := [4]uint32{MayRead, MayWrite, MayRead | MayWrite, MayRead | MayWrite}[flags&unix.O_ACCMODE]
	if flags&unix.O_TRUNC != 0 {
		mask |= MayWrite
	}
	return mask
}

// openDentry checks access (unless trusted) and opens d seen through m; it
// takes its own references.
func (s *System) openDentry(ctx kctx.Ctx, m *Mount, d *Dentry, flags uint32, trusted bool) (*File, error) {
	inode := d.inode
	mode, _, _ := inode.Attr()
	mask := accessMask(flags)
	kind := mode & typeMask
	switch kind {
	case unix.S_IFLNK:
		return nil, errno.ELOOP
	case unix.S_IFDIR:
		if mask&MayWrite != 0 {
			return nil, errno.EISDIR
		}
	case unix.S_IFSOCK:
		return nil, errno.ENXIO
	case unix.S_IFCHR, unix.S_IFBLK:
		if m.Flags()&MountNoDev != 0 {
			return nil, errno.EACCES
		}
	}
	if !trusted {
		if d.flags.Load()&dPermission != 0 {
			if err := inode.(Permissioner).Permission(ctx, mask); err != nil {
				return nil, err
			}
		} else if err := Permission(ctx, inode, mask); err != nil {
			return nil, err
		}
		if flags&unix.O_NOATIME != 0 && !isOwner(ctx.Creds(), inode) {
			return nil, errno.EPERM
		}
	}
	return s.openInode(ctx, m, d, kind, flags)
}

func (s *System) openInode(ctx kctx.Ctx, m *Mount, d *Dentry, kind, flags uint32) (*File, error) {
	inode := d.inode
	write := accessMask(flags)&MayWrite != 0
	if kind == unix.S_IFREG {
		if err := s.breakLeases(ctx, inode, write, flags&unix.O_NONBLOCK != 0); err != nil {
			return nil, err
		}
	}
	extra := uint32(0)
	if write && (kind == unix.S_IFREG || kind == 0) {
		if err := m.wantWrite(); err != nil {
			return nil, err
		}
		if err := s.getWrite(inode); err != nil {
			return nil, err
		}
		m.writers.Add(1)
		d.sb.writers.Add(1)
		extra = fMountWriter | fInodeWriter
	}
	undo := func() {
		if extra != 0 {
			m.writers.Add(-1)
			d.sb.writers.Add(-1)
			s.base(inode).writers.Add(-1)
		}
	}
	if o, ok := inode.(FileOpener); ok {
		f, err := o.OpenFile(ctx, Path{m, d}, flags)
		undo()
		return f, err
	}
	ops, err := s.openOps(ctx, m, d, kind, flags)
	if err != nil {
		undo()
		return nil, err
	}
	d.IncRef()
	m.IncRef()
	f := newFile(s, ctx.Creds(), Path{m, d}, ops, flags&^(unix.O_CREAT|unix.O_EXCL|unix.O_NOCTTY|unix.O_TRUNC))
	f.mode |= extra
	if flags&unix.O_TRUNC != 0 && kind == unix.S_IFREG {
		ss := SetStat{Mask: SetSize}
		mode, _, _ := inode.Attr()
		if mk := killSetID(mode); mk != mode && !Capable(ctx.Creds(), creds.CapFsetid, inode) {
			ss.Mask |= SetMode
			ss.Mode = mk
		}
		if err := inode.SetStat(ctx, ss); err != nil {
			f.DecRef(ctx)
			return nil, err
		}
		f.notifyModify()
	}
	f.notifyOpen()
	return f, nil
}

func (s *System) openOps(ctx kctx.Ctx, m *Mount, d *Dentry, kind, flags uint32) (FileOps, error) {
	switch kind {
	case unix.S_IFIFO:
		if s.OpenFIFO != nil {
			return s.OpenFIFO(ctx, d.inode, flags)
		}
	case unix.S_IFCHR, unix.S_IFBLK:
		st, err := d.inode.Stat(ctx)
		if err != nil {
			return nil, err
		}
		if open := s.device(kind == unix.S_IFBLK, st.Rdev); open != nil {
			return open(ctx, Path{m, d}, flags)
		}
	}
	return d.inode.Open(ctx, d, flags)
}

// openCreate is open with O_CREAT: the last component is looked up under its
// directory's lock, links are followed from there (linux: open_last_lookups).
func (s *System) openCreate(ctx kctx.Ctx, op *Op, flags, mode uint32) (*File, error) {
	var w walk
	w.init(ctx, op)
	path := op.Path
	for {
		var last string
		var slash bool
		err := w.run(func() (err error) {
			last, slash, err = w.parent(path)
			return err
		})
		if err != nil {
			return nil, err
		}
		if last == "" || slash || last == "." || last == ".." {
			// A directory is not made so, whatever the name is now.
			dots := last == "" || last == "." || last == ".."
			w.drop()
			if dots && flags&unix.O_EXCL != 0 {
				return nil, errno.EEXIST
			}
			return nil, errno.EISDIR
		}
		f, link, err := s.createOrOpen(ctx, &w, last, flags, mode)
		if link == nil {
			w.drop()
			return f, err
		}
		// A symbolic link to follow: to its target's directory, and again.
		target, err := s.creationLink(ctx, &w, link, last)
		if err != nil {
			w.drop()
			return nil, err
		}
		if target == "" { // a magic link led to something: open it
			return s.openExisting(ctx, &w, flags, false)
		}
		path = target
		// Walk on from the link's directory; a retry would begin at Start.
		w.start = Path{w.mnt, w.d}
		held := w.d
		held.IncRef()
		defer held.DecRef()
	}
}

// creationLink follows the last link of a creating open.
func (s *System) creationLink(ctx kctx.Ctx, w *walk, link *Dentry, last string) (string, error) {
	defer link.DecRef()
	if w.links++; w.links > maxLinks || w.flags&(OpNoSymlinks|OpNoFollow) != 0 {
		return "", errno.ELOOP
	}
	if _, ok := link.inode.(MagicLink); ok {
		link.IncRef()
		if err := w.follow(link, true); err != nil {
			return "", err
		}
		return "", w.hold()
	}
	t, err := link.inode.Readlink(ctx)
	if err == nil && t == "" {
		err = errno.ENOENT
	}
	return t, err
}

// createOrOpen opens last in w's directory, making it if need be. If it is a
// symbolic link to follow it is returned with a reference.
func (s *System) createOrOpen(ctx kctx.Ctx, w *walk, last string, flags, mode uint32) (*File, *Dentry, error) {
	dir := w.d
	d, err := s.lookupChild(ctx, dir, last)
	if err != nil {
		return nil, nil, err
	}
	if d.inode == nil {
		d.DecRef()
		f, d2, err := s.create(ctx, w, last, flags, mode)
		if f != nil || err != nil {
			return f, nil, err
		}
		d = d2 // somebody was faster
	}
	if flags&unix.O_EXCL != 0 {
		d.DecRef()
		return nil, nil, errno.EEXIST
	}
	if d.flags.Load()&dSymlink != 0 {
		if flags&unix.O_NOFOLLOW != 0 {
			d.DecRef()
			return nil, nil, errno.ELOOP
		}
		return nil, d, nil
	}
	m := w.mnt
	for d.mounts.Load() > 0 {
		x := s.mountOn(m, d)
		if x == nil {
			break
		}
		m = x
		x.root.IncRef()
		d.DecRef()
		d = x.root
	}
	defer d.DecRef()
	if d.IsDir() {
		return nil, nil, errno.EISDIR
	}
	f, err := s.openDentry(ctx, m, d, flags, false)
	return f, nil, err
}

// create makes and opens a regular file; a dentry (with a reference) instead
// if the name exists by now.
func (s *System) create(ctx kctx.Ctx, w *walk, last string, flags, mode uint32) (*File, *Dentry, error) {
	dir := w.d
	dir.mu.Lock()
	d, err := s.lookupChildLocked(ctx, dir, last)
	if err != nil {
		dir.mu.Unlock()
		return nil, nil, err
	}
	if d.inode != nil {
		dir.mu.Unlock()
		return nil, d, nil
	}
	d, err = s.makeLocked(ctx, w.mnt, dir, d, last, func() (Inode, error) {
		return dir.inode.Create(ctx, last, mode&0o7777)
	})
	dir.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	s.notifyCreate(dir, d)
	// The mode does not bind the creator's own descriptor.
	f, err := s.openInode(ctx, w.mnt, d, unix.S_IFREG, flags&^unix.O_TRUNC)
	d.DecRef()
	if err == nil {
		f.mode |= fCreated
	}
	return f, nil, err
}

// makeLocked replaces the negative dentry neg (whose reference it uses up) by
// what mk makes. Precondition: dir.mu.
func (s *System) makeLocked(ctx kctx.Ctx, m *Mount, dir, neg *Dentry, name string, mk func() (Inode, error)) (*Dentry, error) {
	defer neg.DecRef()
	if dir.Removed() && dir != m.root {
		return nil, errno.ENOENT
	}
	if err := m.wantWrite(); err != nil {
		return nil, err
	}
	if err := Permission(ctx, dir.inode, MayWrite|MayExec); err != nil {
		return nil, err
	}
	inode, err := mk()
	if err != nil {
		return nil, err
	}
	s.dcache.remove(neg)
	return s.dcache.add(dir, name, inode), nil
}

func (s *System) openTmpfile(ctx kctx.Ctx, op *Op, flags, mode uint32) (*File, error) {
	if flags&unix.O_ACCMODE == unix.O_RDONLY {
		return nil, errno.EINVAL
	}
	op.Flags |= OpDirectory
	var w walk
	if err := w.existing(ctx, op); err != nil {
		return nil, err
	}
	defer w.drop()
	if err := Permission(ctx, w.d.inode, MayWrite|MayExec); err != nil {
		return nil, err
	}
	if err := w.mnt.wantWrite(); err != nil {
		return nil, err
	}
	t, ok := w.d.inode.(Tmpfiler)
	if !ok {
		return nil, errno.EOPNOTSUPP
	}
	inode, err := t.Tmpfile(ctx, mode&0o7777)
	if err != nil {
		return nil, err
	}
	d := s.dcache.newDentry(w.d.sb, w.d, "#"+utoa(s.nextIno.Add(1)), inode)
	d.setFlag(dRemoved)
	if flags&unix.O_EXCL == 0 {
		d.setFlag(dLinkable)
	}
	defer d.DecRef()
	return s.openInode(ctx, w.mnt, d, unix.S_IFREG, flags&^unix.O_EXCL)
}

// NewPathFile returns an O_PATH file of p, whose reference it takes. detached
// says that the mount's tree belongs to the file (open_tree(2), fsmount(2)).
func NewPathFile(ctx kctx.Ctx, p Path, detached bool) *File {
	f := newFile(p.Mount.sys, ctx.Creds(), p, nil, unix.O_PATH)
	if detached {
		f.mode |= fDetached
	}
	return f
}
