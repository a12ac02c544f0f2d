package goferfs

import (
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/vfs"
)

// fileData is what a regular file has while it is, or was lately, open: the
// donated descriptors. All are kept while there is a user, so that an open
// file can use their numbers without a lock.
type fileData struct {
	fds    [3]int // by access mode: O_RDONLY, O_WRONLY, O_RDWR; -1
	users  int    // open file descriptions
	mapped mappings
	hf     *pages.HostFile
	hfRW   bool

	// Of the list of idle files, under Super.idle.mu.
	prev, next *inode
	idle       bool
}

func (i *inode) dataLocked() *fileData {
	if d := i.data.Load(); d != nil {
		return d
	}
	i.data.Store(&fileData{fds: [3]int{-1, -1, -1}})
	return i.data.Load()
}

// fdForLocked returns a descriptor good for an access mode, or -1.
func (d *fileData) fdForLocked(acc int) int {
	if fd := d.fds[acc]; fd >= 0 {
		return fd
	}
	return d.fds[unix.O_RDWR]
}

func (i *inode) anyFDLocked() int {
	d := i.data.Load()
	if d == nil {
		return -1
	}
	for _, fd := range d.fds {
		if fd >= 0 {
			return fd
		}
	}
	if d.hf != nil {
		ro, _ := d.hf.Host()
		return ro
	}
	return -1
}

func (i *inode) writeFDLocked() int {
	d := i.data.Load()
	if d == nil {
		return -1
	}
	return d.fdForLocked(unix.O_WRONLY)
}

// donate gives i a descriptor; one too many is closed.
func (i *inode) donate(acc, fd int) {
	i.mu.Lock()
	d := i.dataLocked()
	if d.fds[acc] >= 0 {
		unix.Close(fd)
	} else {
		d.fds[acc] = fd
	}
	idle := d.users == 0
	i.mu.Unlock()
	if idle {
		i.fs.idle.add(i)
	}
}

// use returns a descriptor for an access mode and counts a user.
func (i *inode) use(acc int) (int, error) {
	i.mu.Lock()
	d := i.dataLocked()
	d.users++
	fd := d.fdForLocked(acc)
	i.mu.Unlock()
	i.fs.idle.remove(i)
	if fd >= 0 {
		if i.early.Load() && i.early.Swap(false) {
			i.fs.openedUsed.Add(1)
		}
		if spare && i.mark.Load() && i.mark.Swap(false) {
			go i.openNext()
		}
		return fd, nil
	}
	if err := i.fetchFD(acc); err != nil {
		i.unuse()
		return -1, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.data.Load().fdForLocked(acc), nil
}

// fetchFD asks the server for a descriptor of one access mode.
func (i *inode) fetchFD(acc int) error {
	if acc == unix.O_RDONLY && i.openAhead() {
		return nil
	}
	p, err := i.path()
	if err != nil {
		return err
	}
	e := wire.NewRequest(wire.OpOpen, p)
	e.U32(uint32(acc))
	dec, fds, err := i.fs.lane.Call(e, 1)
	if err != nil {
		return err
	}
	if len(fds) != 1 {
		return errno.EIO
	}
	return i.accept(&dec, acc, fds[0])
}

// accept checks that a donated descriptor is of this very file.
func (i *inode) accept(dec *wire.Dec, acc, fd int) error {
	var a wire.Attr
	dec.Attr(&a)
	if dec.Bad || a.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return errno.EIO
	}
	if !i.same(&a) {
		unix.Close(fd)
		return errno.ESTALE
	}
	i.donate(acc, fd)
	return nil
}

// unuse drops a user. The last one closes what could write and leaves what
// can only read for the next open.
func (i *inode) unuse() {
	i.mu.Lock()
	d := i.data.Load()
	d.users--
	idle := d.users == 0
	if idle {
		if fd := i.anyFDLocked(); i.dirty && fd >= 0 {
			i.refreshLocked(fd)
		}
		for _, acc := range []int{unix.O_WRONLY, unix.O_RDWR} {
			if d.fds[acc] >= 0 {
				unix.Close(d.fds[acc])
				d.fds[acc] = -1
			}
		}
		i.unmapLocked()
		idle = d.fds[0] >= 0
	}
	i.mu.Unlock()
	if idle {
		i.fs.idle.add(i)
	}
}

// closeIdle closes the descriptors if there is no user.
func (i *inode) closeIdle() {
	i.fs.idle.remove(i)
	i.mu.Lock()
	defer i.mu.Unlock()
	d := i.data.Load()
	if d == nil || d.users > 0 {
		return
	}
	if fd := i.anyFDLocked(); i.dirty && fd >= 0 {
		i.refreshLocked(fd)
	}
	for n, fd := range d.fds {
		if fd >= 0 {
			unix.Close(fd)
			d.fds[n] = -1
		}
	}
	i.unmapLocked()
}

// idleFiles is the list of files that have a descriptor and no user, oldest
// first. Its lock is a leaf.
type idleFiles struct {
	mu         sync.Mutex
	head, tail *inode
	n          int
}

// idleLimit bounds descriptors kept for files that nobody has open.
const idleLimit = 256

func (l *idleFiles) add(i *inode) {
	var victim *inode
	l.mu.Lock()
	d := i.data.Load()
	if d != nil && !d.idle {
		d.idle, d.prev, d.next = true, l.tail, nil
		if l.tail != nil {
			l.tail.data.Load().next = i
		} else {
			l.head = i
		}
		l.tail = i
		if l.n++; l.n > idleLimit {
			victim = l.head
		}
	}
	l.mu.Unlock()
	if victim != nil {
		victim.closeIdle()
	}
}

func (l *idleFiles) remove(i *inode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := i.data.Load()
	if d == nil || !d.idle {
		return
	}
	if d.prev != nil {
		d.prev.data.Load().next = d.next
	} else {
		l.head = d.next
	}
	if d.next != nil {
		d.next.data.Load().prev = d.prev
	} else {
		l.tail = d.prev
	}
	d.idle, d.prev, d.next = false, nil, nil
	l.n--
}

func (l *idleFiles) drop() {
	for {
		l.mu.Lock()
		i := l.head
		l.mu.Unlock()
		if i == nil {
			return
		}
		i.closeIdle()
	}
}

// opensBeforeAhead is how many files of a directory are opened one by one
// before the ones that follow in its listing are opened along.
const opensBeforeAhead = 4

// patience is how many files of a directory are opened singly first: fewer
// once opening ahead has proved right, very many if it was mostly in vain.
func (s *Super) patience() int {
	ahead, used := s.openedAhead.Load(), s.openedUsed.Load()
	switch {
	case ahead < wire.MaxFDs:
		return opensBeforeAhead
	case used*2 >= ahead:
		return 0
	case used*6 >= ahead:
		return opensBeforeAhead
	}
	return 64
}

// openAhead opens i together with the regular files behind it in its
// directory's listing, if the directory is being read through. It says
// whether i has its descriptor now.
func (i *inode) openAhead() bool {
	s := i.fs
	if !s.exclusive {
		return false
	}
	s.mu.Lock()
	dir := i.parent
	if i.gone || dir == nil {
		s.mu.Unlock()
		return false
	}
	dir.dir.opens++
	ok := dir.dir.opens > s.patience() && dir.dir.listing != nil
	s.mu.Unlock()
	if !ok {
		return false
	}
	files := s.following(i, []*inode{i})
	if len(files) < 2 || files[0].parent != dir {
		return false
	}
	s.openMany(dir, files)
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.data.Load().fdForLocked(unix.O_RDONLY) >= 0
}

// openNext opens the next files of a directory, behind i, before the reader
// comes to them.
func (i *inode) openNext() {
	i.fs.mu.RLock()
	dir := i.parent
	i.fs.mu.RUnlock()
	if files := i.fs.following(i, nil); len(files) > 0 && dir != nil {
		i.fs.openMany(dir, files)
	}
}

// following adds to files the regular files that come after i in its
// directory's listing and have no descriptor. Once opening ahead has proved
// right it goes on in the order of a walk of the tree, into and out of
// directories whose listings are known.
func (s *Super) following(i *inode, files []*inode) []*inode {
	s.mu.RLock()
	defer s.mu.RUnlock()
	dir := i.parent
	if dir == nil || i.gone || dir.gone {
		return nil
	}
	walk := s.patience() == 0
	steps := 4 * wire.MaxFDs
	files = dir.followLocked(i.name, walk, &steps, files)
	for walk && steps > 0 && len(files) < wire.MaxFDs && dir.parent != nil && !dir.gone {
		name := dir.name
		dir = dir.parent
		if dir.dir.listing == nil {
			break
		}
		files = dir.followLocked(name, true, &steps, files)
	}
	return files
}

// followLocked adds files behind the entry after of directory d.
func (d *inode) followLocked(after string, walk bool, steps *int, files []*inode) []*inode {
	skip := after != ""
	for k := range d.dir.listing {
		e := &d.dir.listing[k]
		if skip {
			skip = e.name != after
			continue
		}
		if *steps--; *steps < 0 || len(files) >= wire.MaxFDs {
			break
		}
		f := d.dir.kids[e.name]
		if f == nil || f.parent != d || f.name != e.name || f.gone {
			continue
		}
		if e.typ == unix.DT_DIR && walk && f.dir != nil && f.dir.complete {
			files = f.followLocked("", true, steps, files)
			continue
		}
		if e.typ != unix.DT_REG || f.mode.Load()&0444 == 0 {
			continue
		}
		f.mu.Lock()
		have := f.anyFDLocked() >= 0
		f.mu.Unlock()
		if !have {
			files = append(files, f)
		}
	}
	return files
}

// openMany opens files for reading, in one message. The first is in dir.
func (s *Super) openMany(dir *inode, files []*inode) {
	s.mu.RLock()
	p, ok := dir.pathLocked()
	if !ok {
		s.mu.RUnlock()
		return
	}
	e := wire.NewRequest(wire.OpOpenMany, p)
	for k, f := range files {
		if f.gone {
			files = files[:k]
			break
		}
		if f.parent != dir {
			dir = f.parent
			if p, ok = dir.pathLocked(); !ok || len(e.B)+len(p) > wire.MaxPacket/2 {
				files = files[:k]
				break
			}
			e.Str("/" + p)
		}
		e.Str(f.name)
	}
	s.mu.RUnlock()
	dec, fds, err := s.lane.Call(e, wire.MaxFDs)
	if err != nil {
		return
	}
	for k, f := range files {
		if len(fds) == 0 || dec.Bad || len(dec.B) == 0 {
			break
		}
		if dec.U8() != 1 {
			continue
		}
		fd := fds[0]
		fds = fds[1:]
		if f.accept(&dec, unix.O_RDONLY, fd) == nil && k > 0 {
			f.early.Store(true)
			s.openedAhead.Add(1)
		}
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	if n := len(files); n == wire.MaxFDs {
		files[n/2].mark.Store(true)
	}
}

// Open implements vfs.Inode.
func (i *inode) Open(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
	switch i.mode.Load() & unix.S_IFMT {
	case unix.S_IFDIR:
		return &dirFile{i: i}, nil
	case unix.S_IFREG:
	case unix.S_IFLNK:
		return nil, errno.ELOOP
	default:
		return nil, errno.ENXIO
	}
	acc := int(flags & unix.O_ACCMODE)
	if acc == unix.O_ACCMODE {
		acc = unix.O_RDWR
	}
	if i.fs.readOnly && acc != unix.O_RDONLY {
		return nil, errno.EROFS
	}
	fd, err := i.use(acc)
	if err != nil {
		return nil, err
	}
	return &file{i: i, fd: fd, acc: acc}, nil
}
