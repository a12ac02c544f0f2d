package vfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// xattrPermission applies the rules of the name spaces (xattr(7); linux:
// fs/xattr.c xattr_permission).
func xattrPermission(ctx kctx.Ctx, i Inode, name string, mask uint32) error {
	mode, _, _ := i.Attr()
	cr := ctx.Creds()
	switch {
	case strings.HasPrefix(name, "security."):
		if mask&MayWrite == 0 {
			return nil
		}
		if name == "security.capability" {
			if Capable(cr, creds.CapSetfcap, i) {
				return nil
			}
		} else if Capable(cr, creds.CapSysAdmin, i) {
			return nil
		}
		return errno.EPERM
	case strings.HasPrefix(name, "trusted."):
		if cr.HasCap(creds.CapSysAdmin, rootNS(cr.UserNS)) {
			return nil
		}
		if mask&MayWrite == 0 {
			return errno.ENODATA
		}
		return errno.EPERM
	case strings.HasPrefix(name, "user."):
		if k := mode & typeMask; k != typeReg && k != typeDir {
			if mask&MayWrite == 0 {
				return errno.ENODATA
			}
			return errno.EPERM
		}
		if mode&typeMask == typeDir && mode&unix.S_ISVTX != 0 && mask&MayWrite != 0 && !isOwner(cr, i) {
			return errno.EPERM
		}
		return Permission(ctx, i, mask)
	case strings.HasPrefix(name, "system."):
		if mask&MayWrite != 0 && !isOwner(cr, i) {
			return errno.EPERM
		}
		return nil
	}
	return errno.EOPNOTSUPP
}

// GetXattr is getxattr(2).
func (s *System) GetXattr(ctx kctx.Ctx, p Path, name string) (string, error) {
	if err := xattrPermission(ctx, p.Inode(), name, MayRead); err != nil {
		return "", err
	}
	return p.Inode().GetXattr(ctx, name)
}

// SetXattr is setxattr(2).
func (s *System) SetXattr(ctx kctx.Ctx, p Path, name, value string, flags uint32) error {
	if err := p.Mount.wantWrite(); err != nil {
		return err
	}
	if err := xattrPermission(ctx, p.Inode(), name, MayWrite); err != nil {
		return err
	}
	if err := p.Inode().SetXattr(ctx, name, value, flags); err != nil {
		return err
	}
	s.notifyAttrib(p.Dentry, 0)
	return nil
}

// ListXattr is listxattr(2); trusted names are for the privileged.
func (s *System) ListXattr(ctx kctx.Ctx, p Path) ([]string, error) {
	l, err := p.Inode().ListXattr(ctx)
	if err != nil {
		return nil, err
	}
	cr := ctx.Creds()
	if cr.HasCap(creds.CapSysAdmin, rootNS(cr.UserNS)) {
		return l, nil
	}
	out := l[:0:0]
	for _, n := range l {
		if !strings.HasPrefix(n, "trusted.") {
			out = append(out, n)
		}
	}
	return out, nil
}

// RemoveXattr is removexattr(2).
func (s *System) RemoveXattr(ctx kctx.Ctx, p Path, name string) error {
	if err := p.Mount.wantWrite(); err != nil {
		return err
	}
	if err := xattrPermission(ctx, p.Inode(), name, MayWrite); err != nil {
		return err
	}
	if err := p.Inode().RemoveXattr(ctx, name); err != nil {
		return err
	}
	s.notifyAttrib(p.Dentry, 0)
	return nil
}
