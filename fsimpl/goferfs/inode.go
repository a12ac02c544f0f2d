package goferfs

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// inode is one file of the server.
type inode struct {
	vfs.InodeBase
	fs *Super

	// What permission checks look at, readable without a lock.
	mode, uid, gid atomic.Uint32

	// Under fs.mu.
	parent *inode
	name   string
	gone   bool // no name left
	refs   int  // vfs's counts
	dir    *directory
	others []place // further names, of a file with several

	mu    sync.Mutex
	attr  attr
	dirty bool                     // attr may be behind what the descriptors say
	data  atomic.Pointer[fileData] // set once
	mark  atomic.Bool              // opening it starts opening what follows
	early atomic.Bool              // opened ahead and not used yet
	// ours files were made through this connection; from a directory with
	// removed set a name was removed (see postUnlink).
	ours, removed atomic.Bool
	// checked is when the server last described it, since epoch.
	checked atomic.Int64
	// xattrs are the names, if known.
	xattrs      []string
	xattrsKnown bool
}

type place struct {
	dir  *inode
	name string
}

// directory is the part of an inode that only directories have; under fs.mu.
type directory struct {
	kids     map[string]*inode
	complete bool // every name is in kids
	misses   int  // lookups that asked
	opens    int  // files opened that asked
	listing  []entry
}

// entry is a name of a listing, in the server's order.
type entry struct {
	name string
	ino  uint64
	typ  uint8
}

// attr is wire.Attr without what is kept elsewhere.
type attr struct {
	id                         fileID
	rdev                       vfs.Dev
	nlink                      uint32
	size, blocks               uint64
	blkSize                    uint32
	atime, mtime, ctime, btime wire.Time
	target                     string
}

func idOf(a *wire.Attr) fileID { return fileID{a.DevMajor, a.DevMinor, a.Ino} }

func (i *inode) isDir() bool { return i.mode.Load()&unix.S_IFMT == unix.S_IFDIR }
func (i *inode) isReg() bool { return i.mode.Load()&unix.S_IFMT == unix.S_IFREG }

// setAttrLocked takes over what the server said. Precondition: i.mu. The type
// never changes.
func (i *inode) setAttrLocked(a *wire.Attr) {
	i.mode.Store(a.Mode)
	i.uid.Store(a.UID)
	i.gid.Store(a.GID)
	i.attr = attr{id: idOf(a), rdev: vfs.Dev{Major: a.RdevMajor, Minor: a.RdevMinor}, nlink: a.Nlink, size: a.Size, blocks: a.Blocks,
		blkSize: a.BlkSize, atime: a.Atime, mtime: a.Mtime, ctime: a.Ctime, btime: a.Btime, target: a.Target}
}

// newInodeLocked makes an inode for a name in parent. Precondition: fs.mu.
func (s *Super) newInodeLocked(parent *inode, name string, a *wire.Attr) *inode {
	i := &inode{fs: s, parent: parent, name: name}
	i.setAttrLocked(a)
	if i.isDir() {
		i.dir = &directory{}
	}
	s.nodes++
	return i
}

// childLocked returns the inode of a name in dir that the server described:
// the one known already if it is the same file. Precondition: fs.mu.
func (s *Super) childLocked(dir *inode, name string, a *wire.Attr) *inode {
	id := idOf(a)
	if k := dir.dir.kids[name]; k != nil {
		if k.same(a) {
			return k
		}
		s.dropNameLocked(dir, name)
	}
	shared := a.Mode&unix.S_IFMT != unix.S_IFDIR && a.Nlink > 1
	var i *inode
	if shared || !s.exclusive {
		if i = s.byID[id]; i != nil && i.same(a) {
			if i.gone || !s.exclusive {
				i.parent, i.name, i.gone = dir, name, false
			} else {
				i.others = append(i.others, place{dir, name})
			}
		} else {
			i = nil
		}
	}
	if i == nil {
		i = s.newInodeLocked(dir, name, a)
		if shared || !s.exclusive {
			s.byID[id] = i
		}
	}
	if s.exclusive {
		dir.dir.addLocked(name, i)
	}
	return i
}

func (d *directory) addLocked(name string, i *inode) {
	if d.kids == nil {
		d.kids = make(map[string]*inode)
	}
	d.kids[name] = i
	d.listing = nil
}

// same says whether a describes i, and takes the attributes over if so.
func (i *inode) same(a *wire.Attr) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.attr.id != idOf(a) || (i.mode.Load()^a.Mode)&unix.S_IFMT != 0 {
		return false
	}
	if !i.fs.exclusive || !i.dirty {
		i.setAttrLocked(a)
	}
	return true
}

// dropNameLocked forgets that name leads anywhere: it was removed, or the
// server says something else. Precondition: fs.mu.
func (s *Super) dropNameLocked(dir *inode, name string) {
	i := dir.dir.kids[name]
	if i == nil {
		return
	}
	delete(dir.dir.kids, name)
	dir.dir.listing = nil
	s.unnameLocked(i, dir, name)
}

// unnameLocked takes one name off i.
func (s *Super) unnameLocked(i, dir *inode, name string) {
	if i.parent == dir && i.name == name {
		if n := len(i.others); n > 0 {
			i.parent, i.name = i.others[n-1].dir, i.others[n-1].name
			i.others = i.others[:n-1]
		} else {
			i.gone = true
			s.maybeFreeLocked(i)
		}
		return
	}
	for k, o := range i.others {
		if o.dir == dir && o.name == name {
			i.others = append(i.others[:k], i.others[k+1:]...)
			return
		}
	}
}

// maybeFreeLocked gives up an inode that nothing leads to.
func (s *Super) maybeFreeLocked(i *inode) {
	if i.refs > 0 || !i.gone && s.exclusive {
		return
	}
	s.nodes--
	i.mu.Lock()
	id := i.attr.id
	i.mu.Unlock()
	if s.byID[id] == i {
		delete(s.byID, id)
	}
	i.gone = true
	i.closeIdle()
	if i.dir != nil {
		for name, k := range i.dir.kids {
			delete(i.dir.kids, name)
			s.unnameLocked(k, i, name)
		}
	}
}

// Release implements vfs.Inode.
func (i *inode) Release() {
	s := i.fs
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.refs--; i.refs > 0 {
		return
	}
	if !i.gone && s.exclusive && s.nodes <= nodeLimit {
		return // stays known
	}
	if !i.gone && s.exclusive && i.parent != nil && i.dir == nil && len(i.others) == 0 {
		i.parent.dir.complete = false
		s.dropNameLocked(i.parent, i.name)
		return
	}
	s.maybeFreeLocked(i)
}

// Attr implements vfs.Inode.
func (i *inode) Attr() (uint32, creds.KUID, creds.KGID) {
	return i.mode.Load(), creds.KUID(i.uid.Load()), creds.KGID(i.gid.Load())
}

// Stat implements vfs.Inode.
func (i *inode) Stat(ctx kctx.Ctx) (vfs.Stat, error) {
	i.mu.Lock()
	if i.dirty || !i.fs.exclusive {
		if fd := i.anyFDLocked(); fd >= 0 {
			i.refreshLocked(fd)
		} else if i.dirty || !i.checkedWithin(attrTrust) {
			i.mu.Unlock()
			if err := i.ask(); err != nil {
				return vfs.Stat{}, err
			}
			i.mu.Lock()
		}
	}
	defer i.mu.Unlock()
	a := &i.attr
	return vfs.Stat{
		Dev: i.fs.dev, Rdev: a.rdev, Ino: i.inoLocked(), Mode: i.mode.Load(), Nlink: a.nlink,
		UID: creds.KUID(i.uid.Load()), GID: creds.KGID(i.gid.Load()),
		Size: a.size, Blocks: a.blocks, BlkSize: a.blkSize,
		Atime: spec(a.atime), Mtime: spec(a.mtime), Ctime: spec(a.ctime), Btime: spec(a.btime),
	}, nil
}

func spec(t wire.Time) unix.Timespec { return unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)} }

// inoLocked is the number to show: the server's, told apart if the tree spans
// host file systems.
func (i *inode) inoLocked() uint64 { return i.fs.inoOf(i.attr.id) }

func (s *Super) inoOf(id fileID) uint64 {
	if id.major == s.rootDev.major && id.minor == s.rootDev.minor {
		return id.ino
	}
	return id.ino ^ (uint64(id.major)<<20|uint64(id.minor)+1)<<40
}

// ask takes attributes from the server. A file whose name is gone keeps what
// is known.
func (i *inode) ask() error {
	p, err := i.path()
	if err != nil {
		return nil
	}
	d, _, err := i.fs.lane.Call(wire.NewRequest(wire.OpStat, p), 0)
	if err != nil {
		if err == errno.ENOENT {
			return nil
		}
		return err
	}
	var a wire.Attr
	if d.Attr(&a); !d.End() {
		return errno.EIO
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.attr.id == idOf(&a) && (i.mode.Load()^a.Mode)&unix.S_IFMT == 0 {
		i.setAttrLocked(&a)
		i.dirty = false
		i.checked.Store(int64(time.Since(epoch)))
	}
	return nil
}

// refreshLocked takes attributes from a donated descriptor, but not the owner:
// the sentry sees the host's ids through its own user namespace.
func (i *inode) refreshLocked(fd int) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return
	}
	a := &i.attr
	i.mode.Store(i.mode.Load()&unix.S_IFMT | st.Mode&07777)
	a.nlink, a.size, a.blocks = uint32(st.Nlink), uint64(st.Size), uint64(st.Blocks)
	a.atime = wire.Time{Sec: st.Atim.Sec, Nsec: uint32(st.Atim.Nsec)}
	a.mtime = wire.Time{Sec: st.Mtim.Sec, Nsec: uint32(st.Mtim.Nsec)}
	a.ctime = wire.Time{Sec: st.Ctim.Sec, Nsec: uint32(st.Ctim.Nsec)}
	d := i.data.Load()
	i.dirty = d != nil && d.mapped.writable > 0
}

// SetStat implements vfs.Inode.
func (i *inode) SetStat(ctx kctx.Ctx, v vfs.SetStat) error {
	w := wire.SetAttr{Mode: v.Mode, UID: uint32(v.UID), GID: uint32(v.GID), Size: v.Size,
		Atime: wire.Time{Sec: v.Atime.Sec, Nsec: uint32(v.Atime.Nsec)}, Mtime: wire.Time{Sec: v.Mtime.Sec, Nsec: uint32(v.Mtime.Nsec)}}
	for _, b := range [...]struct {
		m vfs.SetMask
		w uint32
	}{{vfs.SetMode, wire.SetMode}, {vfs.SetUID, wire.SetUID}, {vfs.SetGID, wire.SetGID}, {vfs.SetSize, wire.SetSize},
		{vfs.SetAtime, wire.SetAtime}, {vfs.SetMtime, wire.SetMtime}, {vfs.SetAtimeNow, wire.SetAtimeNow}, {vfs.SetMtimeNow, wire.SetMtimeNow}} {
		if v.Mask&b.m != 0 {
			w.Mask |= b.w
		}
	}
	if v.Mask&vfs.SetSize != 0 {
		if i.isDir() {
			return errno.EISDIR
		}
		if !i.isReg() {
			return errno.EINVAL
		}
		if v.Size > 1<<63-1 {
			return errno.EINVAL
		}
	}
	shrunk := false
	i.mu.Lock()
	old := i.attr.size
	fd := i.writeFDLocked()
	i.mu.Unlock()
	if v.Mask&vfs.SetSize != 0 {
		shrunk = true
		if fd >= 0 {
			if err := unix.Ftruncate(fd, int64(v.Size)); err != nil {
				return errno.FromHost(err)
			}
			w.Mask &^= wire.SetSize
		}
	}
	if w.Mask == 0 {
		i.mu.Lock()
		if fd >= 0 {
			i.refreshLocked(fd)
		}
		i.mu.Unlock()
	} else if p, err := i.path(); err == nil {
		e := wire.NewRequest(wire.OpSetAttr, p)
		e.SetAttr(&w)
		d, _, err := i.fs.lane.Call(e, 0)
		if err != nil {
			return err
		}
		var a wire.Attr
		if d.Attr(&a); !d.End() {
			return errno.EIO
		}
		i.mu.Lock()
		if i.attr.id == idOf(&a) && (i.mode.Load()^a.Mode)&unix.S_IFMT == 0 {
			i.setAttrLocked(&a)
		}
		i.mu.Unlock()
	} else if err := i.setStatFD(&w); err != nil {
		return err
	}
	if shrunk {
		i.truncated(old, v.Size)
	}
	return nil
}

// setStatFD changes a file without a name through its descriptors. What they
// cannot change (owner, times) changes only in what is shown.
func (i *inode) setStatFD(w *wire.SetAttr) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	fd := i.anyFDLocked()
	if w.Mask&wire.SetMode != 0 {
		if fd >= 0 {
			unix.Fchmod(fd, w.Mode&07777) // best effort: the sentry owns nothing
		}
		i.mode.Store(i.mode.Load()&unix.S_IFMT | w.Mode&07777)
	}
	if w.Mask&wire.SetUID != 0 {
		i.uid.Store(w.UID)
	}
	if w.Mask&wire.SetGID != 0 {
		i.gid.Store(w.GID)
	}
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_REALTIME, &now)
	n := wire.Time{Sec: now.Sec, Nsec: uint32(now.Nsec)}
	if w.Mask&wire.SetAtime != 0 {
		i.attr.atime = w.Atime
	} else if w.Mask&wire.SetAtimeNow != 0 {
		i.attr.atime = n
	}
	if w.Mask&wire.SetMtime != 0 {
		i.attr.mtime = w.Mtime
	} else if w.Mask&wire.SetMtimeNow != 0 {
		i.attr.mtime = n
	}
	i.attr.ctime = n
	if w.Mask&wire.SetSize != 0 {
		return errno.EINVAL
	}
	return nil
}

// Readlink implements vfs.Inode.
func (i *inode) Readlink(ctx kctx.Ctx) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.attr.target == "" {
		return "", errno.EINVAL
	}
	return i.attr.target, nil
}
