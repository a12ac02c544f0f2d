package vfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// StatAt is fstatat(2) and statx(2).
func (s *System) StatAt(ctx kctx.Ctx, op Op) (Stat, error) {
	var w walk
	if err := w.existing(ctx, &op); err != nil {
		return Stat{}, err
	}
	st, err := w.d.inode.Stat(ctx)
	w.drop()
	return st, err
}

// newName walks to op's directory and calls mk to make the last name there;
// dirs says that a trailing slash is fine.
func (s *System) newName(ctx kctx.Ctx, op *Op, dirs bool, mk func(dir Inode, m *Mount, name string) (Inode, error)) error {
	var w walk
	last, slash, err := w.parentOf(ctx, op)
	if err != nil {
		return err
	}
	defer w.drop()
	if last == "" || last == "." || last == ".." {
		return errno.EEXIST
	}
	dir := w.d
	dir.mu.Lock()
	d, err := s.lookupChildLocked(ctx, dir, last)
	if err == nil && d.inode != nil {
		d.DecRef()
		err = errno.EEXIST
	} else if err == nil && slash && !dirs {
		d.DecRef()
		err = errno.ENOENT
	}
	if err != nil {
		dir.mu.Unlock()
		return err
	}
	d, err = s.makeLocked(ctx, w.mnt, dir, d, last, func() (Inode, error) { return mk(dir.inode, w.mnt, last) })
	dir.mu.Unlock()
	if err != nil {
		return err
	}
	s.notifyCreate(dir, d)
	d.DecRef()
	return nil
}

// MkdirAt is mkdirat(2); mode has the umask applied.
func (s *System) MkdirAt(ctx kctx.Ctx, op Op, mode uint32) error {
	return s.newName(ctx, &op, true, func(dir Inode, _ *Mount, name string) (Inode, error) {
		return dir.Mkdir(ctx, name, mode&0o1777)
	})
}

// MknodAt is mknodat(2); mode has type bits and the umask applied.
func (s *System) MknodAt(ctx kctx.Ctx, op Op, mode uint32, dev Dev) error {
	switch mode & typeMask {
	case 0, unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK:
	case unix.S_IFCHR, unix.S_IFBLK:
	case unix.S_IFDIR:
		return errno.EPERM
	default:
		return errno.EINVAL
	}
	return s.newName(ctx, &op, false, func(dir Inode, _ *Mount, name string) (Inode, error) {
		k := mode & typeMask
		// A whiteout is no device (linux: fs/namei.c vfs_mknod).
		if (k == unix.S_IFCHR && dev != Dev{} || k == unix.S_IFBLK) && !ctx.Creds().HasCap(creds.CapMknod, rootNS(ctx.Creds().UserNS)) {
			return nil, errno.EPERM
		}
		if k == 0 || k == unix.S_IFREG {
			return dir.Create(ctx, name, mode&0o7777)
		}
		return dir.Mknod(ctx, name, mode, dev)
	})
}

func rootNS(u *creds.UserNamespace) *creds.UserNamespace {
	for u != nil && u.Parent != nil {
		u = u.Parent
	}
	return u
}

// SymlinkAt is symlinkat(2).
func (s *System) SymlinkAt(ctx kctx.Ctx, target string, op Op) error {
	if target == "" {
		return errno.ENOENT
	}
	if len(target) >= 4096 {
		return errno.ENAMETOOLONG
	}
	return s.newName(ctx, &op, false, func(dir Inode, _ *Mount, name string) (Inode, error) {
		return dir.Symlink(ctx, name, target)
	})
}

// LinkAt is linkat(2): a new name op for old.
func (s *System) LinkAt(ctx kctx.Ctx, old, op Op) error {
	if old.Bad == nil && old.Path == "" && old.Flags&OpEmpty != 0 && !ctx.Creds().Capable(creds.CapDacReadSearch) && old.Start.Dentry.Removed() {
		return errno.ENOENT
	}
	src, err := s.Walk(ctx, old)
	if err != nil {
		return err
	}
	defer src.DecRef()
	return s.LinkPath(ctx, src, op)
}

// LinkPath gives the file at src another name.
func (s *System) LinkPath(ctx kctx.Ctx, src Path, op Op) error {
	var w walk
	last, slash, err := w.parentOf(ctx, &op)
	if err != nil {
		return err
	}
	defer w.drop()
	if last == "" || last == "." || last == ".." {
		return errno.EEXIST
	}
	dir := w.d
	dir.mu.Lock()
	defer dir.mu.Unlock()
	d, err := s.lookupChildLocked(ctx, dir, last)
	if err != nil {
		return err
	}
	defer d.DecRef()
	switch {
	case d.inode != nil:
		return errno.EEXIST
	case slash:
		return errno.ENOENT
	case src.Dentry.sb != dir.sb || src.Mount != w.mnt:
		return errno.EXDEV
	case dir.Removed() && dir != w.mnt.root:
		return errno.ENOENT
	}
	if err := w.mnt.wantWrite(); err != nil {
		return err
	}
	if err := Permission(ctx, dir.inode, MayWrite|MayExec); err != nil {
		return err
	}
	if src.Dentry.IsDir() {
		return errno.EPERM
	}
	if src.Dentry.Removed() && src.Dentry.flags.Load()&dLinkable == 0 {
		if st, err := src.Inode().Stat(ctx); err != nil || st.Nlink == 0 {
			return errno.ENOENT
		}
	}
	if err := mayLink(ctx, src.Inode()); err != nil {
		return err
	}
	if err := dir.inode.Link(ctx, last, src.Dentry.inode); err != nil {
		return err
	}
	s.dcache.remove(d)
	s.notifyLink(dir, last, src.Dentry)
	return nil
}

// mayLink is the rule of fs.protected_hardlinks (linux: fs/namei.c
// may_linkat): only the owner links what he could not write and read anyway.
func mayLink(ctx kctx.Ctx, i Inode) error {
	cr := ctx.Creds()
	if isOwner(cr, i) {
		return nil
	}
	mode, _, _ := i.Attr()
	if mode&typeMask != typeReg || mode&unix.S_ISUID != 0 || mode&(unix.S_ISGID|0o010) == unix.S_ISGID|0o010 ||
		Permission(ctx, i, MayRead|MayWrite) != nil {
		return errno.EPERM
	}
	return nil
}

// UnlinkAt is unlink(2).
func (s *System) UnlinkAt(ctx kctx.Ctx, op Op) error { return s.removeAt(ctx, &op, false) }

// RmdirAt is rmdir(2).
func (s *System) RmdirAt(ctx kctx.Ctx, op Op) error { return s.removeAt(ctx, &op, true) }

func (s *System) removeAt(ctx kctx.Ctx, op *Op, rmdir bool) error {
	var w walk
	last, slash, err := w.parentOf(ctx, op)
	if err != nil {
		return err
	}
	defer w.drop()
	switch {
	case !rmdir && (last == "" || last == "." || last == ".."):
		return errno.EISDIR
	case last == "":
		return errno.EBUSY
	case last == ".":
		return errno.EINVAL
	case last == "..":
		return errno.ENOTEMPTY
	}
	dir := w.d
	if err := w.mnt.wantWrite(); err != nil {
		// Linux looks the name up first only to tell ENOENT apart.
		d, lerr := s.lookupChild(ctx, dir, last)
		if lerr == nil {
			if d.inode == nil {
				err = errno.ENOENT
			}
			d.DecRef()
		}
		return err
	}
	dir.mu.Lock()
	d, err := s.removeLocked(ctx, w.mnt, dir, last, slash, rmdir)
	dir.mu.Unlock()
	if d != nil {
		if err == nil {
			s.notifyDelete(dir, d, last)
		}
		d.DecRef()
	}
	return err
}

// removeLocked removes name from dir and returns its dentry with a reference.
// Precondition: dir.mu.
func (s *System) removeLocked(ctx kctx.Ctx, m *Mount, dir *Dentry, name string, slash, rmdir bool) (*Dentry, error) {
	d, err := s.lookupChildLocked(ctx, dir, name)
	if err != nil {
		return nil, err
	}
	if d.inode == nil {
		return d, errno.ENOENT
	}
	if slash && !d.IsDir() {
		return d, errno.ENOTDIR
	}
	if err := mayDelete(ctx, dir.inode, d.inode); err != nil {
		return d, err
	}
	switch {
	case rmdir && !d.IsDir():
		return d, errno.ENOTDIR
	case !rmdir && d.IsDir():
		return d, errno.EISDIR
	case d.mounts.Load() > 0:
		return d, errno.EBUSY
	}
	if rmdir {
		d.mu.Lock() // nothing is made in it meanwhile
		err = dir.inode.Rmdir(ctx, name, d.inode)
		if err == nil {
			d.setFlag(dRemoved)
		}
		d.mu.Unlock()
	} else {
		err = dir.inode.Unlink(ctx, name, d.inode)
	}
	if err != nil {
		return d, err
	}
	s.dcache.remove(d)
	return d, nil
}

// ReadlinkAt is readlinkat(2).
func (s *System) ReadlinkAt(ctx kctx.Ctx, op Op) (string, error) {
	op.Flags |= OpNoFollow
	var w walk
	if err := w.existing(ctx, &op); err != nil {
		return "", err
	}
	defer w.drop()
	if w.d.flags.Load()&dSymlink == 0 {
		if op.Path == "" {
			return "", errno.ENOENT
		}
		return "", errno.EINVAL
	}
	return w.d.inode.Readlink(ctx)
}

// AccessAt is faccessat2(2) with the credentials to check; mask has MayRead,
// MayWrite and MayExec, 0 for existence.
func (s *System) AccessAt(ctx kctx.Ctx, op Op, cr *creds.Credentials, mask uint32) error {
	var w walk
	w.init(ctx, &op)
	w.cr = cr
	follow := op.Flags&OpNoFollow == 0
	err := w.run(func() error {
		if op.Path == "" && op.Flags&OpEmpty != 0 {
			return nil
		}
		return w.full(op.Path, follow)
	})
	if err != nil {
		return err
	}
	defer w.drop()
	if mask == 0 {
		return nil
	}
	mode, _, _ := w.d.inode.Attr()
	if mask&MayExec != 0 && mode&typeMask == typeReg && w.mnt.Flags()&MountNoExec != 0 {
		return errno.EACCES
	}
	if err := PermissionAs(ctx, cr, w.d.inode, mask); err != nil {
		return err
	}
	if mask&MayWrite != 0 {
		switch mode & typeMask {
		case unix.S_IFREG, unix.S_IFDIR, unix.S_IFLNK:
			return w.mnt.wantWrite()
		}
	}
	return nil
}

// SetStatAt changes attributes of op: chmod, chown, utimens, truncate. The
// rules of each are those of SetStatPath.
func (s *System) SetStatAt(ctx kctx.Ctx, op Op, set SetStat) error {
	var w walk
	if err := w.existing(ctx, &op); err != nil {
		return err
	}
	defer w.drop()
	return s.SetStatPath(ctx, Path{w.mnt, w.d}, set)
}

// SetStatPath changes attributes of what p leads to, with the permission rules
// of the fields (linux: fs/attr.c setattr_prepare).
func (s *System) SetStatPath(ctx kctx.Ctx, p Path, set SetStat) error {
	if err := p.Mount.wantWrite(); err != nil {
		return err
	}
	inode := p.Dentry.inode
	cr := ctx.Creds()
	mode, uid, gid := inode.Attr()
	if set.Mask&SetSize != 0 {
		switch mode & typeMask {
		case unix.S_IFDIR:
			return errno.EISDIR
		case unix.S_IFREG:
		default:
			return errno.EINVAL
		}
		if err := Permission(ctx, inode, MayWrite); err != nil {
			return err
		}
		if err := s.getWrite(inode); err != nil {
			return err
		}
		defer s.base(inode).writers.Add(-1)
		if m := killSetID(mode); m != mode && set.Mask&SetMode == 0 && !capable(cr, creds.CapFsetid, uid, gid) {
			set.Mask |= SetMode
			set.Mode = m
			return s.apply(ctx, p, set)
		}
	}
	if set.Mask&(SetUID|SetGID|SetKillID) != 0 {
		set.Mask &^= SetKillID
		if err := mayChown(cr, mode, uid, gid, &set); err != nil {
			return err
		}
	} else if set.Mask&SetMode != 0 {
		if cr.FSUID != uid && !capable(cr, creds.CapFowner, uid, gid) {
			return errno.EPERM
		}
		if mode&typeMask == typeLink {
			return errno.EOPNOTSUPP
		}
		if !cr.InGroup(gid) && !capable(cr, creds.CapFsetid, uid, gid) {
			set.Mode &^= unix.S_ISGID
		}
	}
	if set.Mask&(SetAtime|SetMtime) != 0 && cr.FSUID != uid && !capable(cr, creds.CapFowner, uid, gid) {
		return errno.EPERM
	}
	if set.Mask&(SetAtimeNow|SetMtimeNow) != 0 && cr.FSUID != uid && !capable(cr, creds.CapFowner, uid, gid) {
		if set.Mask&(SetAtimeNow|SetMtimeNow) != SetAtimeNow|SetMtimeNow {
			return errno.EPERM
		}
		if err := Permission(ctx, inode, MayWrite); err != nil {
			return err
		}
	}
	return s.apply(ctx, p, set)
}

func (s *System) apply(ctx kctx.Ctx, p Path, set SetStat) error {
	if err := p.Dentry.inode.SetStat(ctx, set); err != nil {
		return err
	}
	s.notifyAttrib(p.Dentry, set.Mask)
	return nil
}

// mayChown checks chown(2) and adds what it does to the mode.
func mayChown(cr *creds.Credentials, mode uint32, uid creds.KUID, gid creds.KGID, set *SetStat) error {
	if set.Mask&SetUID != 0 && !(cr.FSUID == uid && set.UID == uid) && !capable(cr, creds.CapChown, uid, gid) {
		return errno.EPERM
	}
	if set.Mask&SetGID != 0 && !(cr.FSUID == uid && (cr.InGroup(set.GID) || set.GID == gid)) && !capable(cr, creds.CapChown, uid, gid) {
		return errno.EPERM
	}
	if mode&typeMask != typeDir && set.Mask&SetMode == 0 {
		if m := mode &^ unix.S_ISUID; true {
			if mode&0o010 != 0 || !cr.InGroup(gid) && !capable(cr, creds.CapFsetid, uid, gid) {
				m &^= unix.S_ISGID
			}
			if m != mode {
				set.Mask |= SetMode
				set.Mode = m
			}
		}
	}
	return nil
}

// Statfs is statfs(2) of a path; flags are the mount's.
func (s *System) Statfs(ctx kctx.Ctx, p Path) (unix.Statfs_t, error) {
	st, err := p.Dentry.sb.fs.Statfs(ctx)
	if err != nil {
		return st, err
	}
	if i, ok := p.Dentry.inode.(*anonInode); ok {
		switch i.mode & typeMask {
		case unix.S_IFIFO:
			st.Type = 0x50495045 // PIPEFS_MAGIC
		case unix.S_IFSOCK:
			st.Type = 0x534f434b // SOCKFS_MAGIC
		}
	}
	st.Flags = 0x20 // ST_VALID
	fl := p.Mount.Flags()
	for _, x := range [...]struct {
		m MountFlags
		s int64
	}{{MountReadOnly, 1}, {MountNoSuid, 2}, {MountNoDev, 4}, {MountNoExec, 8}, {MountNoAtime, 0x400},
		{MountNoDirAtime, 0x800}, {MountRelatime, 0x1000}, {MountNoSymFollow, 0x2000}} {
		if fl&x.m != 0 {
			st.Flags |= x.s
		}
	}
	if p.Dentry.sb.readOnly.Load() {
		st.Flags |= 1
	}
	return st, nil
}
