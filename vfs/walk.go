package vfs

import (
	"strings"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// OpFlags say how a path is walked.
type OpFlags uint32

// Flags of an Op.
const (
	// OpNoFollow does not follow a symbolic link in the last place.
	OpNoFollow OpFlags = 1 << iota
	// OpEmpty lets an empty path name Start itself (AT_EMPTY_PATH).
	OpEmpty
	// OpDirectory wants a directory (O_DIRECTORY).
	OpDirectory
	// OpNoXDev, OpNoMagic, OpNoSymlinks, OpBeneath and OpInRoot are RESOLVE_*
	// of openat2(2).
	OpNoXDev
	OpNoMagic
	OpNoSymlinks
	OpBeneath
	OpInRoot
	// OpNoAutomount is accepted and means nothing (AT_NO_AUTOMOUNT).
	OpNoAutomount
	// opMountOnto stops at the mount point itself: not used by callers.
	opMountOnto
)

// Op is a path to walk: of one *at system call. Root and Start stay owned by
// the caller, who holds references for the duration.
type Op struct {
	Sys   *System
	NS    *Namespace
	Root  Path // the caller's root directory
	Start Path // cwd, or what dirfd stands for
	Path  string
	Flags OpFlags
	// Bad is what was wrong with the path argument or its descriptor: the walk
	// says so when its turn comes, as Linux does.
	Bad error
}

// maxLinks is how many symbolic links one walk follows.
const maxLinks = 40

// errRetry makes a walk start over, holding references: a dentry died under it.
var errRetry error = errno.Errno(4095)

// walk is the state of one walk. Outside slow mode d may be passed through
// without a reference (held is false); mnt never has one until the end.
type walk struct {
	sys   *System
	ctx   kctx.Ctx
	cr    *creds.Credentials
	root  Path
	start Path
	mnt   *Mount
	d     *Dentry
	held  bool
	slow  bool
	links int
	flags OpFlags
	told  bool // a prefetch was offered
}

func (op *Op) sysOf() *System {
	if op.Sys != nil {
		return op.Sys
	}
	return op.Start.Mount.sys
}

func (w *walk) init(ctx kctx.Ctx, op *Op) {
	w.sys, w.ctx, w.cr = op.sysOf(), ctx, ctx.Creds()
	w.root, w.start, w.flags = op.Root, op.Start, op.Flags
	w.reset()
}

func (w *walk) reset() {
	w.drop()
	if w.flags&OpInRoot != 0 {
		w.root = w.start
	}
	w.mnt, w.d = w.start.Mount, w.start.Dentry
	w.links, w.told = 0, false
}

// drop gives up the reference on the current dentry.
func (w *walk) drop() {
	if w.held {
		w.held = false
		w.d.DecRef()
	}
}

// hold takes a reference on the current dentry.
func (w *walk) hold() error {
	if !w.held {
		if !w.d.tryRef() {
			return errRetry
		}
		w.held = true
	}
	return nil
}

// set moves to (m, d). held says that the caller hands over a reference.
func (w *walk) set(m *Mount, d *Dentry, held bool) error {
	w.drop()
	w.mnt, w.d, w.held = m, d, held
	if w.slow {
		return w.hold()
	}
	return nil
}

// run calls fn, again with references if a dentry died.
func (w *walk) run(fn func() error) error {
	for i := 0; ; i++ {
		err := fn()
		if err == nil {
			err = w.hold()
		}
		if err == nil {
			return nil
		}
		w.drop()
		if err != errRetry {
			return err
		}
		if i > 100 {
			return errno.ESTALE
		}
		w.slow = true
		w.reset()
	}
}

// splitFirst returns the first component of p, the rest behind its slashes,
// and whether slashes followed. p does not begin with a slash.
func splitFirst(p string) (name, rest string, slash bool) {
	i := strings.IndexByte(p, '/')
	if i < 0 {
		return p, "", false
	}
	name = p[:i]
	for i < len(p) && p[i] == '/' {
		i++
	}
	return name, p[i:], true
}

func (w *walk) begin(path string) (string, error) {
	if path[0] != '/' {
		return path, nil
	}
	if w.flags&OpBeneath != 0 {
		return "", errno.EXDEV
	}
	if w.flags&OpNoXDev != 0 && w.mnt != w.root.Mount {
		return "", errno.EXDEV
	}
	if err := w.set(w.root.Mount, w.root.Dentry, false); err != nil {
		return "", err
	}
	i := 1
	for i < len(path) && path[i] == '/' {
		i++
	}
	return path[i:], nil
}

// full walks all of path; the walk ends on something that exists.
func (w *walk) full(path string, follow bool) error {
	if path == "" {
		return errno.ENOENT
	}
	rest, err := w.begin(path)
	if err != nil {
		return err
	}
	slash := false
	for rest != "" {
		var name string
		name, rest, slash = splitFirst(rest)
		if err := w.component(name, rest, rest != "" || follow || slash); err != nil {
			return err
		}
	}
	if slash && !w.d.IsDir() {
		return errno.ENOTDIR
	}
	return nil
}

// parent walks all but the last component of path and returns it. An empty
// last is the root itself; slash says that the path ended in one.
func (w *walk) parent(path string) (last string, slash bool, err error) {
	if path == "" {
		return "", false, errno.ENOENT
	}
	rest, err := w.begin(path)
	if err != nil {
		return "", false, err
	}
	for rest != "" {
		name, r, s := splitFirst(rest)
		if r == "" {
			if !w.d.IsDir() {
				return "", false, errno.ENOTDIR
			}
			if len(name) > 255 {
				return "", false, errno.ENAMETOOLONG
			}
			if err := w.search(); err != nil {
				return "", false, err
			}
			return name, s, nil
		}
		if err := w.component(name, r, true); err != nil {
			return "", false, err
		}
		rest = r
	}
	return "", true, nil
}

// search checks that the current directory may be searched.
func (w *walk) search() error {
	d := w.d
	if d.flags.Load()&dPermission != 0 {
		return d.inode.(Permissioner).Permission(w.ctx, MayExec)
	}
	mode, uid, gid := d.inode.Attr()
	if mode&0o111 == 0o111 {
		return nil
	}
	return checkMode(w.cr, mode, uid, gid, MayExec)
}

// component goes one name further and follows links and mounts there. rest is
// what comes after, for a prefetch.
func (w *walk) component(name, rest string, follow bool) error {
	if w.d.flags.Load()&dDir == 0 {
		return errno.ENOTDIR
	}
	if err := w.search(); err != nil {
		return err
	}
	if name[0] == '.' {
		if name == "." {
			return nil
		}
		if name == ".." {
			return w.up()
		}
	}
	d, held, err := w.child(name, rest)
	if err != nil {
		return err
	}
	if d.inode == nil {
		if held {
			d.DecRef()
		}
		return errno.ENOENT
	}
	return w.enter(d, held, follow)
}

// enter moves from the current directory to its child d.
func (w *walk) enter(d *Dentry, held, follow bool) error {
	if d.flags.Load()&dSymlink != 0 && follow {
		return w.follow(d, held)
	}
	if err := w.set(w.mnt, d, held); err != nil {
		return err
	}
	if d.mounts.Load() > 0 {
		return w.cross()
	}
	return nil
}

// cross goes from a mount point to the root of what is mounted there.
func (w *walk) cross() error {
	for w.d.mounts.Load() > 0 {
		m := w.sys.mountOn(w.mnt, w.d)
		if m == nil {
			return nil
		}
		if w.flags&OpNoXDev != 0 {
			return errno.EXDEV
		}
		if err := w.set(m, m.root, false); err != nil {
			return err
		}
	}
	return nil
}

// child finds name in the current directory: a positive or negative dentry.
func (w *walk) child(name, rest string) (*Dentry, bool, error) {
	d := w.sys.dcache.lookup(w.d, name)
	if d != nil && !w.slow {
		if !d.sb.vol || d.mounts.Load() > 0 {
			if f := d.flags.Load(); f&dUsed == 0 {
				d.setFlag(dUsed)
			}
			return d, false, nil
		}
	}
	if err := w.hold(); err != nil {
		return nil, false, err
	}
	if d == nil && rest != "" && !w.told {
		w.offer(name, rest)
	}
	d, err := w.sys.lookupChild(w.ctx, w.d, name)
	return d, true, err
}

// Prefetcher is an Inode (a directory) of a remote file system that can look
// up several components below it in one message. The walker offers what it is
// about to ask for, once per walk; results come through Lookup as always.
type Prefetcher interface {
	Prefetch(ctx kctx.Ctx, names []string)
}

func (w *walk) offer(name, rest string) {
	w.told = true
	p, ok := w.d.inode.(Prefetcher)
	if !ok {
		return
	}
	names := []string{name}
	for rest != "" && len(names) < 16 {
		var n string
		n, rest, _ = splitFirst(rest)
		if n == "." || n == ".." || len(n) > 255 {
			break
		}
		names = append(names, n)
	}
	p.Prefetch(w.ctx, names)
}

// lookupChild finds name under dir, asking the file system if it is not
// cached. The dentry, positive or negative, has a reference. The caller holds
// one of dir.
func (s *System) lookupChild(ctx kctx.Ctx, dir *Dentry, name string) (*Dentry, error) {
	if len(name) > 255 {
		return nil, errno.ENAMETOOLONG
	}
	if d := s.dcache.lookup(dir, name); d != nil && d.tryRef() {
		if s.fresh(ctx, dir, d, name) {
			return d, nil
		}
		d.DecRef()
	}
	dir.mu.Lock()
	defer dir.mu.Unlock()
	return s.lookupChildLocked(ctx, dir, name)
}

// fresh says whether a cached dentry may be used as it is.
func (s *System) fresh(ctx kctx.Ctx, dir, d *Dentry, name string) bool {
	if !d.sb.vol || d.mounts.Load() > 0 {
		return true
	}
	return d.flags.Load()&dRevalidate != 0 && d.inode.(Revalidator).Revalidate(ctx, dir.inode, name)
}

// lookupChildLocked is lookupChild. Precondition: dir.mu.
func (s *System) lookupChildLocked(ctx kctx.Ctx, dir *Dentry, name string) (*Dentry, error) {
	if len(name) > 255 {
		return nil, errno.ENAMETOOLONG
	}
	old := s.dcache.lookupLocked(dir, name)
	if old != nil && !old.tryRef() {
		old = nil
	}
	if old != nil && s.fresh(ctx, dir, old, name) {
		return old, nil
	}
	inode, err := dir.inode.Lookup(ctx, name)
	if err != nil && err != errno.ENOENT {
		if old != nil {
			old.DecRef()
		}
		return nil, err
	}
	if old != nil {
		if err == nil && old.inode == inode {
			inode.Release() // the dentry has its own count
			return old, nil
		}
		s.dcache.remove(old)
		old.DecRef()
	}
	if err != nil {
		inode = nil
		if dir.sb.vol || dir.Removed() {
			// Not cached: a dentry that dies with its reference.
			d := s.dcache.newDentry(dir.sb, dir, strings.Clone(name), nil)
			d.setFlag(dRemoved)
			return d, nil
		}
	}
	return s.dcache.add(dir, name, inode), nil
}

// up goes to the parent directory, not above the root.
func (w *walk) up() error {
	m, d := w.mnt, w.d
	for {
		if m == w.root.Mount && d == w.root.Dentry {
			if w.flags&OpBeneath != 0 {
				return errno.EXDEV
			}
			return nil
		}
		if w.flags&OpBeneath != 0 && m == w.start.Mount && d == w.start.Dentry {
			return errno.EXDEV
		}
		if d != m.root {
			if p := d.at.Load().parent; p != nil {
				if err := w.set(m, p, false); err != nil {
					return err
				}
				return w.cross()
			}
			return nil
		}
		a := m.at.Load()
		if a == nil {
			return nil
		}
		if w.flags&OpNoXDev != 0 {
			return errno.EXDEV
		}
		m, d = a.parent, a.point
	}
}

// follow replaces the symbolic link d, a child of the current directory, by
// where it leads.
func (w *walk) follow(d *Dentry, held bool) error {
	if w.links++; w.links > maxLinks || w.flags&OpNoSymlinks != 0 {
		if held {
			d.DecRef()
		}
		return errno.ELOOP
	}
	if !held && !d.tryRef() {
		return errRetry
	}
	defer d.DecRef()
	if w.mnt.Flags()&MountNoSymFollow != 0 {
		return errno.ELOOP
	}
	if l, ok := d.inode.(MagicLink); ok {
		if w.flags&(OpNoMagic|OpNoSymlinks) != 0 {
			return errno.ELOOP
		}
		if w.flags&(OpBeneath|OpInRoot) != 0 {
			return errno.EXDEV
		}
		p, err := l.Follow(w.ctx)
		if err == nil {
			if w.flags&OpNoXDev != 0 && p.Mount != w.mnt {
				p.DecRef()
				return errno.EXDEV
			}
			err = w.set(p.Mount, p.Dentry, true)
			p.Mount.DecRef()
			return err
		}
		if err != errno.EINVAL {
			return err
		}
		// An ordinary link after all (/proc/self).
	}
	target, err := d.inode.Readlink(w.ctx)
	if err != nil {
		return err
	}
	return w.full(target, true)
}

// path hands over the reference of a finished walk as a Path.
func (w *walk) path() Path {
	w.held = false
	w.mnt.IncRef()
	return Path{w.mnt, w.d}
}

// existing walks op to something that exists; w holds a reference on w.d.
func (w *walk) existing(ctx kctx.Ctx, op *Op) error {
	if op.Bad != nil {
		return op.Bad
	}
	w.init(ctx, op)
	if op.Path == "" && op.Flags&OpEmpty != 0 {
		return w.hold()
	}
	path, follow, dir := op.Path, op.Flags&OpNoFollow == 0, op.Flags&OpDirectory != 0
	err := w.full(path, follow)
	if err == nil {
		err = w.hold()
	}
	if err == errRetry {
		w.slow = true
		w.reset()
		err = w.run(func() error { return w.full(path, follow) })
	}
	if err != nil {
		w.drop()
		return err
	}
	if dir && !w.d.IsDir() {
		w.drop()
		return errno.ENOTDIR
	}
	return nil
}

// parentOf walks op to the directory of its last component.
func (w *walk) parentOf(ctx kctx.Ctx, op *Op) (last string, slash bool, err error) {
	if op.Bad != nil {
		return "", false, op.Bad
	}
	w.init(ctx, op)
	path := op.Path
	err = w.run(func() (err error) {
		last, slash, err = w.parent(path)
		return err
	})
	return last, slash, err
}

// Walk resolves op to a path with a reference.
func (s *System) Walk(ctx kctx.Ctx, op Op) (Path, error) {
	var w walk
	if err := w.existing(ctx, &op); err != nil {
		return Path{}, err
	}
	return w.path(), nil
}
