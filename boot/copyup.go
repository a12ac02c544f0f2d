package boot

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// copyTree copies what is below the directory from into the directory to, with
// owners, modes and times (mount option tmpcopyup).
func (b *mounter) copyTree(from, to vfs.Path) error {
	at := func(dir vfs.Path, name string) vfs.Op {
		return vfs.Op{Sys: b.sys, NS: b.ns, Root: b.root, Start: dir, Path: name, Flags: vfs.OpNoFollow}
	}
	d, err := b.sys.OpenAt(b.ctx, at(from, "."), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	var names []string
	for {
		n := len(names)
		err := d.Readdir(b.ctx, func(e vfs.Dirent) bool {
			if e.Name != "." && e.Name != ".." {
				names = append(names, e.Name)
			}
			return true
		})
		if err != nil {
			d.DecRef(b.ctx)
			return err
		}
		if len(names) == n {
			break
		}
	}
	d.DecRef(b.ctx)
	for _, name := range names {
		st, err := b.sys.StatAt(b.ctx, at(from, name))
		if err != nil {
			return err
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			if err = b.sys.MkdirAt(b.ctx, at(to, name), st.Mode&0o7777); err != nil {
				break
			}
			var f, t vfs.Path
			if f, err = b.sys.Walk(b.ctx, at(from, name)); err != nil {
				break
			}
			if t, err = b.sys.Walk(b.ctx, at(to, name)); err == nil {
				err = b.copyTree(f, t)
				t.DecRef()
			}
			f.DecRef()
		case unix.S_IFLNK:
			var target string
			if target, err = b.sys.ReadlinkAt(b.ctx, at(from, name)); err == nil {
				err = b.sys.SymlinkAt(b.ctx, target, at(to, name))
			}
		case unix.S_IFREG:
			err = b.copyFile(at(from, name), at(to, name), st.Mode&0o7777)
		default:
			err = b.sys.MknodAt(b.ctx, at(to, name), st.Mode, st.Rdev)
		}
		if err != nil {
			return err
		}
		set := vfs.SetStat{Mask: vfs.SetUID | vfs.SetGID | vfs.SetAtime | vfs.SetMtime, UID: st.UID, GID: st.GID, Atime: st.Atime, Mtime: st.Mtime}
		if st.Mode&unix.S_IFMT != unix.S_IFLNK {
			set.Mask |= vfs.SetMode
			set.Mode = st.Mode & 0o7777
		}
		if err := b.sys.SetStatAt(b.ctx, at(to, name), set); err != nil {
			return err
		}
	}
	return nil
}

func (b *mounter) copyFile(from, to vfs.Op, mode uint32) error {
	src, err := b.sys.OpenAt(b.ctx, from, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer src.DecRef(b.ctx)
	dst, err := b.sys.OpenAt(b.ctx, to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer dst.DecRef(b.ctx)
	buf := make([]byte, 64<<10)
	for {
		n, err := src.Read(b.ctx, usermem.Bytes(buf))
		if err != nil || n == 0 {
			return err
		}
		for p := buf[:n]; len(p) > 0; {
			k, err := dst.Write(b.ctx, usermem.Bytes(p))
			if err != nil {
				return err
			}
			p = p[k:]
		}
	}
}
