package overlayfs

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// layered is an inode of a lower layer.
type layered struct {
	vfs.Inode
	layer int
}

// inode is a file of the overlay. It holds counts of its layers' inodes.
type inode struct {
	vfs.InodeBase
	fs   *Super
	refs atomic.Int64
	kind uint32 // type bits
	ino  uint64

	// upper is set once, at birth or by copy-up.
	upper atomic.Pointer[vfs.Inode]
	lower []layered

	// Where it is, for copy-up; changed under vfs's directory locks. Only
	// inodes without upper need it, and their parents never move.
	parent *inode
	name   string
	gone   atomic.Bool // its name was removed

	// copyMu serialises copy-up.
	copyMu sync.Mutex
	// impure says that entries of the upper directory were copied up, so
	// that their numbers in listings differ from the layer's.
	impure atomic.Bool
}

var _ vfs.Inode = (*inode)(nil)

func (i *inode) setUpper(u vfs.Inode) { i.upper.Store(&u) }

// up returns the upper inode or nil.
func (i *inode) up() vfs.Inode {
	if p := i.upper.Load(); p != nil {
		return *p
	}
	return nil
}

// top returns the inode whose attributes count.
func (i *inode) top() vfs.Inode {
	if p := i.upper.Load(); p != nil {
		return *p
	}
	return i.lower[0].Inode
}

func (i *inode) isDir() bool { return i.kind == unix.S_IFDIR }

// layerBits is where the layer is kept in inode numbers, so that files of
// different layers have different ones: the lowest layer's stay as they are.
const layerBits = 54

func (s *Super) inoIn(layer int, ino uint64) uint64 {
	return ino ^ uint64(s.lowest()-layer)<<layerBits
}

func (s *Super) lowest() int { return s.layers - 1 }

// upperLayer is the layer number of upper.
const upperLayer = -1

// shownIno computes the number that i keeps for life: that of the topmost
// lower inode, or what a copied-up file remembers of it, or upper's.
func (i *inode) shownIno(ctx kctx.Ctx) uint64 {
	if len(i.lower) > 0 {
		st, err := i.lower[0].Stat(ctx)
		if err != nil {
			return 1
		}
		return i.fs.inoIn(i.lower[0].layer, st.Ino)
	}
	return i.fs.upperIno(ctx, i.up())
}

// upperIno is the number of an upper file that has nothing below.
func (s *Super) upperIno(ctx kctx.Ctx, u vfs.Inode) uint64 {
	v, err := u.GetXattr(s.kernel, xattrOrigin)
	if err != nil {
		v, err = u.GetXattr(s.kernel, userXattrOrigin)
	}
	if err == nil {
		if n, err := strconv.ParseUint(v, 16, 64); err == nil {
			return n
		}
	}
	st, err := u.Stat(ctx)
	if err != nil {
		return 1
	}
	return s.inoIn(upperLayer, st.Ino)
}

// Attr implements vfs.Inode.
func (i *inode) Attr() (uint32, creds.KUID, creds.KGID) { return i.top().Attr() }

// Stat implements vfs.Inode.
func (i *inode) Stat(ctx kctx.Ctx) (vfs.Stat, error) {
	st, err := i.top().Stat(ctx)
	st.Dev, st.Ino = i.fs.dev, i.ino
	if i.isDir() && (len(i.lower) > 1 || len(i.lower) == 1 && i.up() != nil) {
		st.Nlink = 1 // merged: nobody counts
	}
	if i.gone.Load() && i.up() == nil {
		st.Nlink = 0
	}
	return st, err
}

// SetStat implements vfs.Inode.
func (i *inode) SetStat(ctx kctx.Ctx, s vfs.SetStat) error {
	size := int64(-1)
	if s.Mask&vfs.SetSize != 0 {
		size = int64(min(s.Size, 1<<63-1))
	}
	if err := i.copyUp(ctx, size); err != nil {
		return err
	}
	return i.up().SetStat(ctx, s)
}

// Readlink implements vfs.Inode.
func (i *inode) Readlink(ctx kctx.Ctx) (string, error) { return i.top().Readlink(ctx) }

// Release implements vfs.Inode.
func (i *inode) Release() {
	if i.refs.Add(-1) > 0 {
		return
	}
	s := i.fs
	s.mu.Lock()
	if i.refs.Load() > 0 { // found in shared meanwhile
		s.mu.Unlock()
		return
	}
	u := i.up()
	if u != nil && s.shared[u] == i {
		delete(s.shared, u)
	}
	s.mu.Unlock()
	if i.parent == nil && s.borrowed {
		return
	}
	release(u, i.lower)
}

func own(name string) bool {
	return strings.HasPrefix(name, xattrPrefix) || strings.HasPrefix(name, userXattrPrefix)
}

// GetXattr implements vfs.Inode.
func (i *inode) GetXattr(ctx kctx.Ctx, name string) (string, error) {
	if own(name) {
		return "", errno.EOPNOTSUPP
	}
	return i.top().GetXattr(ctx, name)
}

// ListXattr implements vfs.Inode.
func (i *inode) ListXattr(ctx kctx.Ctx) ([]string, error) {
	l, err := i.top().ListXattr(ctx)
	var out []string
	for _, n := range l {
		if !own(n) {
			out = append(out, n)
		}
	}
	return out, err
}

// SetXattr implements vfs.Inode.
func (i *inode) SetXattr(ctx kctx.Ctx, name, value string, flags uint32) error {
	if own(name) {
		return errno.EOPNOTSUPP
	}
	if err := i.copyUp(ctx, -1); err != nil {
		return err
	}
	return i.up().SetXattr(ctx, name, value, flags)
}

// RemoveXattr implements vfs.Inode.
func (i *inode) RemoveXattr(ctx kctx.Ctx, name string) error {
	if own(name) {
		return errno.EOPNOTSUPP
	}
	if _, err := i.top().GetXattr(ctx, name); err != nil {
		return err
	}
	if err := i.copyUp(ctx, -1); err != nil {
		return err
	}
	return i.up().RemoveXattr(ctx, name)
}

// Prefetch implements vfs.Prefetcher.
func (i *inode) Prefetch(ctx kctx.Ctx, names []string) {
	for _, l := range i.lower {
		if p, ok := l.Inode.(vfs.Prefetcher); ok {
			p.Prefetch(ctx, names)
		}
	}
}

// isWhiteout says whether a layer's inode marks a deleted name.
func isWhiteout(ctx kctx.Ctx, i vfs.Inode) bool {
	if mode, _, _ := i.Attr(); mode&unix.S_IFMT != unix.S_IFCHR {
		return false
	}
	st, err := i.Stat(ctx)
	return err == nil && st.Rdev == vfs.Dev{}
}

func isDir(i vfs.Inode) bool {
	mode, _, _ := i.Attr()
	return mode&unix.S_IFMT == unix.S_IFDIR
}

// isOpaque says whether a layer's directory hides what is below.
func (s *Super) isOpaque(i vfs.Inode) bool {
	for _, n := range [...]string{xattrOpaque, userXattrOpaque} {
		if v, err := i.GetXattr(s.kernel, n); err == nil && v == "y" {
			return true
		}
	}
	return false
}

// setOwn sets one of the overlay's attributes in the upper layer: where it
// takes no trusted one, as one of the user's (the mount option userxattr).
func (s *Super) setOwn(u vfs.Inode, name, value string) error {
	err := u.SetXattr(s.kernel, name, value, 0)
	if err == errno.EOPNOTSUPP || err == errno.EPERM {
		err = u.SetXattr(s.kernel, userXattrPrefix+name[len(xattrPrefix):], value, 0)
	}
	return err
}

// find looks name up through the layers of directory i from layer number from
// (upperLayer: all): the upper inode or nil, and the lower ones that show
// through. The caller owns the counts.
func (i *inode) find(ctx kctx.Ctx, name string, from int) (vfs.Inode, []layered, error) {
	s := i.fs
	var upper vfs.Inode
	if u := i.up(); u != nil && from == upperLayer {
		c, err := u.Lookup(ctx, name)
		if err != nil && err != errno.ENOENT {
			return nil, nil, err
		}
		if err == nil {
			if isWhiteout(ctx, c) {
				c.Release()
				return nil, nil, errno.ENOENT
			}
			if !isDir(c) || len(i.lower) == 0 || s.isOpaque(c) {
				return c, nil, nil
			}
			upper = c
		}
	}
	var lower []layered
	for n, l := range i.lower {
		if l.layer < from {
			continue
		}
		c, err := l.Lookup(ctx, name)
		if err != nil {
			if err != errno.ENOENT && err != errno.ENOTDIR {
				release(upper, lower)
				return nil, nil, err
			}
			continue
		}
		if isWhiteout(ctx, c) {
			c.Release()
			break
		}
		dir := isDir(c)
		if !dir && (upper != nil || len(lower) > 0) {
			c.Release() // a directory hides a file
			break
		}
		lower = append(lower, layered{c, l.layer})
		if !dir || n+1 < len(i.lower) && s.isOpaque(c) {
			break
		}
	}
	if upper == nil && len(lower) == 0 {
		return nil, nil, errno.ENOENT
	}
	return upper, lower, nil
}

func release(u vfs.Inode, l []layered) {
	if u != nil {
		u.Release()
	}
	for _, x := range l {
		x.Release()
	}
}

// lowerHas says whether name shows through from below the upper layer.
func (i *inode) lowerHas(ctx kctx.Ctx, name string) (bool, error) {
	if len(i.lower) == 0 {
		return false, nil
	}
	u, l, err := i.find(ctx, name, 0)
	if err == errno.ENOENT {
		return false, nil
	}
	release(u, l)
	return err == nil, err
}

// newInode makes the inode for a name, taking over the counts; the one that
// exists already if it is another name of the same upper file.
func (i *inode) newInode(ctx kctx.Ctx, name string, u vfs.Inode, l []layered) *inode {
	s := i.fs
	k := &inode{fs: s, parent: i, name: strings.Clone(name), lower: l}
	k.refs.Store(1)
	if u != nil {
		k.setUpper(u)
	}
	mode, _, _ := k.top().Attr()
	k.kind = mode & unix.S_IFMT
	if u != nil && k.kind != unix.S_IFDIR {
		st, err := u.Stat(ctx)
		s.mu.Lock()
		if old := s.shared[u]; old != nil {
			old.refs.Add(1)
			s.mu.Unlock()
			release(u, l)
			return old
		}
		if err == nil && st.Nlink > 1 {
			s.shared[u] = k
		}
		s.mu.Unlock()
	}
	k.ino = k.shownIno(ctx)
	return k
}

// Lookup implements vfs.Inode.
func (i *inode) Lookup(ctx kctx.Ctx, name string) (vfs.Inode, error) {
	if !i.isDir() {
		return nil, errno.ENOTDIR
	}
	u, l, err := i.find(ctx, name, upperLayer)
	if err != nil {
		return nil, err
	}
	return i.newInode(ctx, name, u, l), nil
}

// ConnectHost passes on to the layer that has the socket.
func (i *inode) ConnectHost(ctx kctx.Ctx, typ int) (int, error) {
	if h, ok := i.top().(interface {
		ConnectHost(ctx kctx.Ctx, typ int) (int, error)
	}); ok {
		return h.ConnectHost(ctx, typ)
	}
	return -1, errno.ECONNREFUSED
}
