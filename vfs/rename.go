package vfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// lockPair locks two directories of one file system: the ancestor first, else
// by age (linux: fs/namei.c lock_rename). Precondition: renameMu if they differ.
func lockPair(a, b *Dentry) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if below(a, b) || !below(b, a) && a.id > b.id {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// RenameAt is renameat2(2).
func (s *System) RenameAt(ctx kctx.Ctx, from, to Op, flags uint32) error {
	const known = unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE | unix.RENAME_WHITEOUT
	if flags&^known != 0 || flags&unix.RENAME_EXCHANGE != 0 && flags&(unix.RENAME_NOREPLACE|unix.RENAME_WHITEOUT) != 0 {
		return errno.EINVAL
	}
	if flags&unix.RENAME_WHITEOUT != 0 && !ctx.Creds().HasCap(creds.CapMknod, rootNS(ctx.Creds().UserNS)) {
		return errno.EPERM
	}
	var a, b walk
	oldName, oldSlash, err := a.parentOf(ctx, &from)
	if err != nil {
		return err
	}
	defer a.drop()
	newName, newSlash, err := b.parentOf(ctx, &to)
	if err != nil {
		return err
	}
	defer b.drop()
	if a.mnt != b.mnt {
		return errno.EXDEV
	}
	if oldName == "" || oldName == "." || oldName == ".." {
		return errno.EBUSY
	}
	if newName == "" || newName == "." || newName == ".." {
		if flags&unix.RENAME_NOREPLACE != 0 {
			return errno.EEXIST
		}
		return errno.EBUSY
	}
	if err := a.mnt.wantWrite(); err != nil {
		return err
	}
	r := rename{s: s, ctx: ctx, m: a.mnt, oldDir: a.d, newDir: b.d, oldName: oldName, newName: newName, flags: flags}
	if r.oldDir != r.newDir {
		r.oldDir.sb.renameMu.Lock()
		defer r.oldDir.sb.renameMu.Unlock()
	}
	unlock := lockPair(r.oldDir, r.newDir)
	err = r.locked(oldSlash, newSlash)
	unlock()
	r.finish(err)
	return err
}

// rename is the state of one rename.
type rename struct {
	s              *System
	ctx            kctx.Ctx
	m              *Mount
	oldDir, newDir *Dentry
	oldName        string
	newName        string
	flags          uint32
	old, new       *Dentry
	same           bool
}

func (r *rename) locked(oldSlash, newSlash bool) (err error) {
	s, ctx := r.s, r.ctx
	if r.old, err = s.lookupChildLocked(ctx, r.oldDir, r.oldName); err != nil {
		return err
	}
	if r.old.inode == nil {
		return errno.ENOENT
	}
	if r.new, err = s.lookupChildLocked(ctx, r.newDir, r.newName); err != nil {
		return err
	}
	old, victim := r.old, r.new
	exchange := r.flags&unix.RENAME_EXCHANGE != 0
	switch {
	case r.flags&unix.RENAME_NOREPLACE != 0 && victim.inode != nil:
		return errno.EEXIST
	case exchange && victim.inode == nil:
		return errno.ENOENT
	case !old.IsDir() && (oldSlash || newSlash && !exchange):
		return errno.ENOTDIR
	case exchange && newSlash && !victim.IsDir():
		return errno.ENOTDIR
	case below(r.newDir, old):
		return errno.EINVAL
	case victim.inode != nil && below(r.oldDir, victim):
		if exchange {
			return errno.EINVAL
		}
		return errno.ENOTEMPTY
	}
	if err := mayDelete(ctx, r.oldDir.inode, old.inode); err != nil {
		return err
	}
	if victim.inode == nil {
		if r.newDir.Removed() && r.newDir != r.m.root {
			return errno.ENOENT
		}
		if err := Permission(ctx, r.newDir.inode, MayWrite|MayExec); err != nil {
			return err
		}
	} else {
		if victim.inode == old.inode {
			r.same = true
			return nil
		}
		if err := mayDelete(ctx, r.newDir.inode, victim.inode); err != nil {
			return err
		}
		if !exchange && old.IsDir() && !victim.IsDir() {
			return errno.ENOTDIR
		}
		if !exchange && !old.IsDir() && victim.IsDir() {
			return errno.EISDIR
		}
	}
	// A directory that gets a new parent is written to ("..").
	if r.oldDir != r.newDir {
		if old.IsDir() {
			if err := Permission(ctx, old.inode, MayWrite); err != nil {
				return err
			}
		}
		if exchange && victim.IsDir() {
			if err := Permission(ctx, victim.inode, MayWrite); err != nil {
				return err
			}
		}
	}
	if old.mounts.Load() > 0 || victim.mounts.Load() > 0 {
		return errno.EBUSY
	}
	return r.apply()
}

func (r *rename) apply() error {
	c := &r.s.dcache
	lockVictim := r.new.inode != nil && r.new.IsDir() && r.flags&unix.RENAME_EXCHANGE == 0
	if lockVictim {
		r.new.mu.Lock()
	}
	err := r.oldDir.inode.Rename(r.ctx, r.oldName, r.old.inode, r.newDir.inode, r.newName, r.new.inode, r.flags)
	if lockVictim {
		if err == nil {
			r.new.setFlag(dRemoved)
		}
		r.new.mu.Unlock()
	}
	if err != nil {
		return err
	}
	if r.flags&unix.RENAME_EXCHANGE != 0 {
		c.exchange(r.old, r.new)
		return nil
	}
	c.remove(r.new)
	c.move(r.old, r.newDir, r.newName)
	return nil
}

func (r *rename) finish(err error) {
	if err == nil && !r.same {
		r.s.notifyRename(r)
	}
	if r.old != nil {
		r.old.DecRef()
	}
	if r.new != nil {
		r.new.DecRef()
	}
}
