// Package kernfs is the common part of file systems whose files are made up
// by the kernel: procfs, sysfs, cgroup2. A tree is built of Inode values whose
// functions say what a file contains (Show), what writing means (Store), where
// a link leads (Target), and which entries a directory has at the moment
// (Dynamic).
//
// A file's text is made when it is read at offset 0 and kept by the open file
// description, as Linux's seq_file does, so that a reader in pieces sees one
// state. The package knows neither tasks nor mounts.
package kernfs

import (
	"bytes"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// FS is one instance; it implements vfs.Super.
type FS struct {
	Sys      *vfs.System
	FSType   vfs.FSType
	Magic    int64
	FileSize uint64 // what stat shows for regular files
	Opts     string
	// Chmod says that mode and owner may be changed (sysfs, cgroup2).
	Chmod bool
	// NoNames says that making any entry is ENOENT (proc: its lookup of a new
	// name fails before the type's method is asked).
	NoNames bool

	RootInode vfs.Inode
	dev       vfs.Dev
	next      atomic.Uint64
	born      unix.Timespec
	release   func()
}

// New returns a file system without a root.
func New(sys *vfs.System, t vfs.FSType, magic int64) *FS {
	fs := &FS{Sys: sys, FSType: t, Magic: magic, dev: sys.AllocDev(), born: now()}
	fs.next.Store(1)
	return fs
}

func now() unix.Timespec { return unix.NsecToTimespec(time.Now().UnixNano()) }

// Type implements vfs.Super.
func (fs *FS) Type() vfs.FSType { return fs.FSType }

// Root implements vfs.Super.
func (fs *FS) Root() vfs.Inode { return fs.RootInode }

// Statfs implements vfs.Super.
func (fs *FS) Statfs(ctx kctx.Ctx) (unix.Statfs_t, error) {
	return unix.Statfs_t{Type: fs.Magic, Bsize: 4096, Frsize: 4096, Namelen: 255}, nil
}

// Sync implements vfs.Super.
func (fs *FS) Sync(ctx kctx.Ctx) error { return nil }

// Dev implements vfs.Super.
func (fs *FS) Dev() vfs.Dev { return fs.dev }

// Volatile implements vfs.Super.
func (fs *FS) Volatile() bool { return true }

// Options implements vfs.Super.
func (fs *FS) Options() string { return fs.Opts }

// Release implements vfs.Super.
func (fs *FS) Release() {
	if fs.release != nil {
		fs.release()
	}
}

// NextIno returns a fresh inode number.
func (fs *FS) NextIno() uint64 { return fs.next.Add(1) }

// Entry is one dynamic directory entry. Keys grow along a listing.
type Entry struct {
	Key  int64
	Name string
	Ino  uint64
	Type uint8
}

// Dynamic are the entries of a directory that come and go.
type Dynamic interface {
	// Lookup returns the entry or ENOENT.
	Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error)
	// List calls emit for entries with Key >= from, in order of Key, until it
	// returns false.
	List(ctx kctx.Ctx, from int64, emit func(Entry) bool) error
}

// Inode is one file, directory or link. Fields are set before it is shown to
// vfs and not changed afterwards, but for the guarded ones.
type Inode struct {
	vfs.InodeBase
	FS    *FS
	Ino   uint64
	Mode  uint32 // with type bits
	Owner func() (creds.KUID, creds.KGID)
	Links func() uint32
	Size  func() uint64
	Rdev  vfs.Dev

	// Show writes a file's text, Store takes what is written; without one the
	// call is EINVAL.
	Show  func(ctx kctx.Ctx, w *bytes.Buffer) error
	Store func(ctx kctx.Ctx, s string) error
	// Check, if set, may refuse an open.
	Check func(ctx kctx.Ctx) error
	// OpenOps replaces Show and Store for files that are more than text.
	OpenOps func(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error)
	// Watch counts changes of the text, and says where they are announced:
	// readers may poll for POLLPRI and POLLERR. nil: the file never changes
	// in a way worth telling.
	Watch func() (count uint64, queue *wait.Queue)
	// Target is a link's text.
	Target func(ctx kctx.Ctx) (string, error)
	// Alive says whether the object behind is still there; nil: always.
	Alive func() bool
	// Dyn are the dynamic entries of a directory.
	Dyn Dynamic
	// Fill adds the static entries of a directory when it is first looked
	// into.
	Fill func(i *Inode)
	// MkdirFn and RmdirFn make directories writable (cgroup2).
	MkdirFn func(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error)
	RmdirFn func(ctx kctx.Ctx, name string, child vfs.Inode) error
	// CreateFn and UnlinkFn do it for files (mqueue).
	CreateFn func(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error)
	UnlinkFn func(ctx kctx.Ctx, name string, child vfs.Inode) error

	filled sync.Once
	mu     sync.Mutex
	kids   map[string]vfs.Inode
	names  []string
	uid    creds.KUID
	gid    creds.KGID
	perm   uint32 // replaces the permission bits of Mode if set
	times  *[3]unix.Timespec
}

// Any is implemented by *Inode and all that embed it.
type Any interface {
	vfs.Inode
	Base() *Inode
}

// Base returns i.
func (i *Inode) Base() *Inode { return i }

// NewDir returns an empty directory.
func (fs *FS) NewDir(perm uint32) *Inode {
	return &Inode{FS: fs, Ino: fs.NextIno(), Mode: unix.S_IFDIR | perm}
}

// NewFile returns a file with text made by show.
func (fs *FS) NewFile(perm uint32, show func(ctx kctx.Ctx, w *bytes.Buffer) error, store func(ctx kctx.Ctx, s string) error) *Inode {
	return &Inode{FS: fs, Ino: fs.NextIno(), Mode: unix.S_IFREG | perm, Show: show, Store: store}
}

// Text returns a read-only file with fixed text.
func (fs *FS) Text(perm uint32, s string) *Inode {
	return fs.NewFile(perm, func(ctx kctx.Ctx, w *bytes.Buffer) error { w.WriteString(s); return nil }, nil)
}

// NewLink returns a symbolic link with fixed text.
func (fs *FS) NewLink(target string) *Inode {
	return &Inode{FS: fs, Ino: fs.NextIno(), Mode: unix.S_IFLNK | 0o777, Target: func(kctx.Ctx) (string, error) { return target, nil }}
}

// SetOwner sets who owns a file of a file system with Chmod.
func (i *Inode) SetOwner(uid creds.KUID, gid creds.KGID) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.uid, i.gid = uid, gid
}

// Add puts child into the directory i.
func (i *Inode) Add(name string, child vfs.Inode) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kids == nil {
		i.kids = map[string]vfs.Inode{}
	}
	if i.kids[name] == nil {
		// Readers keep the old slice.
		k := sort.SearchStrings(i.names, name)
		names := make([]string, 0, len(i.names)+1)
		names = append(append(append(names, i.names[:k]...), name), i.names[k:]...)
		i.names = names
	}
	i.kids[name] = child
}

// Remove takes an entry out.
func (i *Inode) Remove(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kids[name] == nil {
		return
	}
	delete(i.kids, name)
	k := sort.SearchStrings(i.names, name)
	i.names = append(i.names[:k:k], i.names[k+1:]...)
}

func (i *Inode) fill() {
	if i.Fill != nil {
		i.filled.Do(func() { i.Fill(i) })
	}
}

// Child returns a static entry or nil.
func (i *Inode) Child(name string) vfs.Inode {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.kids[name]
}

// AddPath puts child below i at a slash-separated path, making directories
// with mode 0555 on the way.
func (i *Inode) AddPath(path string, child vfs.Inode) {
	for {
		k := 0
		for k < len(path) && path[k] != '/' {
			k++
		}
		if k == len(path) {
			i.Add(path, child)
			return
		}
		next, _ := i.Child(path[:k]).(*Inode)
		if next == nil {
			next = i.FS.NewDir(0o555)
			i.Add(path[:k], next)
		}
		i, path = next, path[k+1:]
	}
}

// Attr implements vfs.Inode.
func (i *Inode) Attr() (uint32, creds.KUID, creds.KGID) {
	if i.Owner != nil {
		u, g := i.Owner()
		return i.Mode, u, g
	}
	if !i.FS.Chmod {
		return i.Mode, 0, 0
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.Mode
	if i.perm != 0 {
		m = m&^0o7777 | i.perm&0o7777
	}
	return m, i.uid, i.gid
}

// Stat implements vfs.Inode.
func (i *Inode) Stat(ctx kctx.Ctx) (vfs.Stat, error) {
	mode, uid, gid := i.Attr()
	st := vfs.Stat{Dev: i.FS.dev, Ino: i.Ino, Mode: mode, Nlink: 1, UID: uid, GID: gid, Rdev: i.Rdev, BlkSize: 1024}
	if i.FS.FileSize != 0 {
		st.BlkSize = 4096
	}
	t := now()
	st.Atime, st.Mtime, st.Ctime = t, t, t
	if i.Alive == nil {
		st.Atime, st.Mtime, st.Ctime = i.FS.born, i.FS.born, i.FS.born
	}
	i.mu.Lock()
	if i.times != nil {
		st.Atime, st.Mtime, st.Ctime = i.times[0], i.times[1], i.times[2]
	}
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		st.Nlink = 2
		for _, c := range i.kids {
			if m, _, _ := c.Attr(); m&unix.S_IFMT == unix.S_IFDIR {
				st.Nlink++
			}
		}
	case unix.S_IFREG:
		st.Size = i.FS.FileSize
	}
	i.mu.Unlock()
	if i.Links != nil {
		st.Nlink = i.Links()
	}
	if i.Size != nil {
		st.Size = i.Size()
	}
	return st, nil
}

// SetStat implements vfs.Inode.
func (i *Inode) SetStat(ctx kctx.Ctx, s vfs.SetStat) error {
	if s.Mask&vfs.SetMode != 0 && !i.FS.Chmod {
		return errno.EPERM
	}
	if s.Mask&(vfs.SetMode|vfs.SetUID|vfs.SetGID) != 0 && i.FS.Chmod && i.Owner == nil {
		i.mu.Lock()
		if s.Mask&vfs.SetMode != 0 {
			i.perm = s.Mode & 0o7777
		}
		if s.Mask&vfs.SetUID != 0 {
			i.uid = s.UID
		}
		if s.Mask&vfs.SetGID != 0 {
			i.gid = s.GID
		}
		i.mu.Unlock()
	}
	if s.Mask&(vfs.SetAtime|vfs.SetMtime|vfs.SetAtimeNow|vfs.SetMtimeNow) != 0 && i.Alive == nil {
		i.mu.Lock()
		if i.times == nil {
			i.times = &[3]unix.Timespec{i.FS.born, i.FS.born, i.FS.born}
		}
		n := now()
		if s.Mask&vfs.SetAtimeNow != 0 {
			i.times[0] = n
		} else if s.Mask&vfs.SetAtime != 0 {
			i.times[0] = s.Atime
		}
		if s.Mask&vfs.SetMtimeNow != 0 {
			i.times[1] = n
		} else if s.Mask&vfs.SetMtime != 0 {
			i.times[1] = s.Mtime
		}
		i.times[2] = n
		i.mu.Unlock()
	}
	return nil // O_TRUNC of a made-up file does nothing
}

func (i *Inode) isDir() bool { return i.Mode&unix.S_IFMT == unix.S_IFDIR }

// Lookup implements vfs.Inode.
func (i *Inode) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	if !i.isDir() {
		return nil, errno.ENOTDIR
	}
	i.fill()
	if c := i.Child(name); c != nil {
		return c, nil
	}
	if i.Dyn != nil {
		return i.Dyn.Lookup(ctx, name)
	}
	return nil, errno.ENOENT
}

// Ephemeral implements vfs.Ephemeral: what can die is not kept by its name.
func (i *Inode) Ephemeral() bool { return i.Alive != nil }

// Revalidate implements vfs.Revalidator.
func (i *Inode) Revalidate(ctx kctx.Ctx, parent vfs.Inode, name string) bool {
	if i.Alive != nil {
		return i.Alive()
	}
	p, ok := parent.(Any)
	if !ok {
		return true
	}
	c := p.Base().Child(name)
	if c == nil {
		return p.Base().Dyn != nil
	}
	a, ok := c.(Any) // the name may have been made anew
	return ok && a.Base() == i
}

// deny is the answer to new names in a tree without the method, as in Linux's
// vfs_mkdir and relatives; only vfs_create says EACCES.
func (i *Inode) deny() error {
	if i.FS.NoNames {
		return errno.ENOENT
	}
	return errno.EPERM
}

// Create implements vfs.Inode.
func (i *Inode) Create(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	if i.CreateFn != nil {
		return i.CreateFn(ctx, name, mode)
	}
	if i.FS.NoNames {
		return nil, errno.ENOENT
	}
	return nil, errno.EACCES
}

// Mkdir implements vfs.Inode.
func (i *Inode) Mkdir(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	if i.MkdirFn != nil {
		return i.MkdirFn(ctx, name, mode)
	}
	return nil, i.deny()
}

// Mknod implements vfs.Inode.
func (i *Inode) Mknod(ctx kctx.Ctx, name string, mode uint32, dev vfs.Dev) (vfs.Inode, error) {
	return nil, i.deny()
}

// Symlink implements vfs.Inode.
func (i *Inode) Symlink(ctx kctx.Ctx, name, target string) (vfs.Inode, error) { return nil, i.deny() }

// Link implements vfs.Inode.
func (i *Inode) Link(ctx kctx.Ctx, name string, target vfs.Inode) error { return i.deny() }

// Unlink implements vfs.Inode.
func (i *Inode) Unlink(ctx kctx.Ctx, name string, child vfs.Inode) error {
	if i.UnlinkFn != nil {
		return i.UnlinkFn(ctx, name, child)
	}
	return errno.EPERM
}

// Rmdir implements vfs.Inode.
func (i *Inode) Rmdir(ctx kctx.Ctx, name string, child vfs.Inode) error {
	if i.RmdirFn != nil {
		return i.RmdirFn(ctx, name, child)
	}
	return errno.EPERM
}

// Rename implements vfs.Inode.
func (i *Inode) Rename(ctx kctx.Ctx, oldName string, child vfs.Inode, newDir vfs.Inode, newName string, replaced vfs.Inode, flags uint32) error {
	return errno.EPERM
}

// Readlink implements vfs.Inode.
func (i *Inode) Readlink(ctx kctx.Ctx) (string, error) {
	if i.Target == nil {
		return "", errno.EINVAL
	}
	return i.Target(ctx)
}

// GetXattr implements vfs.Inode.
func (i *Inode) GetXattr(ctx kctx.Ctx, name string) (string, error) { return "", errno.EOPNOTSUPP }

// SetXattr implements vfs.Inode.
func (i *Inode) SetXattr(ctx kctx.Ctx, name, value string, flags uint32) error {
	return errno.EOPNOTSUPP
}

// ListXattr implements vfs.Inode.
func (i *Inode) ListXattr(ctx kctx.Ctx) ([]string, error) { return nil, nil }

// RemoveXattr implements vfs.Inode.
func (i *Inode) RemoveXattr(ctx kctx.Ctx, name string) error { return errno.EOPNOTSUPP }

// Release implements vfs.Inode.
func (i *Inode) Release() {}

// Open implements vfs.Inode.
func (i *Inode) Open(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
	if i.Alive != nil && !i.Alive() {
		return nil, errno.ENOENT
	}
	if i.Check != nil {
		if err := i.Check(ctx); err != nil {
			return nil, err
		}
	}
	if i.OpenOps != nil {
		return i.OpenOps(ctx, d, flags)
	}
	if i.isDir() {
		return &dirFile{i: i}, nil
	}
	acc := flags & unix.O_ACCMODE
	if i.Store == nil && acc != unix.O_RDONLY && i.Show == nil {
		return nil, errno.EACCES
	}
	return &textFile{i: i, seen: i.count()}, nil
}

// Notifier is a Watch for those who announce changes themselves.
type Notifier struct {
	n     atomic.Uint64
	queue wait.Queue
}

// Changed wakes whoever polls.
func (n *Notifier) Changed() {
	n.n.Add(1)
	n.queue.Notify(wait.Pri | wait.Err)
}

// Watch is an Inode's Watch.
func (n *Notifier) Watch() (uint64, *wait.Queue) { return n.n.Load(), &n.queue }

func (i *Inode) count() uint64 {
	if i.Watch == nil {
		return 0
	}
	n, _ := i.Watch()
	return n
}

// base has what neither directories nor texts can do.
type base struct{}

func (base) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	return 0, errno.ENOTTY
}
func (base) Mmap(ctx kctx.Ctx, f *vfs.File) (memmap.Mappable, error) { return nil, errno.ENODEV }
func (base) Ready(mask wait.Events) wait.Events {
	return mask & (wait.In | wait.Out | wait.RdNorm | wait.WrNorm)
}
func (base) WaitQueue() *wait.Queue                                          { return nil }
func (base) Sync(ctx kctx.Ctx, f *vfs.File, dataOnly bool) error             { return errno.EINVAL }
func (base) Flush(ctx kctx.Ctx, f *vfs.File) error                           { return nil }
func (base) Release(ctx kctx.Ctx, f *vfs.File)                               {}
func (base) Allocate(ctx kctx.Ctx, f *vfs.File, m uint32, o, n uint64) error { return errno.EOPNOTSUPP }

// textFile is an open text.
type textFile struct {
	base
	i *Inode

	mu   sync.Mutex
	text []byte
	made bool
	seen uint64
}

func (t *textFile) load(ctx kctx.Ctx) error {
	var w bytes.Buffer
	t.seen = t.i.count()
	if err := t.i.Show(ctx, &w); err != nil {
		return err
	}
	t.text, t.made = w.Bytes(), true
	return nil
}

func (t *textFile) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	if t.i.Show == nil {
		return 0, errno.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if *off == 0 || !t.made {
		if err := t.load(ctx); err != nil {
			return 0, err
		}
	}
	if *off < 0 || *off >= int64(len(t.text)) {
		return 0, nil
	}
	n, err := dst.Put(t.text[*off:])
	*off += int64(n)
	return int64(n), err
}

// maxStore bounds one write, as Linux does for sysctl and sysfs files.
const maxStore = 65536

func (t *textFile) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	if t.i.Store == nil {
		return 0, errno.EINVAL
	}
	n := src.Len()
	if n > maxStore {
		n = maxStore
	}
	b := make([]byte, n)
	k, err := src.Take(b)
	if err != nil {
		return 0, err
	}
	if err := t.i.Store(ctx, string(b[:k])); err != nil {
		return 0, err
	}
	*off += int64(k)
	return int64(k), nil
}

func (t *textFile) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) {
	switch whence {
	case unix.SEEK_SET:
	default:
		return 0, errno.EINVAL
	}
	if off < 0 {
		return 0, errno.EINVAL
	}
	return off, nil
}

func (t *textFile) Readdir(ctx kctx.Ctx, f *vfs.File, pos int64, emit func(vfs.Dirent) bool) error {
	return errno.ENOTDIR
}

func (t *textFile) Ready(mask wait.Events) wait.Events {
	r := wait.In | wait.Out | wait.RdNorm | wait.WrNorm
	if t.i.Watch != nil {
		t.mu.Lock()
		if t.seen != t.i.count() {
			r |= wait.Pri | wait.Err
		}
		t.mu.Unlock()
	}
	return r & (mask | wait.Err)
}

func (t *textFile) WaitQueue() *wait.Queue {
	if t.i.Watch == nil {
		return nil
	}
	_, q := t.i.Watch()
	return q
}

// dirFile is an open directory.
type dirFile struct {
	base
	i *Inode
}

// dynBase is the position of the first dynamic entry.
const dynBase = 1 << 16

func (d *dirFile) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	return 0, errno.EISDIR
}

func (d *dirFile) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	return 0, errno.EBADF
}

func (d *dirFile) Seek(ctx kctx.Ctx, f *vfs.File, off int64, whence int) (int64, error) {
	if whence != unix.SEEK_SET || off < 0 {
		return 0, errno.EINVAL
	}
	return off, nil
}

func (d *dirFile) Readdir(ctx kctx.Ctx, f *vfs.File, pos int64, emit func(vfs.Dirent) bool) error {
	i := d.i
	if i.Alive != nil && !i.Alive() {
		return errno.ENOENT
	}
	if pos == 0 {
		if !emit(vfs.Dirent{Name: ".", Ino: i.Ino, Type: unix.DT_DIR, Next: 1}) {
			return nil
		}
		pos = 1
	}
	if pos == 1 {
		if !emit(vfs.Dirent{Name: "..", Ino: 1, Type: unix.DT_DIR, Next: 2}) {
			return nil
		}
		pos = 2
	}
	if pos < dynBase {
		i.fill()
		i.mu.Lock()
		names := i.names
		kids := make([]vfs.Inode, len(names))
		for k, n := range names {
			kids[k] = i.kids[n]
		}
		i.mu.Unlock()
		for k := pos - 2; k < int64(len(names)); k++ {
			e := vfs.Dirent{Name: names[k], Next: k + 3}
			e.Ino, e.Type = identity(kids[k])
			if !emit(e) {
				return nil
			}
		}
		pos = dynBase
	}
	if i.Dyn == nil {
		return nil
	}
	return i.Dyn.List(ctx, pos-dynBase, func(e Entry) bool {
		return emit(vfs.Dirent{Name: e.Name, Ino: e.Ino, Type: e.Type, Next: dynBase + e.Key + 1})
	})
}

func identity(c vfs.Inode) (uint64, uint8) {
	m, _, _ := c.Attr()
	typ := uint8(m & unix.S_IFMT >> 12)
	if a, ok := c.(Any); ok {
		return a.Base().Ino, typ
	}
	return 1, typ
}
