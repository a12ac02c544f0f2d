// Package overlayfs shows a stack of file systems as one: an upper layer that
// takes all changes over any number of lower ones that never change
// (Documentation/filesystems/overlayfs.rst in Linux).
//
// An inode holds the inodes of the layers it stands for: upper, if there is
// one, and for directories every lower one that shows through, topmost first.
// The first change of a file that is only below copies it up. Deleted names
// are whiteouts (character device 0:0) in the upper layer, and a directory
// with trusted.overlay.opaque=y hides what is below it.
//
// Open files are the layers' own: only files open for reading below stay
// wrapped, to follow a later copy-up. The layers' inode methods are called
// without vfs's locks of that layer, so they must lock for themselves.
//
// Lock order: inode.copyMu of a directory before that of its child; Super.mu
// is a leaf.
package overlayfs

import (
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/vfs"
)

// Layer is a file system, or the part of one below Root (nil: all of it).
type Layer struct {
	Super vfs.Super
	Root  vfs.Inode
}

// Layers is what MountOpts.Internal carries. The overlay owns the layers: it
// releases the Supers with itself.
type Layers struct {
	Upper  *Layer  // nil: read-only
	Lowers []Layer // topmost first
	// Options is what /proc/mounts shows.
	Options string
}

// Type is the "overlay" file system type.
type Type struct{ sys *vfs.System }

// New returns the type.
func New(sys *vfs.System) *Type { return &Type{sys} }

// Name implements vfs.FSType.
func (*Type) Name() string { return "overlay" }

// NoDev implements vfs.FSType.
func (*Type) NoDev() bool { return true }

// maxLayers is OVL_MAX_STACK.
const maxLayers = 500

// Mount implements vfs.FSType. boot gives the layers themselves; user code
// names them (options.go).
func (t *Type) Mount(ctx kctx.Ctx, source string, opts vfs.MountOpts) (vfs.Super, error) {
	s := &Super{typ: t, dev: t.sys.AllocDev(), shared: make(map[vfs.Inode]*inode)}
	s.kernel = kctx.Background(creds.NewRoot(rootOf(ctx.Creds().UserNS)))
	l, ok := opts.Internal.(Layers)
	if ok {
		for _, y := range l.all() {
			if y.Root == nil {
				y.Root = y.Super.Root()
			}
			s.free = append(s.free, y.Super.Release)
		}
	} else {
		var err error
		if l, s.free, err = t.named(ctx, opts.Data); err != nil {
			return nil, err
		}
		s.borrowed = true
	}
	if err := s.init(ctx, l); err != nil {
		for _, f := range s.free {
			f()
		}
		return nil, err
	}
	return s, nil
}

// all returns the layers, topmost first.
func (l *Layers) all() []*Layer {
	var a []*Layer
	if l.Upper != nil {
		a = append(a, l.Upper)
	}
	for i := range l.Lowers {
		a = append(a, &l.Lowers[i])
	}
	return a
}

func (s *Super) init(ctx kctx.Ctx, l Layers) error {
	if len(l.Lowers) == 0 || len(l.Lowers) > maxLayers {
		return errno.EINVAL
	}
	for _, y := range l.all() {
		if mode, _, _ := y.Root.Attr(); mode&unix.S_IFMT != unix.S_IFDIR {
			return errno.ENOTDIR
		}
		s.supers = append(s.supers, y.Super)
	}
	r := &inode{fs: s, name: "/", kind: unix.S_IFDIR}
	r.refs.Store(1)
	if l.Upper != nil {
		r.setUpper(l.Upper.Root)
		s.upper = l.Upper.Super
	}
	for n, y := range l.Lowers {
		r.lower = append(r.lower, layered{y.Root, n})
	}
	s.layers, s.options, s.root = len(l.Lowers), l.Options, r
	r.ino = r.shownIno(ctx)
	return nil
}

func rootOf(ns *creds.UserNamespace) *creds.UserNamespace {
	for ns.Parent != nil {
		ns = ns.Parent
	}
	return ns
}

// Super is one overlay.
type Super struct {
	typ     *Type
	dev     vfs.Dev
	options string
	supers  []vfs.Super
	upper   vfs.Super // nil: read-only
	layers  int
	// free gives the layers back. Roots of borrowed ones are counted by the
	// paths that led to them, not by the root inode.
	free     []func()
	borrowed bool
	root     *inode
	// kernel is who changes the upper layer on the overlay's own account.
	kernel kctx.Ctx

	mu sync.Mutex
	// shared finds the inode of an upper file that has several names.
	shared map[vfs.Inode]*inode
}

// Type implements vfs.Super.
func (s *Super) Type() vfs.FSType { return s.typ }

// Root implements vfs.Super.
func (s *Super) Root() vfs.Inode { s.root.refs.Add(1); return s.root }

// Dev implements vfs.Super.
func (s *Super) Dev() vfs.Dev { return s.dev }

// Volatile implements vfs.Super. Layers must not change on their own.
func (s *Super) Volatile() bool { return false }

// Options implements vfs.Super.
func (s *Super) Options() string { return s.options }

// overlayMagic is OVERLAYFS_SUPER_MAGIC.
const overlayMagic = 0x794c7630

// Statfs implements vfs.Super: the layer that takes new data answers. One in
// memory without a limit shows no blocks at all, which installers take for a
// full disk: then the layer below answers.
func (s *Super) Statfs(ctx kctx.Ctx) (unix.Statfs_t, error) {
	var st unix.Statfs_t
	var err error
	for _, l := range s.supers {
		if st, err = l.Statfs(ctx); err != nil || st.Blocks != 0 {
			break
		}
	}
	st.Type = overlayMagic
	return st, err
}

// Sync implements vfs.Super.
func (s *Super) Sync(ctx kctx.Ctx) error {
	if s.upper == nil {
		return nil
	}
	return s.upper.Sync(ctx)
}

// Release implements vfs.Super.
func (s *Super) Release() {
	s.root.Release()
	for _, f := range s.free {
		f()
	}
}

// Names of the overlay's own attributes in the upper layer, and in lower
// layers that an overlay made.
const (
	xattrPrefix     = "trusted.overlay."
	userXattrPrefix = "user.overlay."
	xattrOpaque     = xattrPrefix + "opaque"
	userXattrOpaque = userXattrPrefix + "opaque"
	// xattrOrigin has the inode number that a copied-up file keeps.
	xattrOrigin     = xattrPrefix + "origin"
	userXattrOrigin = userXattrPrefix + "origin"
)
