package vfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// capable is capable_wrt_inode_uidgid: a capability of the caller's user
// namespace counts only if the inode's owner has a name there.
func capable(cr *creds.Credentials, c creds.Cap, uid creds.KUID, gid creds.KGID) bool {
	return cr.Effective.Has(c) && cr.UserNS.Mapped(uid, gid)
}

// Capable says whether cr has c over an inode.
func Capable(cr *creds.Credentials, c creds.Cap, i Inode) bool {
	_, uid, gid := i.Attr()
	return capable(cr, c, uid, gid)
}

// checkMode is the classic permission check (linux: fs/namei.c
// generic_permission).
func checkMode(cr *creds.Credentials, mode uint32, uid creds.KUID, gid creds.KGID, mask uint32) error {
	perm := mode
	switch {
	case cr.FSUID == uid:
		perm >>= 6
	case mode&0o070>>3 != mode&0o007 && cr.InGroup(gid):
		perm >>= 3
	}
	if perm&mask == mask {
		return nil
	}
	if mode&typeMask == typeDir {
		if mask&MayWrite == 0 && capable(cr, creds.CapDacReadSearch, uid, gid) {
			return nil
		}
		if capable(cr, creds.CapDacOverride, uid, gid) {
			return nil
		}
		return errno.EACCES
	}
	if mask == MayRead && capable(cr, creds.CapDacReadSearch, uid, gid) {
		return nil
	}
	if (mask&MayExec == 0 || mode&0o111 != 0) && capable(cr, creds.CapDacOverride, uid, gid) {
		return nil
	}
	return errno.EACCES
}

// Permission checks the caller's access to an inode: mode bits and
// capabilities, or the inode's own rule.
func Permission(ctx kctx.Ctx, i Inode, mask uint32) error {
	if p, ok := i.(Permissioner); ok {
		return p.Permission(ctx, mask)
	}
	mode, uid, gid := i.Attr()
	return checkMode(ctx.Creds(), mode, uid, gid, mask)
}

// PermissionAs is Permission with other credentials (access(2)).
func PermissionAs(ctx kctx.Ctx, cr *creds.Credentials, i Inode, mask uint32) error {
	if p, ok := i.(Permissioner); ok {
		return p.Permission(ctx, mask)
	}
	mode, uid, gid := i.Attr()
	return checkMode(cr, mode, uid, gid, mask)
}

// isOwner says whether cr owns i or may act as if (CAP_FOWNER).
func isOwner(cr *creds.Credentials, i Inode) bool {
	_, uid, gid := i.Attr()
	return cr.FSUID == uid || capable(cr, creds.CapFowner, uid, gid)
}

// mayDelete checks removal of child from dir: write and search on dir, and the
// sticky bit (linux: fs/namei.c may_delete).
func mayDelete(ctx kctx.Ctx, dir, child Inode) error {
	if err := Permission(ctx, dir, MayWrite|MayExec); err != nil {
		return err
	}
	mode, duid, _ := dir.Attr()
	if mode&unix.S_ISVTX == 0 {
		return nil
	}
	cr := ctx.Creds()
	_, cuid, cgid := child.Attr()
	if cr.FSUID == cuid || cr.FSUID == duid || capable(cr, creds.CapFowner, cuid, cgid) {
		return nil
	}
	return errno.EPERM
}

// NewOwner returns owner and mode of a new inode in dir: the caller's fs ids,
// or the directory's group if it is set-group-id (inode_init_owner).
func NewOwner(ctx kctx.Ctx, dir Inode, mode uint32) (uid creds.KUID, gid creds.KGID, m uint32) {
	cr := ctx.Creds()
	uid, gid = cr.FSUID, cr.FSGID
	dmode, _, dgid := dir.Attr()
	if dmode&unix.S_ISGID != 0 {
		gid = dgid
		if mode&typeMask == typeDir {
			mode |= unix.S_ISGID
		}
	}
	if mode&typeMask != typeDir && mode&(unix.S_ISGID|0o010) == unix.S_ISGID|0o010 &&
		!cr.InGroup(gid) && !cr.Capable(creds.CapFsetid) {
		mode &^= unix.S_ISGID
	}
	return uid, gid, mode
}
