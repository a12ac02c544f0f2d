package procfs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/kernfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// fdDirInode is /proc/pid/fd and fdinfo: a process may always look at its own
// (linux: proc_fd_permission).
type fdDirInode struct {
	*kernfs.Inode
	v *view
}

// Permission implements vfs.Permissioner.
func (d *fdDirInode) Permission(ctx kctx.Ctx, mask uint32) error {
	if mask&vfs.MayWrite != 0 {
		return errno.EACCES
	}
	if t, ok := ctx.(*kernel.Task); !ok || t.ThreadGroup() == d.v.t.ThreadGroup() {
		return nil
	}
	cr := ctx.Creds()
	mode, uid, gid := d.Attr()
	if mode&0o005 == 0o005 || cr.FSUID == uid {
		return nil
	}
	if cr.UserNS.Mapped(uid, gid) && (cr.Effective.Has(creds.CapDacOverride) || cr.Effective.Has(creds.CapDacReadSearch)) {
		return nil
	}
	return errno.EACCES
}

func fdDir(v *view, i *kernfs.Inode) vfs.Inode {
	i.Dyn = &fds{v: v}
	i.Size = func() uint64 {
		if t := v.t.FDs(); t != nil {
			return uint64(t.Len())
		}
		return 0
	}
	return &fdDirInode{i, v}
}

func fdinfoDir(v *view, i *kernfs.Inode) vfs.Inode {
	i.Dyn = &fds{v: v, info: true}
	return &fdDirInode{i, v}
}

// fds are the entries of fd and fdinfo.
type fds struct {
	v    *view
	info bool
}

func (l *fds) file(fd int32) *vfs.File {
	t := l.v.t.FDs()
	if t == nil {
		return nil
	}
	f, err := t.Get(fd)
	if err != nil {
		return nil
	}
	return f
}

// Lookup implements kernfs.Dynamic.
func (l *fds) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	n, err := strconv.ParseUint(name, 10, 31)
	if err != nil || len(name) > 1 && name[0] == '0' {
		return nil, errno.ENOENT
	}
	fd, v := int32(n), l.v
	f := l.file(fd)
	if f == nil {
		return nil, errno.ENOENT
	}
	mode := f.Flags() & unix.O_ACCMODE
	f.DecRef(ctx)
	i := &kernfs.Inode{FS: v.p.FS, Ino: 1<<41 | pidIno(v.nr, 0)<<8 + uint64(fd), Owner: v.owner}
	i.Alive = func() bool {
		t := v.t.FDs()
		return t != nil && t.Peek(fd) == f
	}
	if l.info {
		i.Mode = reg | 0o400
		i.Ino |= 1 << 60
		i.Show = func(ctx kctx.Ctx, w *bytes.Buffer) error { return l.fdinfo(ctx, fd, w) }
		return i, nil
	}
	i.Mode = lnk | 0o500
	switch {
	case f.Flags()&unix.O_PATH != 0:
		i.Mode = lnk
	case mode == unix.O_WRONLY:
		i.Mode = lnk | 0o300
	case mode == unix.O_RDWR:
		i.Mode = lnk | 0o700
	}
	i.Size = func() uint64 { return 64 }
	return pathLink(v, i, func() (vfs.Path, error) {
		f := l.file(fd)
		if f == nil {
			return vfs.Path{}, errno.ENOENT
		}
		p := f.Path().IncRef()
		f.DecRef(kctx.Background(v.t.Creds()))
		return p, nil
	}), nil
}

// List implements kernfs.Dynamic.
func (l *fds) List(ctx kctx.Ctx, from int64, emit func(kernfs.Entry) bool) error {
	t := l.v.t.FDs()
	if t == nil {
		return nil
	}
	typ := uint8(unix.DT_LNK)
	if l.info {
		typ = unix.DT_REG
	}
	for _, e := range t.List() {
		if int64(e.FD) < from {
			continue
		}
		if !emit(kernfs.Entry{Key: int64(e.FD), Name: itoa(e.FD), Ino: 1<<41 | pidIno(l.v.nr, 0)<<8 + uint64(e.FD), Type: typ}) {
			return nil
		}
	}
	return nil
}

func (l *fds) fdinfo(ctx kctx.Ctx, fd int32, w *bytes.Buffer) error {
	f := l.file(fd)
	if f == nil {
		return errno.ENOENT
	}
	defer f.DecRef(ctx)
	flags := f.Flags()
	if l.v.t.FDs() != nil && l.v.t.FDs().Cloexec(fd) {
		flags |= unix.O_CLOEXEC
	}
	ino := uint64(0)
	if st, err := f.Stat(ctx); err == nil {
		ino = st.Ino
		// open(2) on x86-64 sets O_LARGEFILE; pipes and the like are not opened.
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG, unix.S_IFDIR, unix.S_IFCHR, unix.S_IFBLK:
			if flags&unix.O_PATH == 0 {
				flags |= 0o100000
			}
		}
	}
	mnt := uint64(0)
	if m := f.Path().Mount; m != nil {
		mnt = m.ID()
	}
	fmt.Fprintf(w, "pos:\t%d\nflags:\t0%o\nmnt_id:\t%d\nino:\t%d\n", f.Offset(), flags, mnt, ino)
	if flags&unix.O_PATH != 0 {
		return nil
	}
	var locks bytes.Buffer
	l.v.p.fileLocks(ctx, f, l.v.t.ThreadGroup(), 0, &locks)
	for line := range strings.Lines(locks.String()) {
		w.WriteString("lock:\t" + line)
	}
	switch o := f.Ops().(type) {
	case interface{ FDInfo() string }:
		w.WriteString(o.FDInfo())
	case interface {
		FDInfo(*kernel.PIDNamespace) string
	}:
		w.WriteString(o.FDInfo(l.v.p.ns))
	}
	return nil
}
