package vfs

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/creds"
)

// place is where a dentry hangs; replaced as a whole by rename, so that
// walkers read parent and name together without a lock.
type place struct {
	parent *Dentry
	name   string
}

// Dentry is a cached name: one directory entry and the inode it leads to, or
// the knowledge that the name does not exist (inode nil).
//
// References count paths, open files, mounts at it or of it, and cached
// children. A dentry without references stays cached until the cache's limit
// evicts it, or dies at once if its name was removed. Walkers pass through
// dentries without references: memory is safe by garbage collection, and a
// dead dentry's count is negative, which tryRef reports.
type Dentry struct {
	at     atomic.Pointer[place]
	at0    place
	hnext  atomic.Pointer[Dentry]
	inode  Inode
	sb     *superblock
	id     uint64
	refs   atomic.Int64
	flags  atomic.Uint32
	mounts atomic.Int32 // mounts on it, in any namespace

	// mu serialises lookups that miss and changes of this directory
	// (lock.DirMu in the order; parent before child).
	mu sync.Mutex

	// Under dcache.mu.
	lprev, lnext *Dentry // clock list of the superblock
	sprev, snext *Dentry // siblings
	child        *Dentry
	hashed       bool
}

const (
	dRemoved    uint32 = 1 << iota // the name is gone
	dUsed                          // seen since the clock's last visit
	dSymlink                       // inode is a symbolic link
	dDir                           // inode is a directory
	dPermission                    // inode implements Permissioner
	dRevalidate                    // inode implements Revalidator
	dLinkable                      // has no name but may get one (O_TMPFILE)
	dWatched                       // has or had a watch: not evicted
	dEphemeral                     // dies with its last reference
)

// Ephemeral is an Inode whose name should not stay cached when nobody uses it:
// it would keep something big alive (a process in proc).
type Ephemeral interface{ Ephemeral() bool }

const deadRefs = -1 << 40

// Inode returns the inode, nil for a negative dentry.
func (d *Dentry) Inode() Inode { return d.inode }

// Super returns the file system instance.
func (d *Dentry) Super() Super { return d.sb.fs }

// Name returns the last component ("/" for a root).
func (d *Dentry) Name() string { return d.at.Load().name }

// Parent returns the parent; a root is its own.
func (d *Dentry) Parent() *Dentry {
	if p := d.at.Load().parent; p != nil {
		return p
	}
	return d
}

// Removed says whether the name has been removed.
func (d *Dentry) Removed() bool { return d.flags.Load()&dRemoved != 0 }

// IsDir says whether it is a directory.
func (d *Dentry) IsDir() bool { return d.flags.Load()&dDir != 0 }

func (d *Dentry) setFlag(f uint32)   { d.flags.Or(f) }
func (d *Dentry) clearFlag(f uint32) { d.flags.And(^f) }

// IncRef takes another reference; the caller holds one.
func (d *Dentry) IncRef() { d.refs.Add(1) }

// tryRef takes a reference unless the dentry is dead.
func (d *Dentry) tryRef() bool {
	for {
		r := d.refs.Load()
		if r < 0 {
			return false
		}
		if d.refs.CompareAndSwap(r, r+1) {
			return true
		}
	}
}

// DecRef drops a reference.
func (d *Dentry) DecRef() {
	for d != nil {
		if d.refs.Add(-1) != 0 || (d.flags.Load()&(dRemoved|dEphemeral) == 0 && !d.sb.dying.Load()) {
			return
		}
		d = d.sb.sys.dcache.kill(d)
	}
}

// dcache is the hash of all cached names of a System. Readers take no lock:
// chains are linked through atomic pointers, and a reader that strays into
// another chain because of a concurrent move only misses; misses are repeated
// under the parent's mu and dcache.mu.
type dcache struct {
	seed   maphash.Seed
	table  atomic.Pointer[dtable]
	nextID atomic.Uint64

	mu    sync.Mutex
	count int
}

type dtable struct {
	mask    uint64
	buckets []atomic.Pointer[Dentry]
}

// dentryLimit is how many dentries of one superblock stay cached.
const dentryLimit = 65536

func (c *dcache) init() {
	c.seed = maphash.MakeSeed()
	c.table.Store(newDtable(4096))
}

func newDtable(n int) *dtable {
	return &dtable{mask: uint64(n - 1), buckets: make([]atomic.Pointer[Dentry], n)}
}

func (c *dcache) hash(parent *Dentry, name string) uint64 {
	return maphash.String(c.seed, name) ^ parent.id*0x9e3779b97f4a7c15
}

// lookup returns the cached child or nil. It may be dead by now.
func (c *dcache) lookup(parent *Dentry, name string) *Dentry {
	t := c.table.Load()
	h := c.hash(parent, name)
	for d := t.buckets[(h^h>>32)&t.mask].Load(); d != nil; d = d.hnext.Load() {
		if p := d.at.Load(); p.parent == parent && p.name == name && d.flags.Load()&dRemoved == 0 && d.refs.Load() >= 0 {
			return d
		}
	}
	return nil
}

func (c *dcache) lookupLocked(parent *Dentry, name string) *Dentry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lookup(parent, name)
}

func (c *dcache) bucket(t *dtable, d *Dentry) *atomic.Pointer[Dentry] {
	p := d.at.Load()
	h := c.hash(p.parent, p.name)
	return &t.buckets[(h^h>>32)&t.mask]
}

// linkLocked puts d into its chain. Precondition: c.mu.
func (c *dcache) linkLocked(d *Dentry) {
	b := c.bucket(c.table.Load(), d)
	d.hnext.Store(b.Load())
	b.Store(d)
	d.hashed = true
	c.count++
}

// unlinkLocked takes d off its chain. Precondition: c.mu.
func (c *dcache) unlinkLocked(d *Dentry) {
	if !d.hashed {
		return
	}
	d.hashed = false
	c.count--
	b := c.bucket(c.table.Load(), d)
	for p := b; ; {
		x := p.Load()
		if x == nil {
			return
		}
		if x == d {
			p.Store(d.hnext.Load())
			return
		}
		p = &x.hnext
	}
}

func (c *dcache) growLocked() {
	old := c.table.Load()
	if c.count < 2*len(old.buckets) {
		return
	}
	t := newDtable(4 * len(old.buckets))
	for i := range old.buckets {
		for d := old.buckets[i].Load(); d != nil; {
			next := d.hnext.Load()
			b := c.bucket(t, d)
			d.hnext.Store(b.Load())
			b.Store(d)
			d = next
		}
	}
	c.table.Store(t)
}

// newDentry makes a dentry with one reference for the caller that is not in
// the cache. parent gets a reference.
func (c *dcache) newDentry(sb *superblock, parent *Dentry, name string, inode Inode) *Dentry {
	d := &Dentry{inode: inode, sb: sb, id: c.nextID.Add(1)}
	d.at0 = place{parent, name}
	d.at.Store(&d.at0)
	d.refs.Store(1)
	if inode != nil {
		f := uint32(0)
		mode, _, _ := inode.Attr()
		switch mode & typeMask {
		case typeDir:
			f = dDir
		case typeLink:
			f = dSymlink
		}
		if _, ok := inode.(Permissioner); ok {
			f |= dPermission
		}
		if _, ok := inode.(Revalidator); ok {
			f |= dRevalidate
		}
		if e, ok := inode.(Ephemeral); ok && e.Ephemeral() {
			f |= dEphemeral
		}
		d.flags.Store(f)
	}
	if parent != nil {
		parent.IncRef()
	}
	return d
}

// add makes and caches a dentry for a name looked up or created under the
// parent's mu. The caller gets a reference.
func (c *dcache) add(parent *Dentry, name string, inode Inode) *Dentry {
	d := c.newDentry(parent.sb, parent, strings.Clone(name), inode)
	var victims [4]*Dentry
	n := 0
	c.mu.Lock()
	c.linkLocked(d)
	c.growLocked()
	c.adoptLocked(parent, d)
	sb := d.sb
	sb.lruAdd(d)
	if sb.cached > dentryLimit {
		for i := 0; i < 16 && n < len(victims); i++ {
			v := sb.lru
			if v == nil {
				break
			}
			v = v.lprev // the oldest
			if v.refs.Load() != 0 || v.flags.Load()&(dUsed|dWatched) != 0 {
				v.clearFlag(dUsed)
				sb.lru = v // turns the ring: v becomes the youngest
				continue
			}
			sb.lruRemove(v)
			victims[n] = v
			n++
		}
	}
	c.mu.Unlock()
	for _, v := range victims[:n] {
		if p := c.kill(v); p != nil {
			p.DecRef()
		} else if v.refs.Load() >= 0 {
			c.mu.Lock() // it came into use again
			v.sb.lruAdd(v)
			c.mu.Unlock()
		}
	}
	return d
}

func (c *dcache) adoptLocked(parent, d *Dentry) {
	d.sprev, d.snext = nil, parent.child
	if parent.child != nil {
		parent.child.sprev = d
	}
	parent.child = d
}

func (c *dcache) orphanLocked(parent, d *Dentry) {
	if d.sprev != nil {
		d.sprev.snext = d.snext
	} else if parent.child == d {
		parent.child = d.snext
	}
	if d.snext != nil {
		d.snext.sprev = d.sprev
	}
	d.sprev, d.snext = nil, nil
}

// kill ends a dentry without references and returns the parent, whose
// reference the caller must drop; nil if d is in use (or a root).
func (c *dcache) kill(d *Dentry) *Dentry {
	if !d.refs.CompareAndSwap(0, deadRefs) {
		return nil
	}
	parent := d.at.Load().parent
	c.mu.Lock()
	c.unlinkLocked(d)
	if parent != nil {
		c.orphanLocked(parent, d)
	}
	d.sb.lruRemove(d)
	c.mu.Unlock()
	if d.inode != nil {
		// The root's inode is the file system's own, which ends below.
		if !inodeGone(d) && parent != nil {
			d.inode.Release()
		}
	}
	if parent == nil {
		d.sb.release()
	}
	return parent
}

// remove takes a name out of the cache: the name no longer exists, or the
// dentry is stale. The caller holds a reference of d.
func (c *dcache) remove(d *Dentry) {
	d.setFlag(dRemoved)
	c.mu.Lock()
	c.unlinkLocked(d)
	c.mu.Unlock()
	if d.IsDir() {
		c.prune(d, true)
	}
}

// prune drops every cached descendant of d that is not in use; with gone those
// in use die with their last reference, so that they do not keep d.
func (c *dcache) prune(d *Dentry, gone bool) {
	var kids []*Dentry
	c.mu.Lock()
	for k := d.child; k != nil; k = k.snext {
		if k.tryRef() {
			kids = append(kids, k)
		}
	}
	c.mu.Unlock()
	for _, k := range kids {
		if k.IsDir() {
			c.prune(k, gone)
		}
		if gone {
			k.setFlag(dRemoved)
		}
		if k.refs.Add(-1) == 0 {
			if p := c.kill(k); p != nil {
				p.DecRef()
			}
		}
	}
}

// move renames d to (parent, name). Precondition: both directories' mu, and
// nothing cached at the target.
func (c *dcache) move(d, parent *Dentry, name string) {
	old := d.at.Load().parent
	parent.IncRef()
	c.mu.Lock()
	c.unlinkLocked(d)
	c.orphanLocked(old, d)
	d.at.Store(&place{parent, strings.Clone(name)})
	c.linkLocked(d)
	c.adoptLocked(parent, d)
	c.mu.Unlock()
	old.DecRef()
}

// exchange swaps the places of a and b. Precondition: both directories' mu.
func (c *dcache) exchange(a, b *Dentry) {
	pa, pb := a.at.Load(), b.at.Load()
	c.mu.Lock()
	c.unlinkLocked(a)
	c.unlinkLocked(b)
	c.orphanLocked(pa.parent, a)
	c.orphanLocked(pb.parent, b)
	a.at.Store(&place{pb.parent, pb.name})
	b.at.Store(&place{pa.parent, pa.name})
	c.linkLocked(a)
	c.linkLocked(b)
	c.adoptLocked(pb.parent, a)
	c.adoptLocked(pa.parent, b)
	c.mu.Unlock()
}

// superblock is vfs's part of a Super.
type superblock struct {
	sys      *System
	fs       Super
	root     *Dentry
	dying    atomic.Bool // no mount is left
	readOnly atomic.Bool // MS_RDONLY of the file system itself
	vol      bool

	// renameMu guards the directory topology (lock.RenameMu in the order).
	renameMu sync.Mutex

	writers atomic.Int64 // open files that may write

	// userNS owns the instance: who has CAP_SYS_ADMIN there may remount it.
	// nil is the root namespace.
	userNS *creds.UserNamespace

	mounts int // under System.mountMu

	// Under dcache.mu.
	lru    *Dentry // youngest, of a ring
	cached int

	released atomic.Bool
}

func (s *superblock) lruAdd(d *Dentry) {
	if d.lnext != nil {
		return
	}
	s.cached++
	if s.lru == nil {
		d.lprev, d.lnext = d, d
	} else {
		d.lnext, d.lprev = s.lru, s.lru.lprev
		d.lprev.lnext, d.lnext.lprev = d, d
	}
	s.lru = d
}

func (s *superblock) lruRemove(d *Dentry) {
	if d.lnext == nil {
		return
	}
	s.cached--
	if d.lnext == d {
		s.lru = nil
	} else {
		d.lprev.lnext, d.lnext.lprev = d.lnext, d.lprev
		if s.lru == d {
			s.lru = d.lnext
		}
	}
	d.lprev, d.lnext = nil, nil
}

// release ends the file system; called when the root dentry is dead.
func (s *superblock) release() {
	if s.released.CompareAndSwap(false, true) {
		s.sys.forgetSuper(s)
		s.fs.Release()
	}
}
