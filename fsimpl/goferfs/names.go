package goferfs

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/vfs"
)

// missesBeforeList is how many lookups in one directory ask for single names
// before the whole directory is fetched, if it has no more than listAhead
// entries.
const (
	missesBeforeList = 3
	listAhead        = 1024
	// hugeDir is how many entries a directory may have to be kept as a whole.
	hugeDir = 1 << 15
)

// Lookup implements vfs.Inode.
func (i *inode) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	if i.dir == nil {
		return nil, errno.ENOTDIR
	}
	s := i.fs
	if s.exclusive {
		if k, err := i.known(name); k != nil || err != nil {
			return asInode(k), err
		}
		s.mu.Lock()
		i.dir.misses++
		list := i.dir.misses == missesBeforeList && s.nodes < nodeLimit
		s.mu.Unlock()
		if list {
			i.fetch(listAhead, 0)
			if k, err := i.known(name); k != nil || err != nil {
				return asInode(k), err
			}
		}
	}
	k, err := i.askChild(name)
	return asInode(k), err
}

func asInode(k *inode) vfs.Inode {
	if k == nil {
		return nil
	}
	return k
}

// known answers a lookup from what is cached: an inode, ENOENT, or neither.
func (i *inode) known(name string) (*inode, error) {
	s := i.fs
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := i.dir.kids[name]; k != nil {
		k.refs++
		return k, nil
	}
	if i.dir.complete || i.gone {
		return nil, errno.ENOENT
	}
	return nil, nil
}

// askChild looks a name up at the server.
func (i *inode) askChild(name string) (*inode, error) {
	p, err := i.childPath(name)
	if err != nil {
		return nil, err
	}
	if i.fs.exclusive && p != name {
		// Most files that are looked up are opened next: have it come along.
		e := wire.NewRequest(wire.OpFind, p[:len(p)-len(name)-1])
		e.Str(name)
		d, fds, err := i.fs.lane.Call(e, 1)
		if err != nil {
			return nil, err
		}
		k, err := i.adopt(name, &d)
		k.foundWith(fds)
		return k, err
	}
	d, _, err := i.fs.lane.Call(wire.NewRequest(wire.OpStat, p), 0)
	if err != nil {
		return nil, err
	}
	return i.adopt(name, &d)
}

// foundWith keeps the descriptor that came with the description of i, which
// may be nil.
func (i *inode) foundWith(fds []int) {
	for _, fd := range fds {
		if i != nil && i.isReg() {
			i.donate(unix.O_RDONLY, fd)
		} else {
			unix.Close(fd)
		}
	}
}

// adopt makes the child that the server described and takes a reference.
func (i *inode) adopt(name string, d *wire.Dec) (*inode, error) {
	var a wire.Attr
	if d.Attr(&a); !d.End() {
		return nil, errno.EIO
	}
	i.fs.mu.Lock()
	defer i.fs.mu.Unlock()
	k := i.fs.childLocked(i, name, &a)
	k.refs++
	k.checked.Store(int64(time.Since(epoch)))
	return k, nil
}

// How long what the server said of a file is believed without asking again, if
// others may change the tree. A directory on the way to somewhere: the server
// walks the whole path anew for whatever is asked at its end, so that only its
// permissions can be out of date. Attributes: as long as one system call.
const (
	dirTrust  = 20 * time.Millisecond
	attrTrust = 100 * time.Microsecond
)

var epoch = time.Now()

func (i *inode) checkedWithin(d time.Duration) bool {
	c := i.checked.Load()
	return c != 0 && time.Since(epoch)-time.Duration(c) < d
}

// Revalidate implements vfs.Revalidator.
func (i *inode) Revalidate(ctx kctx.Ctx, parent vfs.Inode, name string) bool {
	if i.fs.exclusive {
		return true
	}
	p, ok := parent.(*inode)
	if !ok {
		return false
	}
	if i.dir != nil && i.checkedWithin(dirTrust) {
		return true
	}
	k, err := p.askChild(name)
	if err != nil {
		return false
	}
	k.Release()
	return k == i
}

// Prefetch implements vfs.Prefetcher.
func (i *inode) Prefetch(ctx kctx.Ctx, names []string) {
	s := i.fs
	if !s.exclusive || i.dir == nil || len(names) < 2 {
		return
	}
	s.mu.RLock()
	dir := i
	for len(names) > 0 {
		k := dir.dir.kids[names[0]]
		if k == nil {
			if dir.dir.complete {
				names = nil
			}
			break
		}
		if k.dir == nil {
			names = nil
			break
		}
		dir, names = k, names[1:]
	}
	p, ok := dir.pathLocked()
	s.mu.RUnlock()
	if len(names) < 2 || !ok {
		return
	}
	before := s.changes.Load()
	e := wire.NewRequest(wire.OpFind, p)
	for _, n := range names {
		e.Str(n)
	}
	d, fds, err := s.lane.Call(e, 1)
	if err != nil {
		return
	}
	var last *inode // if all names led to it
	s.mu.Lock()
	for k, n := range names {
		var a wire.Attr
		if s.changes.Load() != before || len(d.B) == 0 {
			break
		}
		if d.Attr(&a); d.Bad || dir.dir == nil || dir.gone {
			break
		}
		dir = s.childLocked(dir, n, &a)
		if k == len(names)-1 {
			last = dir
		}
	}
	s.mu.Unlock()
	last.foundWith(fds)
}

// fetch lists directory i and, with more > 0, directories below it; everything
// goes into the cache, and i's listing is returned if it was complete.
func (i *inode) fetch(first, more uint32) ([]entry, error) {
	s := i.fs
	p, err := i.path()
	if err != nil {
		return nil, nil // a removed directory is empty
	}
	before := s.changes.Load()
	e := wire.NewRequest(wire.OpList, p)
	e.U32(first)
	e.U32(more)
	dirs := []*listedDir{}
	bad := false
	err = s.lane.Stream(e, func(body []byte) { bad = bad || !parseList(body, &dirs) })
	if err != nil {
		return nil, err
	}
	if bad || len(dirs) == 0 {
		return nil, errno.EIO
	}
	out := dirs[0]
	if !s.exclusive {
		l := make([]entry, len(out.names))
		for n := range out.names {
			l[n] = s.entryOf(out.names[n], &out.attrs[n])
		}
		return l, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	keep := s.changes.Load() == before
	var l []entry
	for n, x := range dirs {
		d := i
		if n > 0 {
			if d = i.descendLocked(x.path); d == nil || d.dir == nil || d.gone || s.nodes > nodeLimit {
				continue
			}
		}
		if !keep || n == 0 && len(x.names) > hugeDir {
			if n > 0 {
				break
			}
			for k := range x.names {
				l = append(l, s.entryOf(x.names[k], &x.attrs[k]))
			}
			break
		}
		listing := make([]entry, len(x.names))
		for k, name := range x.names {
			s.childLocked(d, name, &x.attrs[k])
			listing[k] = s.entryOf(name, &x.attrs[k])
		}
		if x.complete {
			d.dir.complete, d.dir.listing = true, listing
		}
		if n == 0 {
			l = listing
		}
	}
	return l, nil
}

func (s *Super) entryOf(name string, a *wire.Attr) entry {
	return entry{name, s.inoOf(idOf(a)), uint8(a.Mode & unix.S_IFMT >> 12)}
}

// descendLocked follows a path of cached names. Precondition: fs.mu.
func (i *inode) descendLocked(path string) *inode {
	d := i
	for path != "" && d != nil && d.dir != nil {
		name := path
		for k := range len(path) {
			if path[k] == '/' {
				name = path[:k]
				break
			}
		}
		path = path[min(len(name)+1, len(path)):]
		d = d.dir.kids[name]
	}
	return d
}

// listedDir is one directory of a listing.
type listedDir struct {
	path     string
	names    []string
	attrs    []wire.Attr
	complete bool
	closed   bool
}

// parseList takes one packet of a listing; false if it is malformed.
func parseList(body []byte, dirs *[]*listedDir) bool {
	d := wire.Dec{B: body}
	for len(d.B) > 0 {
		var cur *listedDir
		if n := len(*dirs); n > 0 {
			cur = (*dirs)[n-1]
		}
		switch d.U8() {
		case wire.ListDir:
			path := d.Str()
			if d.Bad || !wire.GoodPath(path) || len(*dirs) > wire.MaxList || cur != nil && !cur.closed || (cur == nil) != (path == "") {
				return false
			}
			*dirs = append(*dirs, &listedDir{path: path})
		case wire.ListEntry:
			name := d.Str()
			var a wire.Attr
			d.Attr(&a)
			if d.Bad || cur == nil || cur.closed || !wire.GoodName(name) {
				return false
			}
			cur.names, cur.attrs = append(cur.names, name), append(cur.attrs, a)
		case wire.ListEnd:
			if cur == nil || cur.closed {
				return false
			}
			cur.complete, cur.closed = true, true
		case wire.ListCut:
			if cur == nil || cur.closed {
				return false
			}
			cur.closed = true
		default:
			return false
		}
	}
	return true
}

// made finishes a call that made a name.
func (i *inode) made(ctx kctx.Ctx, e *wire.Enc, name string, maxFDs int) (vfs.Inode, error) {
	d, fds, err := i.fs.lane.Call(e, maxFDs)
	if err != nil {
		return nil, err
	}
	i.fs.changes.Add(1)
	k, err := i.adopt(name, &d)
	if err != nil || (maxFDs > 0 && (len(fds) != 1 || !k.isReg())) {
		for _, fd := range fds {
			unix.Close(fd)
		}
		if k != nil {
			k.Release()
		}
		return nil, errno.EIO
	}
	if maxFDs > 0 {
		k.donate(unix.O_RDWR, fds[0])
		k.ours.Store(true)
	}
	i.touched()
	return k, nil
}

// touched notes that a directory changed: its times and link count are the
// server's to know.
func (i *inode) touched() {
	i.mu.Lock()
	i.dirty = true
	i.mu.Unlock()
}

func (i *inode) request(ctx kctx.Ctx, op wire.Op, name string) (*wire.Enc, error) {
	if i.dir == nil {
		return nil, errno.ENOTDIR
	}
	p, err := i.childPath(name)
	if err != nil {
		return nil, err
	}
	return wire.NewRequest(op, p), nil
}

func (i *inode) owner(ctx kctx.Ctx, e *wire.Enc, mode uint32) (m, uid, gid uint32) {
	u, g, m := vfs.NewOwner(ctx, i, mode)
	return m, uint32(u), uint32(g)
}

// Create implements vfs.Inode.
func (i *inode) Create(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	e, err := i.request(ctx, wire.OpCreate, name)
	if err != nil {
		return nil, err
	}
	m, uid, gid := i.owner(ctx, e, mode&07777|unix.S_IFREG)
	e.U32(m & 07777)
	e.U32(uid)
	e.U32(gid)
	return i.made(ctx, e, name, 1)
}

// Mkdir implements vfs.Inode.
func (i *inode) Mkdir(ctx kctx.Ctx, name string, mode uint32) (vfs.Inode, error) {
	e, err := i.request(ctx, wire.OpMkdir, name)
	if err != nil {
		return nil, err
	}
	m, uid, gid := i.owner(ctx, e, mode&07777|unix.S_IFDIR)
	e.U32(m & 07777)
	e.U32(uid)
	e.U32(gid)
	k, err := i.made(ctx, e, name, 0)
	if err == nil && i.fs.exclusive {
		i.fs.mu.Lock()
		if d := k.(*inode).dir; d != nil {
			d.complete = true // a new directory is empty
		}
		i.fs.mu.Unlock()
	}
	return k, err
}

// Mknod implements vfs.Inode.
func (i *inode) Mknod(ctx kctx.Ctx, name string, mode uint32, dev vfs.Dev) (vfs.Inode, error) {
	e, err := i.request(ctx, wire.OpMknod, name)
	if err != nil {
		return nil, err
	}
	m, uid, gid := i.owner(ctx, e, mode)
	e.U32(m)
	e.U32(uid)
	e.U32(gid)
	e.U32(dev.Major)
	e.U32(dev.Minor)
	return i.made(ctx, e, name, 0)
}

// Symlink implements vfs.Inode.
func (i *inode) Symlink(ctx kctx.Ctx, name, target string) (vfs.Inode, error) {
	e, err := i.request(ctx, wire.OpSymlink, name)
	if err != nil {
		return nil, err
	}
	_, uid, gid := i.owner(ctx, e, 0777|unix.S_IFLNK)
	e.Str(target)
	e.U32(uid)
	e.U32(gid)
	return i.made(ctx, e, name, 0)
}

// Link implements vfs.Inode.
func (i *inode) Link(ctx kctx.Ctx, name string, target vfs.Inode) error {
	t, ok := target.(*inode)
	if !ok || t.fs != i.fs {
		return errno.EXDEV
	}
	if i.dir == nil {
		return errno.ENOTDIR
	}
	old, err := t.path()
	if err != nil {
		return errno.ENOENT
	}
	to, err := i.childPath(name)
	if err != nil {
		return err
	}
	e := wire.NewRequest(wire.OpLink, old)
	e.Str(to)
	d, _, err := i.fs.lane.Call(e, 0)
	if err != nil {
		return err
	}
	i.fs.changes.Add(1)
	var a wire.Attr
	if d.Attr(&a); !d.End() {
		return errno.EIO
	}
	s := i.fs
	s.mu.Lock()
	if _, known := s.byID[idOf(&a)]; !known {
		s.byID[idOf(&a)] = t
	}
	s.childLocked(i, name, &a)
	s.mu.Unlock()
	i.touched()
	return nil
}

func (i *inode) unlink(name string, child vfs.Inode, dir uint8) error {
	p, err := i.childPath(name)
	if err != nil {
		return err
	}
	k, _ := child.(*inode)
	if k != nil && dir == 0 {
		// Once the name is gone only a descriptor leads to the file: nothing
		// needs one that does not have one already.
		k.touched()
	}
	e := wire.NewRequest(wire.OpUnlink, p)
	e.U8(dir)
	s := i.fs
	if !i.postUnlink(e, name, k, dir) {
		if _, _, err := s.lane.Call(e, 0); err != nil {
			return err
		}
		if dir == 0 {
			i.removed.Store(true)
		}
	}
	s.changes.Add(1)
	s.mu.Lock()
	s.dropNameLocked(i, name)
	if k != nil && !s.exclusive && k.parent == i && k.name == name {
		k.gone = true
	}
	gone := k != nil && k.gone
	s.mu.Unlock()
	if gone {
		k.mu.Lock()
		if k.anyFDLocked() < 0 {
			k.dirty = false
		}
		if dir != 0 {
			k.attr.nlink = 0
		} else if k.attr.nlink > 0 {
			k.attr.nlink--
		}
		k.mu.Unlock()
	}
	i.touched()
	return nil
}

// postUnlink removes a name without waiting for the answer, where it is known:
// nobody else changes the tree, we made the file, and a name was removed from
// this directory before. It says whether it did. Should the server refuse all
// the same (somebody did change the tree), the directory is looked at again.
func (i *inode) postUnlink(e *wire.Enc, name string, k *inode, dir uint8) bool {
	s := i.fs
	if !s.exclusive || dir != 0 || k == nil || !k.ours.Load() || !i.removed.Load() {
		return false
	}
	return s.lane.Post(e, func(err error) {
		if err == nil || err == errno.ENOTCONN {
			return
		}
		klog.Warningf("gofer: unlink of %q failed after it was reported done: %v", name, err)
		i.removed.Store(false)
		s.changes.Add(1)
		s.mu.Lock()
		i.dir.complete, i.dir.listing = false, nil
		s.mu.Unlock()
	})
}

// supers are the mounted connections, for Settle.
var supers sync.Map

// Settle waits until the host has all changes that calls have reported done.
func Settle() {
	supers.Range(func(k, _ any) bool {
		k.(*Super).lane.Settle()
		return true
	})
}

// Unlink implements vfs.Inode.
func (i *inode) Unlink(ctx kctx.Ctx, name string, child vfs.Inode) error {
	return i.unlink(name, child, 0)
}

// Rmdir implements vfs.Inode.
func (i *inode) Rmdir(ctx kctx.Ctx, name string, child vfs.Inode) error {
	return i.unlink(name, child, 1)
}

// Rename implements vfs.Inode.
func (i *inode) Rename(ctx kctx.Ctx, oldName string, child vfs.Inode, newDir vfs.Inode, newName string, replaced vfs.Inode, flags uint32) error {
	nd, ok := newDir.(*inode)
	if !ok || nd.fs != i.fs {
		return errno.EXDEV
	}
	s := i.fs
	from, err := i.childPath(oldName)
	if err != nil {
		return err
	}
	to, err := nd.childPath(newName)
	if err != nil {
		return err
	}
	e := wire.NewRequest(wire.OpRename, from)
	e.Str(to)
	e.U32(flags)
	if _, _, err := s.lane.Call(e, 0); err != nil {
		return err
	}
	s.changes.Add(1)
	s.mu.Lock()
	a, _ := child.(*inode)
	b, _ := replaced.(*inode)
	if flags&unix.RENAME_EXCHANGE != 0 {
		s.moveLocked(a, i, oldName, nd, newName)
		s.moveLocked(b, nd, newName, i, oldName)
	} else if a != b {
		if b != nil {
			if s.exclusive {
				s.dropNameLocked(nd, newName)
			} else if b.parent == nd && b.name == newName {
				b.gone = true
			}
		}
		delete(i.dir.kids, oldName)
		s.moveLocked(a, i, oldName, nd, newName)
		if flags&unix.RENAME_WHITEOUT != 0 {
			i.dir.complete = false
		}
	}
	i.dir.listing, nd.dir.listing = nil, nil
	s.mu.Unlock()
	for _, x := range []*inode{i, nd, a, b} {
		if x != nil {
			x.touched()
		}
	}
	if b != nil && b.gone {
		b.mu.Lock()
		if b.attr.nlink > 0 {
			b.attr.nlink--
		}
		if b.anyFDLocked() < 0 {
			b.dirty = false
		}
		b.mu.Unlock()
	}
	return nil
}

// moveLocked changes one name of k. Precondition: fs.mu.
func (s *Super) moveLocked(k, dir *inode, name string, newDir *inode, newName string) {
	if k == nil {
		newDir.dir.complete = false
		return
	}
	if k.parent == dir && k.name == name {
		k.parent, k.name = newDir, newName
	} else {
		for n, o := range k.others {
			if o.dir == dir && o.name == name {
				k.others[n] = place{newDir, newName}
			}
		}
	}
	if s.exclusive {
		newDir.dir.addLocked(newName, k)
	}
}
