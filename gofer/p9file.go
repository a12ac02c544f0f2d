package gofer

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/hugelgupf/p9/linux"
	"github.com/hugelgupf/p9/p9"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
)

// maxFids bounds what one 9P connection may hold.
const maxFids = 1 << 16

// serve9P serves 9P2000.L until the connection ends.
func serve9P(t *tree, c io.ReadWriteCloser) {
	p9.NewServer(&attacher{t: t}).Handle(c, c)
}

type attacher struct {
	t    *tree
	fids atomic.Int32
}

// Attach implements p9.Attacher.
func (a *attacher) Attach() (p9.File, error) { return a.file("") }

func (a *attacher) file(path string) (*file, error) {
	if a.fids.Add(1) > maxFids {
		a.fids.Add(-1)
		return nil, linux.ENFILE
	}
	f := &file{a: a, t: a.t, fd: -1}
	f.path = path
	return f, nil
}

// file is a fid: a path, and a descriptor once it is open. The p9 package
// keeps renames apart from everything else and tells us of them (Renamed).
type file struct {
	p9.DefaultWalkGetAttr
	a *attacher
	t *tree

	mu     sync.Mutex
	path   string
	fd     int
	dirent uint64 // position of the directory's descriptor
}

var _ p9.File = (*file)(nil)

// p9err turns any error into what the p9 package sends.
func p9err(err error) error {
	if err == nil {
		return nil
	}
	e, _ := errno.Of(err)
	return linux.Errno(e)
}

func (f *file) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.path
}

func (f *file) child(name string) (string, error) {
	if !wire.GoodName(name) {
		return "", linux.EINVAL
	}
	p := f.name()
	if p != "" {
		name = p + "/" + name
	}
	if len(name) > wire.MaxPath {
		return "", linux.ENAMETOOLONG
	}
	return name, nil
}

func qid(a *wire.Attr) p9.QID {
	q := p9.QID{Path: a.Ino ^ uint64(a.DevMajor)<<56 ^ uint64(a.DevMinor)<<48}
	switch a.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		q.Type = p9.TypeDir
	case unix.S_IFLNK:
		q.Type = p9.TypeSymlink
	default:
		q.Type = p9.TypeRegular
	}
	return q
}

func p9attr(a *wire.Attr) p9.Attr {
	return p9.Attr{
		Mode: p9.FileMode(a.Mode), UID: p9.UID(a.UID), GID: p9.GID(a.GID), NLink: p9.NLink(a.Nlink),
		RDev: p9.Dev(unix.Mkdev(a.RdevMajor, a.RdevMinor)), Size: a.Size, BlockSize: uint64(a.BlkSize), Blocks: a.Blocks,
		ATimeSeconds: uint64(a.Atime.Sec), ATimeNanoSeconds: uint64(a.Atime.Nsec),
		MTimeSeconds: uint64(a.Mtime.Sec), MTimeNanoSeconds: uint64(a.Mtime.Nsec),
		CTimeSeconds: uint64(a.Ctime.Sec), CTimeNanoSeconds: uint64(a.Ctime.Nsec),
		BTimeSeconds: uint64(a.Btime.Sec), BTimeNanoSeconds: uint64(a.Btime.Nsec),
	}
}

// Walk implements p9.File.
func (f *file) Walk(names []string) ([]p9.QID, p9.File, error) {
	q, nf, _, _, err := f.WalkGetAttr(names)
	return q, nf, err
}

// WalkGetAttr implements p9.File.
func (f *file) WalkGetAttr(names []string) ([]p9.QID, p9.File, p9.AttrMask, p9.Attr, error) {
	path, qids := f.name(), []p9.QID(nil)
	var a wire.Attr
	fail := func(err error) ([]p9.QID, p9.File, p9.AttrMask, p9.Attr, error) {
		return nil, nil, p9.AttrMask{}, p9.Attr{}, p9err(err)
	}
	for _, n := range names {
		if !wire.GoodName(n) {
			return fail(errno.EINVAL)
		}
		if path != "" {
			path += "/"
		}
		if path += n; len(path) > wire.MaxPath {
			return fail(errno.ENAMETOOLONG)
		}
		if err := f.t.attr(path, &a); err != nil {
			return fail(err)
		}
		qids = append(qids, qid(&a))
	}
	if len(names) == 0 {
		if err := f.t.attr(path, &a); err != nil {
			return fail(err)
		}
	}
	nf, err := f.a.file(path)
	if err != nil {
		return fail(err)
	}
	return qids, nf, p9.AttrMaskAll, p9attr(&a), nil
}

// StatFS implements p9.File.
func (f *file) StatFS() (p9.FSStat, error) {
	var e wire.Enc
	if err := f.t.statfs(f.name(), &e); err != nil {
		return p9.FSStat{}, p9err(err)
	}
	var s wire.Statfs
	(&wire.Dec{B: e.B}).Statfs(&s)
	return p9.FSStat{Type: s.Type, BlockSize: s.BSize, Blocks: s.Blocks, BlocksFree: s.Bfree, BlocksAvailable: s.Bavail,
		Files: s.Files, FilesFree: s.Free, NameLength: s.NameLen}, nil
}

// GetAttr implements p9.File.
func (f *file) GetAttr(p9.AttrMask) (p9.QID, p9.AttrMask, p9.Attr, error) {
	var a wire.Attr
	f.mu.Lock()
	fd := f.fd
	f.mu.Unlock()
	var err error
	if fd >= 0 {
		err = attrAt(fd, "", &a)
	} else {
		err = f.t.attr(f.name(), &a)
	}
	if err != nil {
		return p9.QID{}, p9.AttrMask{}, p9.Attr{}, p9err(err)
	}
	return qid(&a), p9.AttrMaskAll, p9attr(&a), nil
}

// SetAttr implements p9.File.
func (f *file) SetAttr(v p9.SetAttrMask, a p9.SetAttr) error {
	if f.t.readOnly {
		return linux.EROFS
	}
	s := wire.SetAttr{Mode: uint32(a.Permissions), UID: uint32(a.UID), GID: uint32(a.GID), Size: a.Size,
		Atime: wire.Time{Sec: int64(a.ATimeSeconds), Nsec: uint32(a.ATimeNanoSeconds)},
		Mtime: wire.Time{Sec: int64(a.MTimeSeconds), Nsec: uint32(a.MTimeNanoSeconds)}}
	for _, b := range []struct {
		on  bool
		bit uint32
	}{{v.Permissions, wire.SetMode}, {v.UID, wire.SetUID}, {v.GID, wire.SetGID}, {v.Size, wire.SetSize},
		{v.ATime && v.ATimeNotSystemTime, wire.SetAtime}, {v.ATime && !v.ATimeNotSystemTime, wire.SetAtimeNow},
		{v.MTime && v.MTimeNotSystemTime, wire.SetMtime}, {v.MTime && !v.MTimeNotSystemTime, wire.SetMtimeNow}} {
		if b.on {
			s.Mask |= b.bit
		}
	}
	return p9err(f.t.setAttr(f.name(), &s))
}

// Close implements p9.File.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
	f.a.fids.Add(-1)
	return nil
}

// Open implements p9.File.
func (f *file) Open(mode p9.OpenFlags) (p9.QID, uint32, error) {
	var a wire.Attr
	fd, err := f.t.openData(f.name(), uint32(mode)&openFlags, &a)
	if err != nil {
		return p9.QID{}, 0, p9err(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fd = fd
	return qid(&a), 0, nil
}

// ReadAt implements p9.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	fd := f.fd
	f.mu.Unlock()
	n, err := unix.Pread(fd, p, off)
	if err != nil {
		return 0, p9err(err)
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// WriteAt implements p9.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	fd := f.fd
	f.mu.Unlock()
	n, err := unix.Pwrite(fd, p, off)
	return max(n, 0), p9err(err)
}

func (f *file) xattr(op wire.Op, e *wire.Enc) ([]byte, error) {
	if f.t.readOnly && changes>>op&1 != 0 {
		return nil, linux.EROFS
	}
	var out wire.Enc
	err := f.t.xattr(op, f.name(), &wire.Dec{B: e.B}, &out)
	return out.B, p9err(err)
}

// SetXattr implements p9.File.
func (f *file) SetXattr(attr string, data []byte, flags p9.XattrFlags) error {
	if len(attr) > wire.MaxName || len(data) > wire.MaxXattr {
		return linux.ERANGE
	}
	var e wire.Enc
	e.Str(attr)
	e.Str(string(data))
	e.U32(uint32(flags))
	_, err := f.xattr(wire.OpSetXattr, &e)
	return err
}

// GetXattr implements p9.File.
func (f *file) GetXattr(attr string) ([]byte, error) {
	if len(attr) > wire.MaxName {
		return nil, linux.ERANGE
	}
	var e wire.Enc
	e.Str(attr)
	return f.xattr(wire.OpGetXattr, &e)
}

// ListXattrs implements p9.File.
func (f *file) ListXattrs() ([]string, error) {
	b, err := f.xattr(wire.OpListXattr, &wire.Enc{})
	var l []string
	for len(b) > 0 {
		n := 0
		for n < len(b) && b[n] != 0 {
			n++
		}
		l = append(l, string(b[:n]))
		b = b[min(n+1, len(b)):]
	}
	return l, err
}

// RemoveXattr implements p9.File.
func (f *file) RemoveXattr(attr string) error {
	if len(attr) > wire.MaxName {
		return linux.ERANGE
	}
	var e wire.Enc
	e.Str(attr)
	_, err := f.xattr(wire.OpRemoveXattr, &e)
	return err
}

// FSync implements p9.File.
func (f *file) FSync() error {
	f.mu.Lock()
	fd := f.fd
	f.mu.Unlock()
	return p9err(unix.Fsync(fd))
}

// Lock implements p9.File. Locks are the sentry's business.
func (f *file) Lock(int, p9.LockType, p9.LockFlags, uint64, uint64, string) (p9.LockStatus, error) {
	return p9.LockStatusError, linux.ENOSYS
}

// call runs a lane call that changes the tree for a child of f.
func (f *file) call(op wire.Op, name string, args func(e *wire.Enc)) (int, p9.QID, string, error) {
	if f.t.readOnly {
		return -1, p9.QID{}, "", linux.EROFS
	}
	path, err := f.child(name)
	if err != nil {
		return -1, p9.QID{}, "", err
	}
	var e, out wire.Enc
	args(&e)
	fd, err := f.t.call(wire.Request{Op: op, Path: path, Args: wire.Dec{B: e.B}}, &out)
	if err != nil {
		return -1, p9.QID{}, "", p9err(err)
	}
	var a wire.Attr
	if len(out.B) > 0 {
		(&wire.Dec{B: out.B}).Attr(&a)
	}
	return fd, qid(&a), path, nil
}

// owner is who a new file belongs to: ids that are not given are the gofer's.
func owner(e *wire.Enc, uid p9.UID, gid p9.GID) {
	if uid == p9.NoUID {
		uid = p9.UID(unix.Getuid())
	}
	if gid == p9.NoGID {
		gid = p9.GID(unix.Getgid())
	}
	e.U32(uint32(uid))
	e.U32(uint32(gid))
}

// Create implements p9.File.
func (f *file) Create(name string, flags p9.OpenFlags, mode p9.FileMode, uid p9.UID, gid p9.GID) (p9.File, p9.QID, uint32, error) {
	nf, err := f.a.file("")
	if err != nil {
		return nil, p9.QID{}, 0, err
	}
	fd, q, path, err := f.call(wire.OpCreate, name, func(e *wire.Enc) { e.U32(uint32(mode)); owner(e, uid, gid) })
	if err != nil {
		nf.Close()
		return nil, p9.QID{}, 0, err
	}
	nf.path, nf.fd = path, fd
	return nf, q, 0, nil
}

// Mkdir implements p9.File.
func (f *file) Mkdir(name string, mode p9.FileMode, uid p9.UID, gid p9.GID) (p9.QID, error) {
	_, q, _, err := f.call(wire.OpMkdir, name, func(e *wire.Enc) { e.U32(uint32(mode)); owner(e, uid, gid) })
	return q, err
}

// Symlink implements p9.File.
func (f *file) Symlink(target, name string, uid p9.UID, gid p9.GID) (p9.QID, error) {
	if len(target) > wire.MaxPath {
		return p9.QID{}, linux.ENAMETOOLONG
	}
	_, q, _, err := f.call(wire.OpSymlink, name, func(e *wire.Enc) { e.Str(target); owner(e, uid, gid) })
	return q, err
}

// Link implements p9.File.
func (f *file) Link(target p9.File, name string) error {
	o, ok := target.(*file)
	if !ok || o.t != f.t {
		return linux.EXDEV
	}
	if f.t.readOnly {
		return linux.EROFS
	}
	to, err := f.child(name)
	if err != nil {
		return err
	}
	var e, out wire.Enc
	e.Str(to)
	_, err = f.t.call(wire.Request{Op: wire.OpLink, Path: o.name(), Args: wire.Dec{B: e.B}}, &out)
	return p9err(err)
}

// Mknod implements p9.File.
func (f *file) Mknod(name string, mode p9.FileMode, major, minor uint32, uid p9.UID, gid p9.GID) (p9.QID, error) {
	_, q, _, err := f.call(wire.OpMknod, name, func(e *wire.Enc) {
		e.U32(uint32(mode))
		owner(e, uid, gid)
		e.U32(major)
		e.U32(minor)
	})
	return q, err
}

// Rename implements p9.File; the p9 package never calls it.
func (f *file) Rename(p9.File, string) error { return linux.ENOSYS }

// RenameAt implements p9.File.
func (f *file) RenameAt(oldName string, newDir p9.File, newName string) error {
	d, ok := newDir.(*file)
	if !ok || d.t != f.t {
		return linux.EXDEV
	}
	to, err := d.child(newName)
	if err != nil {
		return err
	}
	_, _, _, err = f.call(wire.OpRename, oldName, func(e *wire.Enc) { e.Str(to); e.U32(0) })
	return err
}

// UnlinkAt implements p9.File.
func (f *file) UnlinkAt(name string, flags uint32) error {
	_, _, _, err := f.call(wire.OpUnlink, name, func(e *wire.Enc) {
		if flags&unix.AT_REMOVEDIR != 0 {
			e.U8(1)
		} else {
			e.U8(0)
		}
	})
	return err
}

// Readdir implements p9.File. Offsets are the host directory's own.
func (f *file) Readdir(offset uint64, count uint32) (p9.Dirents, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd < 0 {
		return nil, linux.EBADF
	}
	if f.dirent != offset {
		if _, err := unix.Seek(f.fd, int64(offset), unix.SEEK_SET); err != nil {
			return nil, p9err(err)
		}
	}
	var buf [8 << 10]byte
	n, err := unix.Getdents(f.fd, buf[:min(len(buf), max(int(count), 300))])
	if err != nil {
		return nil, p9err(err)
	}
	var l p9.Dirents
	forEachDirent(buf[:n], func(ino, off uint64, typ uint8, name string) bool {
		f.dirent = off
		if !wire.GoodName(name) {
			return true
		}
		q := p9.QID{Path: ino}
		switch typ {
		case unix.DT_DIR:
			q.Type = p9.TypeDir
		case unix.DT_LNK:
			q.Type = p9.TypeSymlink
		}
		l = append(l, p9.Dirent{QID: q, Offset: off, Type: q.Type, Name: name})
		return true
	})
	return l, nil
}

// Readlink implements p9.File.
func (f *file) Readlink() (string, error) {
	var a wire.Attr
	if err := f.t.attr(f.name(), &a); err != nil {
		return "", p9err(err)
	}
	if a.Target == "" {
		return "", linux.EINVAL
	}
	return a.Target, nil
}

// Renamed implements p9.File.
func (f *file) Renamed(newDir p9.File, newName string) {
	if d, ok := newDir.(*file); ok {
		p := d.name()
		if p != "" {
			newName = p + "/" + newName
		}
		f.mu.Lock()
		f.path = newName
		f.mu.Unlock()
	}
}
