package tmpfs

import (
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/lock"
	"redoubt.dev/redoubt/vfs"
)

// maxXattrs bounds the extended attributes of one inode, in bytes.
const maxXattrs = 1 << 20

// node is the part that every inode has.
type node struct {
	vfs.InodeBase
	sb  *Super
	ino uint64
	// refs counts what vfs holds, see vfs.Inode.Release.
	refs  atomic.Int64
	mode  atomic.Uint32
	owner atomic.Uint64 // uid<<32 | gid
	nlink atomic.Int32  // changed under Super.tree

	mu                         lock.RWMutex[lock.InodeMu]
	atime, mtime, ctime, btime int64 // ns
	xattrs                     map[string]string
}

type inode interface {
	vfs.Inode
	base() *node
}

func (n *node) base() *node { return n }

func (n *node) init(s *Super, mode uint32, uid creds.KUID, gid creds.KGID) {
	n.sb = s
	n.ino = s.nextIno.Add(1)
	n.mode.Store(mode)
	n.owner.Store(uint64(uid)<<32 | uint64(gid))
	n.refs.Store(1)
	now := time.Now().UnixNano()
	n.atime, n.mtime, n.ctime, n.btime = now, now, now, now
}

func (n *node) Attr() (uint32, creds.KUID, creds.KGID) {
	o := n.owner.Load()
	return n.mode.Load(), creds.KUID(o >> 32), creds.KGID(uint32(o))
}

func (n *node) stat() vfs.Stat {
	mode, uid, gid := n.Attr()
	n.mu.RLock()
	defer n.mu.RUnlock()
	return vfs.Stat{Dev: n.sb.dev, Ino: n.ino, Mode: mode, Nlink: uint32(n.nlink.Load()), UID: uid, GID: gid, BlkSize: pageSize,
		Atime: ts(n.atime), Mtime: ts(n.mtime), Ctime: ts(n.ctime), Btime: ts(n.btime)}
}

func ts(ns int64) unix.Timespec {
	s := ns / 1e9
	r := ns % 1e9
	if r < 0 {
		s, r = s-1, r+1e9
	}
	return unix.Timespec{Sec: s, Nsec: r}
}

func fromTS(t unix.Timespec) int64 { return t.Sec*1e9 + t.Nsec }

func (n *node) Stat(kctx.Ctx) (vfs.Stat, error) { return n.stat(), nil }

// SetStat changes what the mask selects; size is file's.
func (n *node) SetStat(ctx kctx.Ctx, s vfs.SetStat) error {
	now := time.Now().UnixNano()
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.Mask&vfs.SetMode != 0 {
		n.mode.Store(n.mode.Load()&unix.S_IFMT | s.Mode&0o7777)
	}
	if s.Mask&(vfs.SetUID|vfs.SetGID) != 0 {
		o := n.owner.Load()
		if s.Mask&vfs.SetUID != 0 {
			o = o&0xffffffff | uint64(s.UID)<<32
		}
		if s.Mask&vfs.SetGID != 0 {
			o = o&^0xffffffff | uint64(s.GID)
		}
		n.owner.Store(o)
	}
	switch {
	case s.Mask&vfs.SetAtimeNow != 0:
		n.atime = now
	case s.Mask&vfs.SetAtime != 0:
		n.atime = fromTS(s.Atime)
	}
	switch {
	case s.Mask&vfs.SetMtimeNow != 0:
		n.mtime = now
	case s.Mask&vfs.SetMtime != 0:
		n.mtime = fromTS(s.Mtime)
	}
	n.ctime = now
	return nil
}

// changed updates the times of a write.
func (n *node) changed() {
	now := time.Now().UnixNano()
	n.mu.Lock()
	n.mtime, n.ctime = now, now
	n.mu.Unlock()
}

func (n *node) touchCtime() {
	now := time.Now().UnixNano()
	n.mu.Lock()
	n.ctime = now
	n.mu.Unlock()
}

// accessed updates the access time by the rules of the file's mount.
func (n *node) accessed(f *vfs.File) {
	up, rel := f.WantAtime()
	if !up {
		return
	}
	n.mu.RLock()
	at, mt, ct := n.atime, n.mtime, n.ctime
	n.mu.RUnlock()
	now := time.Now().UnixNano()
	if rel && at > mt && at > ct && now-at < int64(24*time.Hour) {
		return
	}
	n.mu.Lock()
	n.atime = now
	n.mu.Unlock()
}

func (n *node) GetXattr(ctx kctx.Ctx, name string) (string, error) {
	if name == "system.posix_acl_access" || name == "system.posix_acl_default" {
		return "", errno.ENODATA // there are none
	}
	if err := xattrName(name); err != nil {
		return "", err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	v, ok := n.xattrs[name]
	if !ok {
		return "", errno.ENODATA
	}
	return v, nil
}

func xattrName(name string) error {
	for _, p := range [...]string{"user.", "trusted.", "security."} {
		if strings.HasPrefix(name, p) {
			if len(name) == len(p) {
				return errno.EINVAL
			}
			return nil
		}
	}
	return errno.EOPNOTSUPP
}

func (n *node) SetXattr(ctx kctx.Ctx, name, value string, flags uint32) error {
	if err := xattrName(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_, have := n.xattrs[name]
	switch {
	case flags&unix.XATTR_CREATE != 0 && have:
		return errno.EEXIST
	case flags&unix.XATTR_REPLACE != 0 && !have:
		return errno.ENODATA
	}
	total := len(name) + len(value)
	for k, v := range n.xattrs {
		total += len(k) + len(v)
	}
	if total > maxXattrs {
		return errno.ENOSPC
	}
	if n.xattrs == nil {
		n.xattrs = map[string]string{}
	}
	n.xattrs[name] = value
	n.ctime = time.Now().UnixNano()
	return nil
}

func (n *node) ListXattr(kctx.Ctx) ([]string, error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	l := make([]string, 0, len(n.xattrs))
	for k := range n.xattrs {
		l = append(l, k)
	}
	return l, nil
}

func (n *node) RemoveXattr(ctx kctx.Ctx, name string) error {
	if err := xattrName(name); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.xattrs[name]; !ok {
		return errno.ENODATA
	}
	delete(n.xattrs, name)
	n.ctime = time.Now().UnixNano()
	return nil
}

// drop counts a Release; it says whether the inode is gone for good.
func (n *node) drop() bool {
	if n.refs.Add(-1) == 0 && n.nlink.Load() == 0 {
		n.sb.inodes.Add(-1)
		return true
	}
	return false
}

// other is an inode without contents: symbolic link, device, FIFO, socket.
type other struct {
	node
	vfs.NotDir
	vfs.NoOpen
	target string
	rdev   vfs.Dev
}

func (o *other) Release() { o.drop() }

func (o *other) Readlink(kctx.Ctx) (string, error) {
	if o.mode.Load()&unix.S_IFMT != unix.S_IFLNK {
		return "", errno.EINVAL
	}
	return o.target, nil
}

func (o *other) Stat(kctx.Ctx) (vfs.Stat, error) {
	st := o.stat()
	st.Rdev = o.rdev
	st.Size = uint64(len(o.target))
	return st, nil
}
