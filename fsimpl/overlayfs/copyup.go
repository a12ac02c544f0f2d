package overlayfs

import (
	"strconv"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// copyUp makes sure that i has an upper inode. Of a regular file at most size
// bytes are copied (-1: all); a caller that truncates says so.
func (i *inode) copyUp(ctx kctx.Ctx, size int64) error {
	if i.upper.Load() != nil {
		return nil
	}
	if i.fs.upper == nil {
		return errno.EROFS
	}
	if i.parent != nil {
		if err := i.parent.copyUp(ctx, -1); err != nil {
			return err
		}
	}
	i.copyMu.Lock()
	defer i.copyMu.Unlock()
	if i.upper.Load() != nil {
		return nil
	}
	u, err := i.copy(ctx, size)
	if err != nil {
		return err
	}
	i.setUpper(u)
	return nil
}

// copy makes the upper copy: complete before it has its name, so that nobody
// sees half of it. Precondition: i.copyMu.
func (i *inode) copy(ctx kctx.Ctx, size int64) (vfs.Inode, error) {
	k := i.fs.kernel
	low := i.lower[0].Inode
	st, err := low.Stat(ctx)
	if err != nil {
		return nil, err
	}
	dir := i.parent.up()
	var u vfs.Inode
	named := true
	switch i.kind {
	case unix.S_IFDIR:
		u, err = dir.Mkdir(k, i.name, st.Mode&07777)
	case unix.S_IFLNK:
		target, e := low.Readlink(ctx)
		if e != nil {
			return nil, e
		}
		u, err = dir.Symlink(k, i.name, target)
	case unix.S_IFREG:
		if t, ok := dir.(vfs.Tmpfiler); ok {
			u, err = t.Tmpfile(k, st.Mode&07777)
			named = false
		} else {
			u, err = dir.Create(k, i.name, 0)
		}
	default:
		u, err = dir.Mknod(k, i.name, st.Mode, st.Rdev)
	}
	if err == errno.EEXIST && i.kind == unix.S_IFDIR {
		// A whiteout or a name that a racing removal left.
		return nil, errno.ENOENT
	}
	if err != nil {
		return nil, err
	}
	undo := func(err error) (vfs.Inode, error) {
		if named {
			if i.kind == unix.S_IFDIR {
				dir.Rmdir(k, i.name, u)
			} else {
				dir.Unlink(k, i.name, u)
			}
		}
		u.Release()
		return nil, err
	}
	if i.kind == unix.S_IFREG {
		n := int64(st.Size)
		if size >= 0 {
			n = min(n, size)
		}
		if err := copyData(ctx, low, u, n); err != nil {
			return undo(err)
		}
	}
	if i.kind == unix.S_IFREG || i.kind == unix.S_IFDIR {
		names, err := low.ListXattr(k)
		if err != nil {
			return undo(err)
		}
		for _, n := range names {
			if own(n) {
				continue
			}
			if v, err := low.GetXattr(k, n); err == nil {
				if err := u.SetXattr(k, n, v, 0); err != nil && err != errno.EOPNOTSUPP {
					return undo(err)
				}
			}
		}
	}
	i.fs.setOwn(u, xattrOrigin, strconv.FormatUint(i.ino, 16)) // a layer without xattrs shows another number later
	set := vfs.SetStat{Mask: vfs.SetUID | vfs.SetGID | vfs.SetAtime | vfs.SetMtime, UID: st.UID, GID: st.GID, Atime: st.Atime, Mtime: st.Mtime}
	if i.kind != unix.S_IFLNK {
		set.Mask |= vfs.SetMode
		set.Mode = st.Mode & 07777
	}
	if err := u.SetStat(k, set); err != nil {
		return undo(err)
	}
	i.parent.impure.Store(true)
	if !named && !i.gone.Load() {
		if err := dir.Link(k, i.name, u); err != nil && !(err == errno.EEXIST || err == errno.ENOENT) {
			return undo(err)
		}
		// EEXIST: the name was removed meanwhile; the file lives on nameless.
	}
	return u, nil
}

const copyChunk = 256 << 10

// copyData copies n bytes; zeros become holes.
func copyData(ctx kctx.Ctx, from, to vfs.Inode, n int64) error {
	if n == 0 {
		return nil
	}
	r, err := from.Open(ctx, nil, unix.O_RDONLY)
	if err != nil {
		return err
	}
	// The layers' operations look at a description's flags only.
	rf, wf := new(vfs.File), new(vfs.File)
	rf.SetFlags(unix.O_NOATIME)
	defer r.Release(ctx, rf)
	w, err := to.Open(ctx, nil, unix.O_WRONLY)
	if err != nil {
		return err
	}
	defer w.Release(ctx, wf)
	buf := make([]byte, min(copyChunk, n))
	var off, end int64
	for off < n {
		at := off
		got, err := r.Read(ctx, rf, usermem.Bytes(buf[:min(int64(len(buf)), n-off)]), &off)
		if err != nil {
			return err
		}
		if got == 0 {
			break
		}
		p := buf[:got]
		if allZero(p) {
			continue
		}
		for len(p) > 0 {
			m, err := w.Write(ctx, wf, usermem.Bytes(p), &at)
			if err != nil {
				return err
			}
			p = p[m:]
		}
		end = at
	}
	if end < off {
		return to.SetStat(ctx, vfs.SetStat{Mask: vfs.SetSize, Size: uint64(off)})
	}
	return nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
