package tmpfs

import (
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// dir is a directory. Entries keep their cookie for life, so that readdir
// goes on where it was whatever happens to the others.
type dir struct {
	node
	vfs.NotLink

	// Under Super.tree.
	parent *dir
	names  map[string]*entry
	list   []*entry // by cookie; removed ones stay as gaps until compaction
	gaps   int
	next   int64
	dead   bool
}

type entry struct {
	name   string
	child  inode // nil: removed
	cookie int64
}

// firstCookie is the position behind "." and "..".
const firstCookie = 2

// entrySize is what an entry adds to a directory's st_size (BOGO_DIRENT_SIZE).
const entrySize = 20

func (s *Super) newDir(parent *dir, mode uint32, uid creds.KUID, gid creds.KGID) *dir {
	d := &dir{parent: parent, next: firstCookie}
	d.init(s, unix.S_IFDIR|mode&0o7777, uid, gid)
	d.nlink.Store(2)
	s.inodes.Add(1)
	return d
}

func (d *dir) Stat(kctx.Ctx) (vfs.Stat, error) {
	st := d.stat()
	d.sb.tree.RLock()
	st.Size = uint64(len(d.names)+2) * entrySize
	d.sb.tree.RUnlock()
	return st, nil
}

func (d *dir) SetStat(ctx kctx.Ctx, s vfs.SetStat) error {
	if s.Mask&vfs.SetSize != 0 {
		return errno.EISDIR
	}
	return d.node.SetStat(ctx, s)
}

func (d *dir) Release() { d.drop() }

func (d *dir) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	d.sb.tree.RLock()
	defer d.sb.tree.RUnlock()
	e := d.names[name]
	if e == nil {
		return nil, errno.ENOENT
	}
	e.child.base().refs.Add(1)
	return e.child, nil
}

// addLocked enters child. Precondition: tree.
func (d *dir) addLocked(name string, child inode) {
	if d.names == nil {
		d.names = map[string]*entry{}
	}
	e := &entry{strings.Clone(name), child, d.next}
	d.next++
	d.names[e.name] = e
	d.list = append(d.list, e)
}

// delLocked removes a name. Precondition: tree.
func (d *dir) delLocked(e *entry) {
	delete(d.names, e.name)
	e.child = nil
	d.gaps++
	if d.gaps > 32 && d.gaps > len(d.list)/2 {
		kept := make([]*entry, 0, len(d.list)-d.gaps)
		for _, x := range d.list {
			if x.child != nil {
				kept = append(kept, x)
			}
		}
		d.list, d.gaps = kept, 0
	}
}

// make enters a new inode made by mk.
func (d *dir) make(name string, mk func() inode) (vfs.Inode, error) {
	if err := d.sb.takeInode(); err != nil {
		return nil, err
	}
	d.sb.tree.Lock()
	defer d.sb.tree.Unlock()
	err := error(nil)
	if d.dead {
		err = errno.ENOENT
	} else if d.names[name] != nil {
		err = errno.EEXIST
	}
	if err != nil {
		d.sb.inodes.Add(-1)
		return nil, err
	}
	n := mk()
	d.addLocked(name, n)
	d.changed()
	return n, nil
}

func (d *dir) Create(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	uid, gid, mode := vfs.NewOwner(ctx, d, unix.S_IFREG|mode&0o7777)
	return d.make(name, func() inode {
		f := d.sb.newFile(mode, uid, gid)
		f.nlink.Store(1)
		return f
	})
}

// Tmpfile is O_TMPFILE.
func (d *dir) Tmpfile(ctx kctx.Ctx, mode uint32) (vfs.Inode, error) {
	if err := d.sb.takeInode(); err != nil {
		return nil, err
	}
	uid, gid, mode := vfs.NewOwner(ctx, d, unix.S_IFREG|mode&0o7777)
	return d.sb.newFile(mode, uid, gid), nil
}

func (d *dir) Mkdir(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	uid, gid, mode := vfs.NewOwner(ctx, d, unix.S_IFDIR|mode&0o7777)
	n, err := d.make(name, func() inode {
		c := d.sb.newDir(d, mode, uid, gid)
		d.sb.inodes.Add(-1) // make counted it
		d.nlink.Add(1)
		return c
	})
	return n, err
}

func (d *dir) newOther(ctx kctx.Ctx, mode uint32, rdev vfs.Dev, target string) func() inode {
	uid, gid, mode := vfs.NewOwner(ctx, d, mode)
	return func() inode {
		o := &other{target: target, rdev: rdev}
		o.init(d.sb, mode, uid, gid)
		o.nlink.Store(1)
		return o
	}
}

func (d *dir) Mknod(ctx kctx.Ctx, name string, mode uint32, dev vfs.Dev) (vfs.Inode, error) {
	return d.make(name, d.newOther(ctx, mode, dev, ""))
}

func (d *dir) Symlink(ctx kctx.Ctx, name, target string) (vfs.Inode, error) {
	return d.make(name, d.newOther(ctx, unix.S_IFLNK|0o777, vfs.Dev{}, target))
}

func (d *dir) Link(ctx kctx.Ctx, name string, target vfs.Inode) error {
	t, ok := target.(inode)
	if !ok {
		return errno.EXDEV
	}
	b := t.base()
	d.sb.tree.Lock()
	defer d.sb.tree.Unlock()
	switch {
	case d.dead:
		return errno.ENOENT
	case d.names[name] != nil:
		return errno.EEXIST
	}
	b.nlink.Add(1)
	d.addLocked(name, t)
	d.changed()
	b.touchCtime()
	return nil
}

func (d *dir) Unlink(ctx kctx.Ctx, name string, child vfs.Inode) error {
	d.sb.tree.Lock()
	defer d.sb.tree.Unlock()
	e := d.names[name]
	if e == nil {
		return errno.ENOENT
	}
	n := e.child.base()
	d.delLocked(e)
	n.nlink.Add(-1)
	d.changed()
	n.touchCtime()
	return nil
}

func (d *dir) Rmdir(ctx kctx.Ctx, name string, child vfs.Inode) error {
	d.sb.tree.Lock()
	defer d.sb.tree.Unlock()
	e := d.names[name]
	if e == nil {
		return errno.ENOENT
	}
	c, ok := e.child.(*dir)
	if !ok {
		return errno.ENOTDIR
	}
	if len(c.names) > 0 {
		return errno.ENOTEMPTY
	}
	d.delLocked(e)
	d.killLocked(c)
	d.changed()
	return nil
}

// killLocked ends the empty subdirectory c of d. Precondition: tree.
func (d *dir) killLocked(c *dir) {
	c.dead = true
	c.nlink.Store(0)
	d.nlink.Add(-1)
	c.touchCtime()
}

// Rename moves a name, see vfs.Inode.
func (d *dir) Rename(ctx kctx.Ctx, oldName string, child vfs.Inode, newDir vfs.Inode, newName string, replaced vfs.Inode, flags uint32) error {
	nd, ok := newDir.(*dir)
	if !ok {
		return errno.EXDEV
	}
	var whiteout func() inode
	if flags&unix.RENAME_WHITEOUT != 0 {
		if err := d.sb.takeInode(); err != nil {
			return err
		}
		whiteout = d.newOther(ctx, unix.S_IFCHR, vfs.Dev{}, "")
	}
	d.sb.tree.Lock()
	defer d.sb.tree.Unlock()
	e, v := d.names[oldName], nd.names[newName]
	if e == nil || nd.dead {
		return errno.ENOENT
	}
	if flags&unix.RENAME_EXCHANGE != 0 {
		return d.exchangeLocked(e, nd, v)
	}
	c := e.child
	if v != nil {
		if flags&unix.RENAME_NOREPLACE != 0 {
			return errno.EEXIST
		}
		if vd, ok := v.child.(*dir); ok {
			if len(vd.names) > 0 {
				return errno.ENOTEMPTY
			}
			nd.killLocked(vd)
		} else {
			v.child.base().nlink.Add(-1)
			v.child.base().touchCtime()
		}
		nd.delLocked(v)
	}
	d.delLocked(e)
	nd.addLocked(newName, c)
	if cd, ok := c.(*dir); ok && d != nd {
		cd.parent = nd
		d.nlink.Add(-1)
		nd.nlink.Add(1)
	}
	if whiteout != nil {
		d.addLocked(oldName, whiteout())
	}
	d.changed()
	if nd != d {
		nd.changed()
	}
	c.base().touchCtime()
	return nil
}

func (d *dir) exchangeLocked(e *entry, nd *dir, v *entry) error {
	if v == nil {
		return errno.ENOENT
	}
	e.child, v.child = v.child, e.child
	for _, x := range [...]struct {
		c        inode
		from, to *dir
	}{{v.child, d, nd}, {e.child, nd, d}} {
		if cd, ok := x.c.(*dir); ok && x.from != x.to {
			cd.parent = x.to
			x.from.nlink.Add(-1)
			x.to.nlink.Add(1)
		}
		x.c.base().touchCtime()
	}
	d.changed()
	nd.changed()
	return nil
}

// freeTree frees the contents of everything below a directory of an instance
// that nobody can reach any more.
func (d *dir) freeTree() {
	for _, e := range d.list {
		switch c := e.child.(type) {
		case *dir:
			c.freeTree()
		case *file:
			c.free()
		}
	}
	d.names, d.list = nil, nil
}

func (d *dir) Open(ctx kctx.Ctx, _ *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
	return dirFile{d: d}, nil
}

type dirFile struct {
	vfs.DirFileBase
	d *dir
}

func (f dirFile) Seek(ctx kctx.Ctx, _ *vfs.File, off int64, whence int) (int64, error) {
	return 0, errno.EINVAL // linux: fs/libfs.c offset_dir_llseek
}

func (f dirFile) Readdir(ctx kctx.Ctx, file *vfs.File, pos int64, emit func(vfs.Dirent) bool) error {
	d := f.d
	d.sb.tree.RLock()
	defer d.sb.tree.RUnlock()
	if pos <= 0 && !emit(vfs.Dirent{Name: ".", Ino: d.ino, Type: unix.DT_DIR, Next: 1}) {
		return nil
	}
	if pos <= 1 && !emit(vfs.Dirent{Name: "..", Ino: d.parent.ino, Type: unix.DT_DIR, Next: firstCookie}) {
		return nil
	}
	i := sort.Search(len(d.list), func(i int) bool { return d.list[i].cookie >= pos })
	for ; i < len(d.list); i++ {
		e := d.list[i]
		if e.child == nil {
			continue
		}
		n := e.child.base()
		if !emit(vfs.Dirent{Name: e.name, Ino: n.ino, Type: vfs.DirentType(n.mode.Load()), Next: e.cookie + 1}) {
			return nil
		}
	}
	d.accessed(file)
	return nil
}
