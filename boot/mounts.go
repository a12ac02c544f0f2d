package boot

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/devfs"
	"redoubt.dev/redoubt/fsimpl/goferfs"
	"redoubt.dev/redoubt/fsimpl/overlayfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

// mounter makes the mounts of one container.
type mounter struct {
	id      string
	sys     *vfs.System
	ctx     kctx.Ctx // root in the sandbox
	fds     []int
	userns  *creds.UserNamespace // owns the mounts
	shared  bool                 // --file-access=shared: others change the root too
	pidns   *kernel.PIDNamespace // /proc shows it
	onDeath func()

	ns   *vfs.Namespace
	root vfs.Path
	more []*vfs.Namespace // that keep file systems below the root
}

// release gives up what makeRoot made.
func (b *mounter) release() {
	if b.ns == nil {
		return
	}
	b.root.DecRef()
	for _, ns := range append(b.more, b.ns) {
		ns.DecRef()
	}
	b.ns, b.more = nil, nil
}

func (b *mounter) op(path string) vfs.Op {
	return vfs.Op{Sys: b.sys, NS: b.ns, Root: b.root, Start: b.root, Path: path}
}

// gofer connects to a tree the gofer serves. Nobody else is expected to change
// a root or a tree under a throw-away layer; a bind is shared with the host.
func (b *mounter) gofer(m *Mount, root bool) (vfs.Super, error) {
	if m.Conn >= len(b.fds) || m.Donate >= len(b.fds) {
		return nil, fmt.Errorf("mount %s: its connection is missing", m.Dest)
	}
	cache := "remote_revalidating"
	if root && !b.shared {
		cache = "exclusive"
	}
	conn := goferfs.Conn{RFD: b.fds[m.Conn], WFD: b.fds[m.Conn], DonationFD: b.fds[m.Donate], Cache: cache, OnDeath: b.onDeath}
	if !root {
		conn.RootPath = m.Source // as a bind shows it
	}
	s, err := b.sys.NewSuper(b.ctx, m.Source, "9p", vfs.MountOpts{ReadOnly: m.ReadOnly || m.Overlay, Internal: conn})
	if err != nil {
		return nil, fmt.Errorf("connecting mount %s to the gofer: %w", m.Dest, err)
	}
	return s, nil
}

// layered puts a writable layer in memory over a tree.
func (b *mounter) layered(lower vfs.Super, readOnly bool) (vfs.Super, error) {
	upper, err := b.sys.NewSuper(b.ctx, "none", "tmpfs", vfs.MountOpts{Data: "mode=0755,size=0,nr_inodes=0"})
	if err != nil {
		return nil, fmt.Errorf("making the writable layer: %w", err)
	}
	return b.sys.NewSuper(b.ctx, "overlay", "overlay", vfs.MountOpts{ReadOnly: readOnly, Internal: overlayfs.Layers{
		Upper: &overlayfs.Layer{Super: upper}, Lowers: []overlayfs.Layer{{Super: lower}}}})
}

// makeRoot makes the mount namespace with the container's root, and all mount
// points in it.
//
// Bottom to top: the gofer's tree; a layer in memory if one is asked for, or
// if the image is read-only and lacks a directory that something is mounted on.
func (b *mounter) makeRoot(root *Mount, mounts []Mount) error {
	lower, err := b.gofer(root, true)
	if err != nil {
		return err
	}
	fs := lower
	if root.Overlay {
		if fs, err = b.layered(lower, false); err != nil {
			return err
		}
	}
	b.ns = b.sys.NewNamespace(kctx.Background(creds.NewRoot(b.userns)), fs, root.Source, 0)
	b.root = b.ns.Root()
	if root.ReadOnly && !root.Overlay && b.missingPoints(mounts) {
		// The namespace just made keeps the lower tree; nobody else sees it.
		if fs, err = b.layered(lower, false); err != nil {
			return err
		}
		b.root.DecRef()
		b.more = append(b.more, b.ns)
		b.ns = b.sys.NewNamespace(kctx.Background(creds.NewRoot(b.userns)), fs, root.Source, 0)
		b.root = b.ns.Root()
	}
	return nil
}

// mountAll makes every mount of the plan.
func (b *mounter) mountAll(mounts []Mount) error {
	for i := range mounts {
		if err := b.mount(&mounts[i]); err != nil {
			return fmt.Errorf("mounting %s (%s): %w", mounts[i].Dest, mounts[i].Type, err)
		}
	}
	return nil
}

func (b *mounter) mount(m *Mount) error {
	set, err := ParseMountOptions(m.Options)
	if err != nil {
		return err
	}
	if m.Dest == "/" {
		return fmt.Errorf("the root cannot be mounted over")
	}
	if err := b.ensurePoint(m.Dest, m.Gofer && m.File); err != nil {
		return fmt.Errorf("making the mount point: %w", err)
	}
	flags := vfs.MountFlags(set.Flags)
	opts := vfs.MountOpts{Data: strings.Join(set.Data, ",")}
	if m.Type == "proc" {
		opts.Internal = b.pidns
	}
	if m.Type == "cgroup" || m.Type == "cgroup2" {
		opts.Internal = b.id
	}
	var fs vfs.Super
	switch m.Type {
	case "bind":
		if fs, err = b.gofer(m, false); err == nil && m.Overlay {
			fs, err = b.layered(fs, false)
		}
	default:
		fs, err = b.sys.NewSuper(b.ctx, m.Source, guestType(m), opts)
	}
	if err != nil {
		return err
	}
	var below vfs.Path
	if set.CopyUp && m.Type == "tmpfs" {
		if below, err = b.sys.Walk(b.ctx, b.op(m.Dest)); err != nil {
			return err
		}
		defer below.DecRef()
	}
	first := flags
	if below.Ok() {
		first &^= vfs.MountReadOnly
	}
	if _, err := b.sys.MountSuper(b.ctx, m.Source, b.op(m.Dest), fs, first); err != nil {
		return err
	}
	if below.Ok() {
		top, err := b.sys.Walk(b.ctx, b.op(m.Dest))
		if err != nil {
			return err
		}
		defer top.DecRef()
		if err := b.copyTree(below, top); err != nil {
			return fmt.Errorf("copying up what it hides: %w", err)
		}
		if first != flags {
			if err := b.remountReadOnly(m.Dest); err != nil {
				return err
			}
		}
	}
	if m.Dest == "/dev" && !m.Gofer {
		// OCI wants its default devices in whatever is mounted there.
		dir, err := b.sys.Walk(b.ctx, b.op(m.Dest))
		if err != nil {
			return err
		}
		defer dir.DecRef()
		if err := devfs.Populate(b.ctx, b.sys, dir); err != nil {
			return fmt.Errorf("making the default devices: %w", err)
		}
	}
	if set.Propagation != 0 {
		return b.propagate(m.Dest, set.Propagation)
	}
	return nil
}

// guestType is the sandbox's file system for an OCI mount type.
func guestType(m *Mount) string {
	switch {
	case m.Type == "devfs":
		return "devtmpfs"
	case m.Type == "cgroup":
		return "cgroup2"
	}
	return m.Type
}

// ensurePoint makes a mount point and the directories above it if they are
// missing. The walk is bounded by the container's root, links included.
func (b *mounter) ensurePoint(path string, file bool) error {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := range parts {
		prefix := "/" + strings.Join(parts[:i+1], "/")
		last := i == len(parts)-1
		p, err := b.sys.Walk(b.ctx, b.op(prefix))
		if err == nil {
			p.DecRef()
			continue
		}
		if err != errno.ENOENT {
			return err
		}
		if last && file {
			err = b.sys.MknodAt(b.ctx, b.op(prefix), unix.S_IFREG|0o644, vfs.Dev{})
		} else {
			err = b.sys.MkdirAt(b.ctx, b.op(prefix), 0o755)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", prefix, err)
		}
	}
	return nil
}

// missingPoints says whether some mount point does not exist.
func (b *mounter) missingPoints(mounts []Mount) bool {
	for i := range mounts {
		p, err := b.sys.Walk(b.ctx, b.op(mounts[i].Dest))
		if err != nil {
			return true
		}
		p.DecRef()
	}
	return false
}

// exists says whether a path is there, and whether it is a directory.
func (b *mounter) exists(path string) (ok, dir bool) {
	st, err := b.sys.StatAt(b.ctx, b.op(path))
	return err == nil, err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// hide makes what the configuration masks unreadable, and keeps what it wants
// read-only so. Paths that do not exist are nothing to hide.
func (b *mounter) hide(l *specs.Linux) error {
	for _, path := range l.ReadonlyPaths {
		if ok, _ := b.exists(path); !ok {
			continue
		}
		if err := b.bindReadOnly(path); err != nil {
			return fmt.Errorf("making %s read-only: %w", path, err)
		}
	}
	for _, path := range l.MaskedPaths {
		ok, dir := b.exists(path)
		if !ok {
			continue
		}
		var err error
		if dir {
			_, err = b.sys.MountFS(b.ctx, "tmpfs", b.op(path), "tmpfs", vfs.MountReadOnly, vfs.MountOpts{Data: "size=0,mode=0555"})
		} else {
			err = b.bind("/dev/null", path)
		}
		if err != nil {
			return fmt.Errorf("masking %s: %w", path, err)
		}
	}
	return nil
}

// bind binds one place of the container on another.
func (b *mounter) bind(src, dst string) error {
	return b.sys.BindMount(b.ctx, b.op(src), b.op(dst), false)
}

// bindReadOnly makes a path read-only by a mount of itself, with what is
// mounted below it.
func (b *mounter) bindReadOnly(path string) error {
	if err := b.sys.BindMount(b.ctx, b.op(path), b.op(path), true); err != nil {
		return err
	}
	return b.remountReadOnly(path)
}

// remountReadOnly makes one mount read-only and keeps its other flags.
func (b *mounter) remountReadOnly(path string) error {
	p, err := b.sys.Walk(b.ctx, b.op(path))
	if err != nil {
		return err
	}
	defer p.DecRef()
	return b.sys.SetMountFlags(p.Mount, vfs.MountReadOnly, vfs.MountReadOnly)
}

func (b *mounter) propagate(path string, flags uintptr) error {
	return b.sys.SetPropagation(b.ctx, b.op(path), flags)
}

// ensureParent makes the directories above a path.
func (b *mounter) ensureParent(path string) error {
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		return b.ensurePoint(path[:i], false)
	}
	return nil
}
