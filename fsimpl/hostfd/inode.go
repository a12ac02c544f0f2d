package hostfd

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// inode is the identity of a host descriptor.
type inode struct {
	vfs.InodeBase
	vfs.NotDir
	vfs.NotLink
	vfs.NoXattr
	h   *File
	sys *vfs.System
	ino uint64
	uid creds.KUID
	gid creds.KGID
}

// New returns an open file over a host descriptor, which it takes over. Its
// owner is ctx's; access mode and O_APPEND are the host's.
func New(ctx kctx.Ctx, sys *vfs.System, fd int) (*vfs.File, error) {
	h, err := Open(fd)
	if err != nil {
		return nil, err
	}
	st, err := h.Stat(vfs.Dev{}, 0, 0)
	if err != nil {
		return nil, err
	}
	cr := ctx.Creds()
	h.hold() // one for the inode, one for the open file
	i := &inode{h: h, sys: sys, ino: st.Ino, uid: cr.FSUID, gid: cr.FSGID}
	return vfs.NewInodeFile(ctx, sys, i, h, h.Flags()), nil
}

// Of returns the host side of an open file, nil if it is none of ours.
func Of(f *vfs.File) *File {
	h, _ := f.Ops().(*File)
	return h
}

// FileName implements vfs.SelfNamed.
func (i *inode) FileName() string { return i.h.name(i.ino) }

// Attr implements vfs.Inode.
func (i *inode) Attr() (uint32, creds.KUID, creds.KGID) { return i.h.mode | 0o620, i.uid, i.gid }

// Stat implements vfs.Inode.
func (i *inode) Stat(ctx kctx.Ctx) (vfs.Stat, error) {
	return i.h.Stat(vfs.Dev{Minor: 11}, i.uid, i.gid)
}

// SetStat implements vfs.Inode: the host file's attributes are not the
// guest's to change; programs that chown their terminal or log are content.
func (i *inode) SetStat(ctx kctx.Ctx, s vfs.SetStat) error {
	if s.Mask&vfs.SetSize != 0 && i.h.mode == unix.S_IFREG {
		return errno.FromHost(unix.Ftruncate(i.h.fd, int64(s.Size)))
	}
	if s.Mask&vfs.SetUID != 0 {
		i.uid = s.UID
	}
	if s.Mask&vfs.SetGID != 0 {
		i.gid = s.GID
	}
	return nil
}

// OpenFile implements vfs.FileOpener: /dev/stdout and /proc/self/fd/1 lead
// here. It gives no more access than the descriptor has.
func (i *inode) OpenFile(ctx kctx.Ctx, p vfs.Path, flags uint32) (*vfs.File, error) {
	have, want := i.h.flags&unix.O_ACCMODE, int(flags&unix.O_ACCMODE)
	if have != unix.O_RDWR && have != want {
		return nil, errno.EACCES
	}
	i.h.hold()
	i.h.hold()
	n := &inode{h: i.h, sys: i.sys, ino: i.ino, uid: i.uid, gid: i.gid}
	return vfs.NewInodeFile(ctx, i.sys, n, i.h, uint32(want)|i.h.Flags()&unix.O_APPEND|flags&unix.O_NONBLOCK), nil
}

// Open implements vfs.Inode; OpenFile comes before it.
func (i *inode) Open(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
	return nil, errno.ENXIO
}

// Release implements vfs.Inode.
func (i *inode) Release() { i.h.drop() }
