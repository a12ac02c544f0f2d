package gofer

import (
	"bytes"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
)

// serveLane answers calls until the connection ends.
func (t *tree) serveLane(s *wire.Server) {
	for {
		r, ok := s.Next()
		if !ok || !t.answer(s, r) {
			return
		}
	}
}

// answer handles one request; false if the connection is lost.
func (t *tree) answer(s *wire.Server, r wire.Request) bool {
	switch r.Op {
	case wire.OpList:
		return t.list(s, r)
	case wire.OpOpenMany:
		return t.openMany(s, r)
	}
	var out wire.Enc
	fd, err := t.call(r, &out)
	if err != nil {
		return s.Fail(r.Token, err)
	}
	if fd < 0 {
		return s.Send(r.Token, 0, false, out.B, nil)
	}
	defer unix.Close(fd)
	return s.Send(r.Token, 0, false, out.B, []int{fd})
}

// changes are the calls that a read-only tree refuses.
const changes = 1<<wire.OpCreate | 1<<wire.OpMkdir | 1<<wire.OpSymlink | 1<<wire.OpMknod | 1<<wire.OpLink | 1<<wire.OpUnlink |
	1<<wire.OpRename | 1<<wire.OpSetAttr | 1<<wire.OpSetXattr | 1<<wire.OpRemoveXattr

// call does one call with a reply of one packet; a descriptor >= 0 goes along.
func (t *tree) call(r wire.Request, out *wire.Enc) (int, error) {
	d := &r.Args
	if r.Op >= 32 {
		return -1, errno.ENOSYS
	}
	if t.readOnly && changes>>r.Op&1 != 0 {
		return -1, errno.EROFS
	}
	var a wire.Attr
	switch r.Op {
	case wire.OpStat:
		if !d.End() {
			break
		}
		if err := t.attr(r.Path, &a); err != nil {
			return -1, err
		}
		out.Attr(&a)
		return -1, nil

	case wire.OpWalk, wire.OpFind:
		path := r.Path
		for n := 0; len(d.B) > 0 && n < 64; n++ {
			name := d.Str()
			if !wire.GoodName(name) {
				return -1, errno.EINVAL
			}
			if path != "" {
				path += "/"
			}
			path += name
			err := error(errno.ENAMETOOLONG)
			if len(path) <= wire.MaxPath {
				err = t.attr(path, &a)
			}
			if err != nil && n == 0 {
				return -1, err
			}
			if err != nil {
				return -1, nil
			}
			if len(out.B)+256+len(a.Target) > wire.Room {
				return -1, nil
			}
			fd := -1
			if r.Op == wire.OpFind && len(d.B) == 0 && !d.Bad && a.Mode&unix.S_IFMT == unix.S_IFREG {
				fd = t.openSeen(path, &a)
			}
			out.Attr(&a)
			if a.Mode&unix.S_IFMT != unix.S_IFDIR {
				return fd, nil
			}
		}
		if d.Bad {
			break
		}
		return -1, nil

	case wire.OpOpen:
		flags := d.U32()
		if !d.End() {
			break
		}
		fd, err := t.openData(r.Path, flags, &a)
		if err == nil {
			out.Attr(&a)
		}
		return fd, err

	case wire.OpCreate, wire.OpMkdir, wire.OpMknod:
		mode, uid, gid := d.U32(), d.U32(), d.U32()
		var major, minor uint32
		if r.Op == wire.OpMknod {
			major, minor = d.U32(), d.U32()
		}
		if !d.End() {
			break
		}
		return t.make(r.Op, r.Path, mode, uid, gid, major, minor, out)

	case wire.OpSymlink:
		target, uid, gid := d.Str(), d.U32(), d.U32()
		if !d.End() || target == "" || len(target) > wire.MaxPath {
			break
		}
		dir, name, err := t.parent(r.Path)
		if err != nil {
			return -1, err
		}
		defer unix.Close(dir)
		if err := unix.Symlinkat(target, dir, name); err != nil {
			return -1, err
		}
		if err := unix.Fchownat(dir, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			unix.Unlinkat(dir, name, 0)
			return -1, err
		}
		return -1, encodeAttr(dir, name, out)

	case wire.OpLink:
		to := d.Str()
		if !d.End() || !wire.GoodPath(to) {
			break
		}
		old, err := t.open(r.Path, unix.O_PATH, 0)
		if err != nil {
			return -1, err
		}
		defer unix.Close(old)
		dir, name, err := t.parent(to)
		if err != nil {
			return -1, err
		}
		defer unix.Close(dir)
		if err := unix.Linkat(old, "", dir, name, unix.AT_EMPTY_PATH); err != nil {
			return -1, err
		}
		return -1, encodeAttr(dir, name, out)

	case wire.OpUnlink:
		flags := 0
		if d.U8() != 0 {
			flags = unix.AT_REMOVEDIR
		}
		if !d.End() {
			break
		}
		dir, name, err := t.parent(r.Path)
		if err != nil {
			return -1, err
		}
		defer unix.Close(dir)
		return -1, unix.Unlinkat(dir, name, flags)

	case wire.OpRename:
		to, flags := d.Str(), d.U32()
		if !d.End() || !wire.GoodPath(to) || flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE|unix.RENAME_WHITEOUT) != 0 {
			break
		}
		dir, name, err := t.parent(r.Path)
		if err != nil {
			return -1, err
		}
		defer unix.Close(dir)
		dir2, name2, err := t.parent(to)
		if err != nil {
			return -1, err
		}
		defer unix.Close(dir2)
		return -1, unix.Renameat2(dir, name, dir2, name2, uint(flags))

	case wire.OpSetAttr:
		var s wire.SetAttr
		d.SetAttr(&s)
		if !d.End() {
			break
		}
		if err := t.setAttr(r.Path, &s); err != nil {
			return -1, err
		}
		if err := t.attr(r.Path, &a); err != nil {
			return -1, err
		}
		out.Attr(&a)
		return -1, nil

	case wire.OpGetXattr, wire.OpSetXattr, wire.OpListXattr, wire.OpRemoveXattr:
		return -1, t.xattr(r.Op, r.Path, d, out)

	case wire.OpStatfs:
		if !d.End() {
			break
		}
		return -1, t.statfs(r.Path, out)

	case wire.OpSync:
		return -1, unix.Syncfs(t.root)

	case wire.OpConnect:
		typ := d.U32()
		if !d.End() {
			break
		}
		return t.connect(r.Path, int(typ))

	default:
		return -1, errno.ENOSYS
	}
	return -1, errno.EINVAL
}

func encodeAttr(dir int, name string, out *wire.Enc) error {
	var a wire.Attr
	if err := attrAt(dir, name, &a); err != nil {
		return err
	}
	out.Attr(&a)
	return nil
}

// make makes a file, directory or node with its owner and exact mode.
func (t *tree) make(op wire.Op, path string, mode, uid, gid, major, minor uint32, out *wire.Enc) (int, error) {
	if uid == ^uint32(0) || gid == ^uint32(0) {
		return -1, errno.EINVAL
	}
	dir, name, err := t.parent(path)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	perm, fd, flag := mode&07777, -1, 0
	switch op {
	case wire.OpCreate:
		fd, err = unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
	case wire.OpMkdir:
		flag = unix.AT_REMOVEDIR
		err = unix.Mkdirat(dir, name, perm)
	default:
		switch mode & unix.S_IFMT {
		case unix.S_IFREG, unix.S_IFIFO, unix.S_IFSOCK, unix.S_IFCHR, unix.S_IFBLK:
			err = unix.Mknodat(dir, name, mode&(unix.S_IFMT|07777), int(unix.Mkdev(major, minor)))
		default:
			err = errno.EINVAL
		}
	}
	if err != nil {
		return -1, err
	}
	var a wire.Attr
	if fd >= 0 {
		err = attrAt(fd, "", &a)
	} else {
		err = attrAt(dir, name, &a)
	}
	// The new name is in a directory others may write: work on what is there
	// only if it is not a link, and undo on failure.
	changed := false
	if err == nil && (a.UID != uid || a.GID != gid) {
		err = unix.Fchownat(dir, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW)
		changed = true
	}
	if err == nil && (a.Mode&07777 != perm || changed && perm&07000 != 0) {
		if fd >= 0 {
			err = unix.Fchmod(fd, perm)
		} else {
			err = unix.Fchmodat(dir, name, perm, unix.AT_SYMLINK_NOFOLLOW)
		}
		changed = true
	}
	if err == nil && changed {
		err = attrAt(dir, name, &a)
	}
	if err == nil {
		out.Attr(&a)
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		unix.Unlinkat(dir, name, flag)
		return -1, err
	}
	return fd, nil
}

func (t *tree) setAttr(path string, s *wire.SetAttr) error {
	fd, err := t.open(path, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if s.Mask&(wire.SetUID|wire.SetGID) != 0 {
		uid, gid := -1, -1
		if s.Mask&wire.SetUID != 0 {
			uid = int(s.UID)
		}
		if s.Mask&wire.SetGID != 0 {
			gid = int(s.GID)
		}
		if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if s.Mask&wire.SetMode != 0 {
		if err := t.chmod(path, fd, s.Mode&07777); err != nil {
			return err
		}
	}
	if s.Mask&wire.SetSize != 0 {
		var a wire.Attr
		f, err := t.openData(path, unix.O_WRONLY, &a)
		if err != nil {
			return err
		}
		err = unix.Ftruncate(f, int64(s.Size))
		unix.Close(f)
		if err != nil {
			return err
		}
	}
	if s.Mask&(wire.SetAtime|wire.SetMtime|wire.SetAtimeNow|wire.SetMtimeNow) != 0 {
		ts := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
		pick := func(i int, set, now uint32, v wire.Time) {
			if s.Mask&now != 0 {
				ts[i].Nsec = unix.UTIME_NOW
			} else if s.Mask&set != 0 {
				ts[i] = unix.Timespec{Sec: v.Sec, Nsec: int64(v.Nsec)}
			}
		}
		pick(0, wire.SetAtime, wire.SetAtimeNow, s.Atime)
		pick(1, wire.SetMtime, wire.SetMtimeNow, s.Mtime)
		if err := utimensFD(fd, ts); err != nil {
			return err
		}
	}
	return nil
}

// chmod changes the mode of an O_PATH descriptor: fchmodat2(2) since Linux
// 6.6, else through a descriptor opened for reading.
func (t *tree) chmod(path string, fd int, mode uint32) error {
	err := fchmodat2(fd, mode)
	if err == unix.ENOSYS || err == unix.EINVAL {
		f, err := t.openAny(path)
		if err != nil {
			return err
		}
		defer unix.Close(f)
		return unix.Fchmod(f, mode)
	}
	return err
}

func (t *tree) xattr(op wire.Op, path string, d *wire.Dec, out *wire.Enc) error {
	var name string
	if op != wire.OpListXattr {
		if name = d.Str(); name == "" || len(name) > wire.MaxName || bytes.IndexByte([]byte(name), 0) >= 0 {
			return errno.EINVAL
		}
	}
	value := d.Bytes
	fd, err := t.openAny(path)
	if err != nil {
		if op == wire.OpListXattr && (err == errno.ELOOP || err == errno.ENXIO) {
			return nil // links and nodes show none
		}
		return errno.EOPNOTSUPP
	}
	defer unix.Close(fd)
	switch op {
	case wire.OpSetXattr:
		v, flags := value(), d.U32()
		if !d.End() {
			return errno.EINVAL
		}
		return unix.Fsetxattr(fd, name, v, int(flags))
	case wire.OpRemoveXattr:
		return unix.Fremovexattr(fd, name)
	}
	buf := make([]byte, wire.MaxXattr)
	var n int
	if op == wire.OpGetXattr {
		n, err = unix.Fgetxattr(fd, name, buf)
	} else {
		n, err = unix.Flistxattr(fd, buf)
	}
	if err != nil {
		return err
	}
	out.B = append(out.B, buf[:n]...)
	return nil
}

func (t *tree) statfs(path string, out *wire.Enc) error {
	fd, err := t.open(path, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var s unix.Statfs_t
	if err := unix.Fstatfs(fd, &s); err != nil {
		return err
	}
	out.Statfs(&wire.Statfs{Type: uint32(s.Type), BSize: uint32(s.Bsize), NameLen: uint32(s.Namelen),
		Blocks: s.Blocks, Bfree: s.Bfree, Bavail: s.Bavail, Files: s.Files, Free: s.Ffree})
	return nil
}

// connect connects to a host socket of the tree.
func (t *tree) connect(path string, typ int) (int, error) {
	if !t.openUDS {
		return -1, errno.ECONNREFUSED
	}
	switch typ {
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
	default:
		return -1, errno.EINVAL
	}
	dir, name, err := t.parent(path)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return -1, errno.ECONNREFUSED
	}
	s, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	// There is no connectat(2): go to the directory. Should the name become a
	// link meanwhile, it leads somewhere in our own mount namespace, which
	// holds nothing but this container's trees.
	cwd.Lock()
	defer cwd.Unlock()
	if err = unix.Fchdir(dir); err == nil {
		err = unix.Connect(s, &unix.SockaddrUnix{Name: "./" + name})
	}
	if err != nil {
		unix.Close(s)
		return -1, err
	}
	return s, nil
}

// cwd is held while the working directory means something.
var cwd sync.Mutex

// openMany opens several files for reading: read-ahead of opens.
func (t *tree) openMany(s *wire.Server, r wire.Request) bool {
	var out wire.Enc
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	d := &r.Args
	dir, err := t.open(r.Path, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return s.Fail(r.Token, err)
	}
	defer func() { unix.Close(dir) }()
	for n, dirs := 0, 0; len(d.B) > 0 && n < wire.MaxFDs && dirs <= wire.MaxFDs; {
		name := d.Str()
		if len(name) > 0 && name[0] == '/' && wire.GoodPath(name[1:]) {
			unix.Close(dir)
			if dir, err = t.open(name[1:], unix.O_PATH|unix.O_DIRECTORY, 0); err != nil {
				dir = -1
			}
			dirs++
			continue
		}
		if !wire.GoodName(name) {
			return s.Fail(r.Token, errno.EINVAL)
		}
		n++
		var a wire.Attr
		fd, err := -1, error(errno.ENOENT)
		if dir >= 0 {
			fd, err = openRegular(dir, name, &a)
		}
		if err != nil {
			out.U8(0)
			continue
		}
		fds = append(fds, fd)
		out.U8(1)
		out.Attr(&a)
	}
	return s.Send(r.Token, 0, false, out.B, fds)
}

// openRegular opens a regular file of a directory for reading.
func openRegular(dir int, name string, a *wire.Attr) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return -1, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return -1, errno.ENXIO
	}
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_NOATIME, Resolve: beneath}
	fd, err := unix.Openat2(dir, name, &how)
	if err != nil {
		return -1, err
	}
	if err = attrAt(fd, "", a); err == nil && a.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errno.ENXIO
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openSeen opens a regular file that a describes for reading, and describes it
// anew; -1 if it cannot be had. That is no error: nobody asked for it yet.
func (t *tree) openSeen(path string, a *wire.Attr) int {
	fd, err := t.open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOATIME, 0)
	if err != nil {
		return -1
	}
	var b wire.Attr
	if attrAt(fd, "", &b) != nil || b.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return -1
	}
	*a = b
	return fd
}
