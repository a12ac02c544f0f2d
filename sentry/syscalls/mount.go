package syscalls

import (
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var mountRows = []Row{
	{155, "pivot_root", sysPivotRoot, "path,path", Full, ""},
	{165, "mount", sysMount, "path,path,str,hex,ptr", Partial, "file systems of the sandbox only; MS_KERNMOUNT and the like ignored"},
	{166, "umount2", sysUmount2, "path,hex", Full, ""},
	{428, "open_tree", sysOpenTree, "dirfd,path,hex", Full, ""},
	{429, "move_mount", sysMoveMount, "dirfd,path,dirfd,path,hex", Partial, "MOVE_MOUNT_SET_GROUP and MOVE_MOUNT_BENEATH refused"},
	{442, "mount_setattr", sysMountSetattr, "dirfd,path,hex,ptr,size", Partial, "MOUNT_ATTR_IDMAP refused"},
}

// mayMount is may_mount: CAP_SYS_ADMIN over the mount namespace.
func mayMount(t *kernel.Task) error {
	if ns := t.MountNS(); ns == nil || !t.Creds().HasCap(creds.CapSysAdmin, ns.UserNS()) {
		return errno.EPERM
	}
	return nil
}

// optString reads a string argument that may be NULL.
func optString(t *kernel.Task, addr uint64) (string, error) {
	if addr == 0 {
		return "", nil
	}
	s, err := t.CopyInString(addr, 4096)
	if err == errno.ENAMETOOLONG {
		err = errno.EINVAL
	}
	return s, err
}

// propagationFlags are the flags that only change propagation.
const propagationFlags = unix.MS_SHARED | unix.MS_SLAVE | unix.MS_PRIVATE | unix.MS_UNBINDABLE

// mount(2).
func sysMount(t *kernel.Task, a arch.Args) (uint64, error) {
	flags := a.Uint64(3)
	if flags&0xffff0000 == 0xc0ed0000 { // MS_MGC_VAL
		flags &= 0xffff
	}
	fstype, err := optString(t, a.Ptr(2))
	if err != nil {
		return 0, err
	}
	source, err := optString(t, a.Ptr(0))
	if err != nil {
		return 0, err
	}
	data := ""
	if a.Ptr(4) != 0 {
		if data, err = t.CopyInString(a.Ptr(4), 4096); err == errno.ENAMETOOLONG {
			return 0, errno.EINVAL
		} else if err != nil {
			return 0, err
		}
	}
	var x at
	if err := x.init(t, unix.AT_FDCWD, a.Ptr(1), 0); err != nil {
		return 0, err
	}
	defer x.done(t)
	if err := mayMount(t); err != nil {
		return 0, err
	}
	mf := vfs.MountFlags(flags)
	switch {
	case flags&unix.MS_REMOUNT != 0:
		err = vfsOf(t).Remount(t, x.Op, mf, data, flags&unix.MS_BIND != 0)
	case flags&unix.MS_BIND != 0:
		err = fromPath(t, source, func(src vfs.Op) error {
			return vfsOf(t).BindMount(t, src, x.Op, flags&unix.MS_REC != 0)
		})
	case flags&propagationFlags != 0:
		err = vfsOf(t).SetPropagation(t, x.Op, uintptr(flags))
	case flags&unix.MS_MOVE != 0:
		err = fromPath(t, source, func(src vfs.Op) error { return vfsOf(t).MoveMount(t, src, x.Op) })
	default:
		err = newMount(t, x.Op, source, fstype, data, mf)
	}
	return 0, err
}

// fromPath calls fn with the operation for a source path.
func fromPath(t *kernel.Task, path string, fn func(vfs.Op) error) error {
	if path == "" {
		return errno.ENOENT
	}
	var x at
	if err := x.path(t, unix.AT_FDCWD, path, 0); err != nil {
		return err
	}
	defer x.done(t)
	return fn(x.Op)
}

func newMount(t *kernel.Task, op vfs.Op, source, fstype, data string, flags vfs.MountFlags) error {
	if fstype == "" {
		return errno.EINVAL
	}
	// A subtype ("fuse.x") belongs to the type before the dot.
	if base, _, ok := strings.Cut(fstype, "."); ok {
		fstype = base
	}
	p, err := vfsOf(t).Walk(t, op)
	if err != nil {
		return err
	}
	p.DecRef()
	if t.MountNS().UserNS() != t.Kernel().RootUserNS() {
		// linux: FS_USERNS_MOUNT
		switch fstype {
		case "tmpfs", "ramfs", "proc", "sysfs", "mqueue", "devpts", "overlay", "cgroup2":
		default:
			return errno.EPERM
		}
		flags |= vfs.MountNoDev
	}
	return vfsOf(t).MountAt(t, source, op, fstype, flags, vfs.MountOpts{Data: data, ReadOnly: flags&vfs.MountReadOnly != 0})
}

// umount2(2).
func sysUmount2(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(1)&^(unix.MNT_FORCE|unix.MNT_DETACH|unix.MNT_EXPIRE|unix.UMOUNT_NOFOLLOW) != 0 {
		return 0, errno.EINVAL
	}
	var x at
	if err := x.init(t, unix.AT_FDCWD, a.Ptr(0), 0); err != nil {
		return 0, err
	}
	defer x.done(t)
	if err := mayMount(t); err != nil {
		return 0, err
	}
	return 0, vfsOf(t).Umount(t, x.Op, a.Uint(1))
}

// pivot_root(2).
func sysPivotRoot(t *kernel.Task, a arch.Args) (uint64, error) {
	if err := mayMount(t); err != nil {
		return 0, err
	}
	var x, y at
	x.later(t, unix.AT_FDCWD, a.Ptr(0), 0)
	defer x.done(t)
	y.later(t, unix.AT_FDCWD, a.Ptr(1), 0)
	defer y.done(t)
	// Root must outlive the move of this very task.
	if x.Bad == nil {
		root := x.Root.IncRef()
		defer root.DecRef()
	}
	old, now, err := vfsOf(t).PivotRoot(t, x.Op, y.Op)
	if err != nil {
		return 0, err
	}
	defer old.DecRef()
	defer now.DecRef()
	ns := t.MountNS()
	for _, o := range t.Kernel().Tasks() {
		if fs := o.FS(); fs != nil && o.MountNS() == ns {
			fs.Replace(old, now)
		}
	}
	return 0, nil
}

// Flags of open_tree(2), move_mount(2) and mount_setattr(2).
const (
	openTreeClone     = 1
	openTreeCloexec   = unix.O_CLOEXEC
	atRecursive       = 0x8000
	moveFromSymlinks  = 1
	moveFromAutomount = 2
	moveFromEmpty     = 4
	moveToSymlinks    = 0x10
	moveToAutomount   = 0x20
	moveToEmpty       = 0x40
	moveAll           = 0x77
)

// treeFile is the descriptor of a detached tree: an O_PATH file that takes the
// tree apart when it goes.
func treeFile(t *kernel.Task, p vfs.Path, cloexec, detached bool) (uint64, error) {
	f := vfs.NewPathFile(t, p, detached)
	return install(t, f, cloexec)
}

// open_tree(2).
func sysOpenTree(t *kernel.Task, a arch.Args) (uint64, error) {
	flags := a.Uint(2)
	if flags&^(openTreeClone|openTreeCloexec|atRecursive|unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT|unix.AT_SYMLINK_NOFOLLOW) != 0 ||
		flags&atRecursive != 0 && flags&openTreeClone == 0 {
		return 0, errno.EINVAL
	}
	clone := flags&openTreeClone != 0
	if clone {
		if err := mayMount(t); err != nil {
			return 0, err
		}
	}
	fl, _ := atFlags(flags, flags)
	var x at
	if err := x.init(t, a.Int(0), a.Ptr(1), fl); err != nil {
		return 0, err
	}
	defer x.done(t)
	p, err := vfsOf(t).OpenTree(t, x.Op, clone, flags&atRecursive != 0)
	if err != nil {
		return 0, err
	}
	return treeFile(t, p, flags&openTreeCloexec != 0, clone)
}

// move_mount(2).
func sysMoveMount(t *kernel.Task, a arch.Args) (uint64, error) {
	if err := mayMount(t); err != nil {
		return 0, err
	}
	flags := a.Uint(4)
	if flags&^moveAll != 0 {
		return 0, errno.EINVAL
	}
	var ff, tf vfs.OpFlags
	if flags&moveFromSymlinks == 0 {
		ff |= vfs.OpNoFollow
	}
	if flags&moveFromEmpty != 0 {
		ff |= vfs.OpEmpty
	}
	if flags&moveToSymlinks == 0 {
		tf |= vfs.OpNoFollow
	}
	if flags&moveToEmpty != 0 {
		tf |= vfs.OpEmpty
	}
	var x, y at
	x.laterEmpty(t, a.Int(0), a.Ptr(1), ff)
	defer x.done(t)
	y.laterEmpty(t, a.Int(2), a.Ptr(3), tf)
	defer y.done(t)
	return 0, vfsOf(t).MoveMount(t, x.Op, y.Op)
}

// mountAttr is struct mount_attr.
type mountAttr struct{ Set, Clr, Propagation, UserNS uint64 }

// Attributes of mount_setattr(2).
const (
	attrRdonly     = 1
	attrNosuid     = 2
	attrNodev      = 4
	attrNoexec     = 8
	attrAtimeMask  = 0x70
	attrNoatime    = 0x10
	attrStrict     = 0x20
	attrNodiratime = 0x80
	attrIdmap      = 0x100000
	attrNosymfol   = 0x200000
	attrKnown      = attrRdonly | attrNosuid | attrNodev | attrNoexec | attrAtimeMask | attrNodiratime | attrIdmap | attrNosymfol
)

// attrFlags turns MOUNT_ATTR_* into per-mount flags; the atime field apart.
func attrFlags(v uint64) vfs.MountFlags {
	var f vfs.MountFlags
	for _, x := range [...]struct {
		a uint64
		f vfs.MountFlags
	}{{attrRdonly, vfs.MountReadOnly}, {attrNosuid, vfs.MountNoSuid}, {attrNodev, vfs.MountNoDev},
		{attrNoexec, vfs.MountNoExec}, {attrNodiratime, vfs.MountNoDirAtime}, {attrNosymfol, vfs.MountNoSymFollow}} {
		if v&x.a != 0 {
			f |= x.f
		}
	}
	return f
}

func atimeFlag(v uint64) vfs.MountFlags {
	switch v & attrAtimeMask {
	case attrNoatime:
		return vfs.MountNoAtime
	case attrStrict:
		return vfs.MountStrictAtime
	}
	return vfs.MountRelatime
}

// mount_setattr(2).
func sysMountSetattr(t *kernel.Task, a arch.Args) (uint64, error) {
	flags, size := a.Uint(2), a.Size(4)
	if flags&^(unix.AT_EMPTY_PATH|atRecursive|unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT) != 0 {
		return 0, errno.EINVAL
	}
	if size > 4096 {
		return 0, errno.E2BIG
	}
	if size < 32 {
		return 0, errno.EINVAL
	}
	if err := mayMount(t); err != nil {
		return 0, err
	}
	var m mountAttr
	if err := kernel.Get(t, a.Ptr(3), &m); err != nil {
		return 0, err
	}
	if err := zeroTail(t, a.Ptr(3)+32, size-32); err != nil {
		return 0, err
	}
	if m.Set == 0 && m.Clr == 0 && m.Propagation == 0 {
		return 0, nil
	}
	if m.Set&^attrKnown != 0 || m.Clr&^attrKnown != 0 || m.Propagation&^propagationFlags != 0 || m.Propagation&(m.Propagation-1) != 0 {
		return 0, errno.EINVAL
	}
	if m.Set&attrIdmap != 0 || m.Clr&attrIdmap != 0 {
		return 0, errno.EINVAL
	}
	if c := m.Clr & attrAtimeMask; c != 0 && c != attrAtimeMask || c == 0 && m.Set&attrAtimeMask != 0 {
		return 0, errno.EINVAL
	}
	fl, _ := atFlags(flags, flags)
	var x at
	if err := x.init(t, a.Int(0), a.Ptr(1), fl); err != nil {
		return 0, err
	}
	defer x.done(t)
	p, err := vfsOf(t).Walk(t, x.Op)
	if err != nil {
		return 0, err
	}
	defer p.DecRef()
	if p.Mount.Root().Dentry != p.Dentry {
		return 0, errno.EINVAL
	}
	mask, set := attrFlags(m.Set|m.Clr), attrFlags(m.Set)
	if m.Clr&attrAtimeMask != 0 {
		mask |= vfs.MountNoAtime | vfs.MountStrictAtime | vfs.MountRelatime
		set |= atimeFlag(m.Set)
	}
	mounts := []*vfs.Mount{p.Mount}
	if flags&atRecursive != 0 {
		mounts = p.Mount.Descendants()
	}
	for _, mt := range mounts {
		if err := vfsOf(t).SetMountFlags(mt, mask, set); err != nil {
			return 0, err
		}
	}
	if m.Propagation != 0 {
		kind := uintptr(m.Propagation)
		if flags&atRecursive != 0 {
			kind |= unix.MS_REC
		}
		return 0, vfsOf(t).SetPropagation(t, x.Op, kind)
	}
	return 0, nil
}
