// Package nsfs has the files that stand for namespaces (namespaces(7)): what
// /proc/pid/ns links lead to, setns(2) takes and ioctl_ns(2) asks.
package nsfs

import (
	"fmt"
	"reflect"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// Kinds are the names and CLONE_NEW* flags of namespaces.
var kinds = map[string]uint32{
	"cgroup": unix.CLONE_NEWCGROUP, "ipc": unix.CLONE_NEWIPC, "mnt": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET,
	"pid": unix.CLONE_NEWPID, "time": unix.CLONE_NEWTIME, "user": unix.CLONE_NEWUSER, "uts": unix.CLONE_NEWUTS,
}

// Inode is the identity of a namespace as a file.
type Inode struct {
	vfs.InodeBase
	vfs.NotDir
	vfs.NotLink
	vfs.NoXattr
	vfs.NoRelease
	vfs.NoSetStat
	kind string
	ns   any
	ino  uint64
}

// New returns the inode of a namespace: *kernel.UTSNamespace, IPCNamespace,
// NetNamespace, PIDNamespace, CgroupNamespace or TimeNamespace,
// *vfs.Namespace, *creds.UserNamespace. nil if ns is none of them.
func New(ns any) *Inode {
	i := &Inode{ns: ns}
	if v := reflect.ValueOf(ns); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil // the task has exited
	}
	switch n := ns.(type) {
	case *kernel.UTSNamespace:
		i.kind, i.ino = "uts", n.Ino()
	case *kernel.IPCNamespace:
		i.kind, i.ino = "ipc", n.Ino()
	case *kernel.NetNamespace:
		i.kind, i.ino = "net", n.Ino()
	case *kernel.PIDNamespace:
		i.kind, i.ino = "pid", n.Ino()
	case *kernel.CgroupNamespace:
		i.kind, i.ino = "cgroup", n.Ino()
	case *kernel.TimeNamespace:
		i.kind, i.ino = "time", n.Ino()
	case *vfs.Namespace:
		i.kind, i.ino = "mnt", n.ID()
	case *creds.UserNamespace:
		i.kind, i.ino = "user", n.ID
	default:
		return nil
	}
	return i
}

// Of returns the namespace an open file stands for, and its CLONE_NEW* flag;
// nil if it is no such file.
func Of(f *vfs.File) (ns any, flag uint32) {
	if i, ok := f.Inode().(*Inode); ok {
		return i.ns, kinds[i.kind]
	}
	return nil, 0
}

// FileName implements vfs.SelfNamed.
func (i *Inode) FileName() string { return fmt.Sprintf("%s:[%d]", i.kind, i.ino) }

// Attr implements vfs.Inode.
func (i *Inode) Attr() (uint32, creds.KUID, creds.KGID) { return unix.S_IFREG | 0o444, 0, 0 }

// Stat implements vfs.Inode.
func (i *Inode) Stat(ctx kctx.Ctx) (vfs.Stat, error) {
	now := vfs.Now()
	return vfs.Stat{Dev: vfs.Dev{Minor: 4}, Ino: i.ino, Mode: unix.S_IFREG | 0o444, Nlink: 1, BlkSize: 4096,
		Atime: now, Mtime: now, Ctime: now}, nil
}

// Open implements vfs.Inode.
func (i *Inode) Open(ctx kctx.Ctx, d *vfs.Dentry, flags uint32) (vfs.FileOps, error) {
	if flags&unix.O_ACCMODE != unix.O_RDONLY {
		return nil, errno.EPERM
	}
	return &file{i: i}, nil
}

type file struct {
	vfs.StreamBase
	i *Inode
}

// Requests of ioctl_ns(2) and ioctl_nsfs(2).
const (
	nsGetUserNS   = 0xb701
	nsGetParent   = 0xb702
	nsGetType     = 0xb703
	nsGetOwnerUID = 0xb704
)

// Ioctl implements vfs.FileOps.
func (f *file) Ioctl(ctx kctx.Ctx, vf *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	switch cmd {
	case nsGetType:
		return uint64(kinds[f.i.kind]), nil
	case nsGetUserNS:
		if u, ok := f.i.ns.(*creds.UserNamespace); ok {
			return install(ctx, visible(ctx, u.Parent))
		}
		if o, ok := f.i.ns.(interface{ UserNS() *creds.UserNamespace }); ok {
			return install(ctx, visible(ctx, o.UserNS()))
		}
	case nsGetParent:
		switch n := f.i.ns.(type) {
		case *creds.UserNamespace:
			return install(ctx, visible(ctx, n.Parent))
		case *kernel.PIDNamespace:
			t, ok := ctx.(*kernel.Task)
			if !ok || n.Parent() == nil || !n.Parent().InOrBelow(t.PIDNamespace()) {
				return 0, errno.EPERM
			}
			return install(ctx, n.Parent())
		}
		return 0, errno.EINVAL
	case nsGetOwnerUID:
		u, ok := f.i.ns.(*creds.UserNamespace)
		if !ok {
			return 0, errno.EINVAL
		}
		id := ctx.Creds().UserNS.UID(u.Owner)
		return 0, usermem.Put(io, arg, &id)
	}
	return 0, errno.ENOTTY
}

// visible returns n if the caller's user namespace is it or above it.
func visible(ctx kctx.Ctx, n *creds.UserNamespace) any {
	for x := n; x != nil; x = x.Parent {
		if x == ctx.Creds().UserNS {
			return n
		}
	}
	return nil
}

func install(ctx kctx.Ctx, ns any) (uint64, error) {
	t, ok := ctx.(*kernel.Task)
	if !ok || ns == nil {
		return 0, errno.EPERM
	}
	i := New(ns)
	if i == nil {
		return 0, errno.EPERM
	}
	vf := vfs.NewInodeFile(ctx, t.Kernel().VFS(), i, &file{i: i}, unix.O_RDONLY)
	fd, err := t.InstallFile(vf, true)
	if err != nil {
		vf.DecRef(ctx)
		return 0, err
	}
	return uint64(fd), nil
}
