package syscalls

import (
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var xattrRows = []Row{
	{188, "setxattr", sysSetxattr, "path,str,ptr,size,hex", Full, ""},
	{189, "lsetxattr", sysLsetxattr, "path,str,ptr,size,hex", Full, ""},
	{190, "fsetxattr", sysFsetxattr, "fd,str,ptr,size,hex", Full, ""},
	{191, "getxattr", sysGetxattr, "path,str,ptr,size", Full, ""},
	{192, "lgetxattr", sysLgetxattr, "path,str,ptr,size", Full, ""},
	{193, "fgetxattr", sysFgetxattr, "fd,str,ptr,size", Full, ""},
	{194, "listxattr", sysListxattr, "path,ptr,size", Full, ""},
	{195, "llistxattr", sysLlistxattr, "path,ptr,size", Full, ""},
	{196, "flistxattr", sysFlistxattr, "fd,ptr,size", Full, ""},
	{197, "removexattr", sysRemovexattr, "path,str", Full, ""},
	{198, "lremovexattr", sysLremovexattr, "path,str", Full, ""},
	{199, "fremovexattr", sysFremovexattr, "fd,str", Full, ""},
}

const (
	xattrNameMax = 255
	xattrSizeMax = 65536
)

// withPath calls fn with the place of a path argument; withFD with that of a
// descriptor.
func withPath(t *kernel.Task, addr uint64, flags vfs.OpFlags, fn func(vfs.Path) (uint64, error)) (uint64, error) {
	var x at
	if err := x.init(t, unix.AT_FDCWD, addr, flags); err != nil {
		return 0, err
	}
	defer x.done(t)
	p, err := vfsOf(t).Walk(t, x.Op)
	if err != nil {
		return 0, err
	}
	defer p.DecRef()
	return fn(p)
}

func withFD(t *kernel.Task, fd int32, fn func(vfs.Path) (uint64, error)) (uint64, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return fn(f.Path())
}

func xattrNameIn(t *kernel.Task, addr uint64) (string, error) {
	s, err := t.CopyInString(addr, xattrNameMax+1)
	if err == errno.ENAMETOOLONG || err == nil && s == "" {
		return "", errno.ERANGE
	}
	return s, err
}

// place calls fn with what an xattr call is about.
type place func(fn func(vfs.Path) (uint64, error)) (uint64, error)

func atPath(t *kernel.Task, a *arch.Args, flags vfs.OpFlags) place {
	return func(fn func(vfs.Path) (uint64, error)) (uint64, error) { return withPath(t, a.Ptr(0), flags, fn) }
}

func atFD(t *kernel.Task, a *arch.Args) place {
	return func(fn func(vfs.Path) (uint64, error)) (uint64, error) { return withFD(t, a.Int(0), fn) }
}

// The arguments are looked at before the file (linux: fs/xattr.c).

func setXattr(t *kernel.Task, a *arch.Args, at place) (uint64, error) {
	if a.Uint(4)&^3 != 0 {
		return 0, errno.EINVAL
	}
	name, err := xattrNameIn(t, a.Ptr(1))
	if err != nil {
		return 0, err
	}
	if a.Size(3) > xattrSizeMax {
		return 0, errno.E2BIG
	}
	v := make([]byte, a.Size(3))
	if err := t.CopyIn(a.Ptr(2), v); err != nil {
		return 0, err
	}
	return at(func(p vfs.Path) (uint64, error) {
		return 0, vfsOf(t).SetXattr(t, p, name, string(v), a.Uint(4))
	})
}

func getXattr(t *kernel.Task, a *arch.Args, at place) (uint64, error) {
	name, err := xattrNameIn(t, a.Ptr(1))
	if err != nil {
		return 0, err
	}
	return at(func(p vfs.Path) (uint64, error) {
		v, err := vfsOf(t).GetXattr(t, p, name)
		if err != nil {
			return 0, err
		}
		return putSized(t, a.Ptr(2), a.Size(3), v)
	})
}

// putSized copies out s; a size of 0 only asks for its length.
func putSized(t *kernel.Task, addr, size uint64, s string) (uint64, error) {
	if size == 0 || len(s) == 0 {
		return uint64(len(s)), nil
	}
	if size < uint64(len(s)) {
		return 0, errno.ERANGE
	}
	return uint64(len(s)), t.CopyOut(addr, []byte(s))
}

func listXattr(t *kernel.Task, a *arch.Args, at place) (uint64, error) {
	return at(func(p vfs.Path) (uint64, error) {
		l, err := vfsOf(t).ListXattr(t, p)
		if err != nil {
			return 0, err
		}
		var b strings.Builder
		for _, n := range l {
			b.WriteString(n)
			b.WriteByte(0)
		}
		return putSized(t, a.Ptr(1), a.Size(2), b.String())
	})
}

func removeXattr(t *kernel.Task, a *arch.Args, at place) (uint64, error) {
	name, err := xattrNameIn(t, a.Ptr(1))
	if err != nil {
		return 0, err
	}
	return at(func(p vfs.Path) (uint64, error) {
		return 0, vfsOf(t).RemoveXattr(t, p, name)
	})
}

// setxattr(2) and its family.
func sysSetxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return setXattr(t, &a, atPath(t, &a, 0))
}
func sysLsetxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return setXattr(t, &a, atPath(t, &a, vfs.OpNoFollow))
}
func sysFsetxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return setXattr(t, &a, atFD(t, &a))
}
func sysGetxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return getXattr(t, &a, atPath(t, &a, 0))
}
func sysLgetxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return getXattr(t, &a, atPath(t, &a, vfs.OpNoFollow))
}
func sysFgetxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return getXattr(t, &a, atFD(t, &a))
}
func sysListxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return listXattr(t, &a, atPath(t, &a, 0))
}
func sysLlistxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return listXattr(t, &a, atPath(t, &a, vfs.OpNoFollow))
}
func sysFlistxattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return listXattr(t, &a, atFD(t, &a))
}
func sysRemovexattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return removeXattr(t, &a, atPath(t, &a, 0))
}
func sysLremovexattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return removeXattr(t, &a, atPath(t, &a, vfs.OpNoFollow))
}
func sysFremovexattr(t *kernel.Task, a arch.Args) (uint64, error) {
	return removeXattr(t, &a, atFD(t, &a))
}
