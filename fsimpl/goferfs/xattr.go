package goferfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// xattrAllowed says whether a name goes to the server: access lists would not
// be obeyed here, so they are not offered.
func (i *inode) xattrAllowed(name string) error {
	if strings.HasPrefix(name, "system.") {
		return errno.EOPNOTSUPP
	}
	if t := i.mode.Load() & unix.S_IFMT; t != unix.S_IFREG && t != unix.S_IFDIR {
		return errno.EOPNOTSUPP
	}
	return nil
}

// names returns the names of i's attributes.
func (i *inode) xattrNames() ([]string, error) {
	i.mu.Lock()
	if i.xattrsKnown {
		defer i.mu.Unlock()
		return i.xattrs, nil
	}
	i.mu.Unlock()
	p, err := i.path()
	if err != nil {
		return nil, nil
	}
	d, _, err := i.fs.lane.Call(wire.NewRequest(wire.OpListXattr, p), 0)
	if err != nil {
		return nil, err
	}
	var l []string
	for _, n := range strings.Split(string(d.B), "\x00") {
		if n != "" && !strings.HasPrefix(n, "system.") && !strings.HasPrefix(n, "security.selinux") {
			l = append(l, n)
		}
	}
	if i.fs.exclusive {
		i.mu.Lock()
		i.xattrs, i.xattrsKnown = l, true
		i.mu.Unlock()
	}
	return l, nil
}

// GetXattr implements vfs.Inode.
func (i *inode) GetXattr(ctx kctx.Ctx, name string) (string, error) {
	if err := i.xattrAllowed(name); err != nil {
		return "", err
	}
	l, err := i.xattrNames()
	if err != nil {
		return "", err
	}
	for _, n := range l {
		if n != name {
			continue
		}
		p, err := i.path()
		if err != nil {
			return "", errno.ENODATA
		}
		e := wire.NewRequest(wire.OpGetXattr, p)
		e.Str(name)
		d, _, err := i.fs.lane.Call(e, 0)
		return string(d.B), err
	}
	return "", errno.ENODATA
}

// ListXattr implements vfs.Inode.
func (i *inode) ListXattr(ctx kctx.Ctx) ([]string, error) {
	if t := i.mode.Load() & unix.S_IFMT; t != unix.S_IFREG && t != unix.S_IFDIR {
		return nil, nil
	}
	return i.xattrNames()
}

func (i *inode) changeXattr(op wire.Op, name string, args func(e *wire.Enc)) error {
	if err := i.xattrAllowed(name); err != nil {
		return err
	}
	p, err := i.path()
	if err != nil {
		return errno.EOPNOTSUPP
	}
	e := wire.NewRequest(op, p)
	e.Str(name)
	args(e)
	_, _, err = i.fs.lane.Call(e, 0)
	i.mu.Lock()
	i.xattrsKnown, i.xattrs = false, nil
	i.dirty = true
	i.mu.Unlock()
	return err
}

// SetXattr implements vfs.Inode.
func (i *inode) SetXattr(ctx kctx.Ctx, name, value string, flags uint32) error {
	if len(value) > wire.MaxXattr {
		return errno.ENOSPC
	}
	return i.changeXattr(wire.OpSetXattr, name, func(e *wire.Enc) { e.Str(value); e.U32(flags) })
}

// RemoveXattr implements vfs.Inode.
func (i *inode) RemoveXattr(ctx kctx.Ctx, name string) error {
	return i.changeXattr(wire.OpRemoveXattr, name, func(*wire.Enc) {})
}
