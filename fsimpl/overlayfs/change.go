package overlayfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// vacate makes sure that i has an upper directory without anything at name,
// where a whiteout may be. It says whether name exists below, so that a
// directory put there must be opaque.
func (i *inode) vacate(ctx kctx.Ctx, name string) (dir vfs.Inode, below bool, err error) {
	if !i.isDir() {
		return nil, false, errno.ENOTDIR
	}
	if err := i.copyUp(ctx, -1); err != nil {
		return nil, false, err
	}
	dir = i.up()
	if len(i.lower) == 0 {
		return dir, false, nil
	}
	w, err := dir.Lookup(ctx, name)
	if err == errno.ENOENT {
		return dir, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer w.Release()
	if !isWhiteout(ctx, w) {
		return nil, false, errno.EEXIST
	}
	return dir, true, dir.Unlink(i.fs.kernel, name, w)
}

// born finishes the making of an upper file.
func (i *inode) born(ctx kctx.Ctx, name string, u vfs.Inode, whited bool, err error) (vfs.Inode, error) {
	if err != nil {
		if whited {
			i.whiteout(name) // as it was
		}
		return nil, err
	}
	return i.newInode(ctx, name, u, nil), nil
}

// whiteout hides name of the layers below.
func (i *inode) whiteout(name string) error {
	w, err := i.up().Mknod(i.fs.kernel, name, unix.S_IFCHR, vfs.Dev{})
	if err != nil {
		return err
	}
	w.Release()
	return nil
}

// Create implements vfs.Inode.
func (i *inode) Create(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	dir, whited, err := i.vacate(ctx, name)
	if err != nil {
		return nil, err
	}
	u, err := dir.Create(ctx, name, mode)
	return i.born(ctx, name, u, whited, err)
}

// Tmpfile implements vfs.Tmpfiler.
func (i *inode) Tmpfile(ctx kctx.Ctx, mode uint32) (vfs.Inode, error) {
	if err := i.copyUp(ctx, -1); err != nil {
		return nil, err
	}
	t, ok := i.up().(vfs.Tmpfiler)
	if !ok {
		return nil, errno.EOPNOTSUPP
	}
	u, err := t.Tmpfile(ctx, mode)
	if err != nil {
		return nil, err
	}
	return i.newInode(ctx, "", u, nil), nil
}

// Mkdir implements vfs.Inode.
func (i *inode) Mkdir(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	dir, whited, err := i.vacate(ctx, name)
	if err != nil {
		return nil, err
	}
	u, err := dir.Mkdir(ctx, name, mode)
	if err == nil && whited {
		if err = i.fs.setOwn(u, xattrOpaque, "y"); err != nil {
			dir.Rmdir(i.fs.kernel, name, u)
			u.Release()
		}
	}
	return i.born(ctx, name, u, whited, err)
}

// Mknod implements vfs.Inode.
func (i *inode) Mknod(ctx kctx.Ctx, name string, mode uint32, dev vfs.Dev) (vfs.Inode, error) {
	if mode&unix.S_IFMT == unix.S_IFCHR && dev == (vfs.Dev{}) {
		return nil, errno.EPERM // a whiteout
	}
	dir, whited, err := i.vacate(ctx, name)
	if err != nil {
		return nil, err
	}
	u, err := dir.Mknod(ctx, name, mode, dev)
	return i.born(ctx, name, u, whited, err)
}

// Symlink implements vfs.Inode.
func (i *inode) Symlink(ctx kctx.Ctx, name, target string) (vfs.Inode, error) {
	dir, whited, err := i.vacate(ctx, name)
	if err != nil {
		return nil, err
	}
	u, err := dir.Symlink(ctx, name, target)
	return i.born(ctx, name, u, whited, err)
}

// Link implements vfs.Inode.
func (i *inode) Link(ctx kctx.Ctx, name string, target vfs.Inode) error {
	t, ok := target.(*inode)
	if !ok || t.fs != i.fs {
		return errno.EXDEV
	}
	if err := t.copyUp(ctx, -1); err != nil {
		return err
	}
	dir, whited, err := i.vacate(ctx, name)
	if err != nil {
		return err
	}
	if err := dir.Link(ctx, name, t.up()); err != nil {
		if whited {
			i.whiteout(name)
		}
		return err
	}
	if t.parent != i {
		i.impure.Store(true) // the file may show another number than upper's
	}
	t.gone.Store(false)
	s := i.fs
	s.mu.Lock()
	s.shared[t.up()] = t
	s.mu.Unlock()
	return nil
}

// Unlink implements vfs.Inode.
func (i *inode) Unlink(ctx kctx.Ctx, name string, child vfs.Inode) error {
	c, ok := child.(*inode)
	if !ok {
		return errno.EXDEV
	}
	return i.remove(ctx, name, c)
}

// Rmdir implements vfs.Inode.
func (i *inode) Rmdir(ctx kctx.Ctx, name string, child vfs.Inode) error {
	c, ok := child.(*inode)
	if !ok {
		return errno.EXDEV
	}
	if !c.isDir() {
		return errno.ENOTDIR
	}
	if err := c.clear(ctx); err != nil {
		return err
	}
	return i.remove(ctx, name, c)
}

// remove takes name away in the upper layer and hides it below.
func (i *inode) remove(ctx kctx.Ctx, name string, c *inode) error {
	if err := i.copyUp(ctx, -1); err != nil {
		return err
	}
	below, err := i.lowerHas(ctx, name)
	if err != nil {
		return err
	}
	c.copyMu.Lock() // no copy-up between the removal and the whiteout
	defer c.copyMu.Unlock()
	if u := c.up(); u != nil {
		if c.isDir() {
			err = i.up().Rmdir(ctx, name, u)
		} else {
			err = i.up().Unlink(ctx, name, u)
		}
		if err != nil {
			return err
		}
	}
	c.gone.Store(true)
	if below {
		return i.whiteout(name)
	}
	return nil
}

// clear checks that a directory shows no entries, and removes the whiteouts
// from its upper part.
func (i *inode) clear(ctx kctx.Ctx) error {
	l, err := i.merge(ctx)
	if err != nil {
		return err
	}
	if len(l) > 0 {
		return errno.ENOTEMPTY
	}
	u := i.up()
	if u == nil || len(i.lower) == 0 {
		return nil
	}
	raw, err := readAll(ctx, u)
	if err != nil {
		return err
	}
	for _, e := range raw {
		w, err := u.Lookup(ctx, e.Name)
		if err != nil {
			continue
		}
		if isWhiteout(ctx, w) {
			err = u.Unlink(i.fs.kernel, e.Name, w)
		}
		w.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// Rename implements vfs.Inode. A directory with anything below cannot be
// moved: EXDEV, as Linux does without redirect_dir.
func (i *inode) Rename(ctx kctx.Ctx, oldName string, child vfs.Inode, newDir vfs.Inode, newName string, replaced vfs.Inode, flags uint32) error {
	c, ok := child.(*inode)
	nd, ok2 := newDir.(*inode)
	if !ok || !ok2 || nd.fs != i.fs {
		return errno.EXDEV
	}
	if flags&unix.RENAME_WHITEOUT != 0 {
		return errno.EINVAL
	}
	var r *inode
	if replaced != nil {
		if r, ok = replaced.(*inode); !ok {
			return errno.EXDEV
		}
	}
	if flags&unix.RENAME_EXCHANGE != 0 {
		return i.exchange(ctx, oldName, c, nd, newName, r)
	}
	if c.isDir() && len(c.lower) > 0 {
		return errno.EXDEV
	}
	if r != nil && r.isDir() {
		if !c.isDir() {
			return errno.EISDIR
		}
		if err := r.clear(ctx); err != nil {
			return err
		}
	}
	if err := c.copyUp(ctx, -1); err != nil {
		return err
	}
	hideOld, err := i.lowerHas(ctx, oldName)
	if err != nil {
		return err
	}
	if err := i.copyUp(ctx, -1); err != nil {
		return err
	}
	whited := false
	if r == nil {
		if _, whited, err = nd.vacate(ctx, newName); err != nil {
			return err
		}
	} else if err := nd.copyUp(ctx, -1); err != nil {
		return err
	}
	below, err := nd.lowerHas(ctx, newName)
	if err != nil {
		return err
	}
	if c.isDir() && below {
		if err := i.fs.setOwn(c.up(), xattrOpaque, "y"); err != nil {
			return err
		}
	}
	var victim vfs.Inode
	if r != nil {
		r.copyMu.Lock()
		defer r.copyMu.Unlock()
		victim = r.up()
	}
	if err := i.up().Rename(ctx, oldName, c.up(), nd.up(), newName, victim, 0); err != nil {
		if whited {
			nd.whiteout(newName)
		}
		return err
	}
	if r != nil {
		r.gone.Store(true)
	}
	c.parent, c.name = nd, newName
	nd.impure.Store(true)
	if hideOld {
		return i.whiteout(oldName)
	}
	return nil
}

func (i *inode) exchange(ctx kctx.Ctx, oldName string, c *inode, nd *inode, newName string, r *inode) error {
	if r == nil {
		return errno.ENOENT
	}
	for _, x := range []*inode{c, r} {
		if x.isDir() && len(x.lower) > 0 {
			return errno.EXDEV
		}
		if err := x.copyUp(ctx, -1); err != nil {
			return err
		}
		if x.isDir() {
			if err := i.fs.setOwn(x.up(), xattrOpaque, "y"); err != nil {
				return err
			}
		}
	}
	if err := i.up().Rename(ctx, oldName, c.up(), nd.up(), newName, r.up(), unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	c.parent, c.name, r.parent, r.name = nd, newName, i, oldName
	i.impure.Store(true)
	nd.impure.Store(true)
	return nil
}
