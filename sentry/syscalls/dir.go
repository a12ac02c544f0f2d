package syscalls

import (
	"encoding/binary"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var dirRows = []Row{
	{78, "getdents", sysGetdents, "fd,ptr,size", Full, ""},
	{79, "getcwd", sysGetcwd, "ptr,size", Full, ""},
	{80, "chdir", sysChdir, "path", Full, ""},
	{81, "fchdir", sysFchdir, "fd", Full, ""},
	{83, "mkdir", sysMkdir, "path,mode", Full, ""},
	{84, "rmdir", sysRmdir, "path", Full, ""},
	{133, "mknod", sysMknod, "path,mode,hex", Full, ""},
	{161, "chroot", sysChroot, "path", Full, ""},
	{217, "getdents64", sysGetdents64, "fd,ptr,size", Full, ""},
	{258, "mkdirat", sysMkdirat, "dirfd,path,mode", Full, ""},
	{259, "mknodat", sysMknodat, "dirfd,path,mode,hex", Full, ""},
}

// direntWriter packs directory entries; old chooses struct linux_dirent.
type direntWriter struct {
	buf  []byte
	max  int
	old  bool
	full bool
}

func (w *direntWriter) emit(e vfs.Dirent) bool {
	head := 19
	if w.old {
		head = 18
	}
	n := head + len(e.Name) + 1
	if w.old {
		n++ // the type goes last
	}
	n = (n + 7) &^ 7
	if len(w.buf)+n > w.max {
		w.full = true
		return false
	}
	at := len(w.buf)
	if at+n > cap(w.buf) {
		w.buf = append(make([]byte, 0, max(2*cap(w.buf), 4096)), w.buf...)
	}
	w.buf = w.buf[:at+n]
	b := w.buf[at:]
	clear(b)
	binary.LittleEndian.PutUint64(b, e.Ino)
	binary.LittleEndian.PutUint64(b[8:], uint64(e.Next))
	binary.LittleEndian.PutUint16(b[16:], uint16(n))
	if w.old {
		b[n-1] = e.Type
	} else {
		b[18] = e.Type
	}
	copy(b[head:], e.Name)
	return true
}

// direntBufs are buffers of getdents, reused.
var direntBufs = sync.Pool{New: func() any { return new([]byte) }}

func getdents(t *kernel.Task, a *arch.Args, old bool) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	pb := direntBufs.Get().(*[]byte)
	w := direntWriter{max: int(max(0, min(a.Int(2), 256<<10))), old: old, buf: (*pb)[:0]}
	defer func() {
		if cap(w.buf) <= 64<<10 {
			*pb = w.buf
		}
		direntBufs.Put(pb)
	}()
	if err := f.Readdir(t, w.emit); err != nil && len(w.buf) == 0 {
		return 0, err
	}
	if len(w.buf) == 0 {
		if w.full {
			return 0, errno.EINVAL
		}
		return 0, nil
	}
	return uint64(len(w.buf)), t.CopyOut(a.Ptr(1), w.buf)
}

// getdents64(2).
func sysGetdents64(t *kernel.Task, a arch.Args) (uint64, error) { return getdents(t, &a, false) }

// getdents(2).
func sysGetdents(t *kernel.Task, a arch.Args) (uint64, error) { return getdents(t, &a, true) }

// getcwd(2).
func sysGetcwd(t *kernel.Task, a arch.Args) (uint64, error) {
	root, cwd, owned := t.FS().Borrow()
	if owned {
		defer root.DecRef()
		defer cwd.DecRef()
	}
	if cwd.Dentry.Removed() {
		return 0, errno.ENOENT
	}
	s, ok := cwd.Resolve(root)
	if !ok {
		s = "(unreachable)" + s
	}
	if len(s)+1 > unix.PathMax {
		return 0, errno.ENAMETOOLONG
	}
	if uint64(len(s))+1 > a.Size(1) {
		return 0, errno.ERANGE
	}
	return uint64(len(s)) + 1, t.CopyOut(a.Ptr(0), append([]byte(s), 0))
}

// directory resolves a path argument to a directory the caller may search.
func directory(t *kernel.Task, addr uint64) (vfs.Path, error) {
	var x at
	if err := x.init(t, unix.AT_FDCWD, addr, vfs.OpDirectory); err != nil {
		return vfs.Path{}, err
	}
	defer x.done(t)
	p, err := vfsOf(t).Walk(t, x.Op)
	if err != nil {
		return p, err
	}
	if err := vfs.Permission(t, p.Inode(), vfs.MayExec); err != nil {
		p.DecRef()
		return vfs.Path{}, err
	}
	return p, nil
}

// chdir(2).
func sysChdir(t *kernel.Task, a arch.Args) (uint64, error) {
	p, err := directory(t, a.Ptr(0))
	if err != nil {
		return 0, err
	}
	t.FS().SetCwd(p)
	return 0, nil
}

// fchdir(2).
func sysFchdir(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := t.File(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if !f.Path().Dentry.IsDir() {
		return 0, errno.ENOTDIR
	}
	if err := vfs.Permission(t, f.Inode(), vfs.MayExec); err != nil {
		return 0, err
	}
	t.FS().SetCwd(f.Path().IncRef())
	return 0, nil
}

// chroot(2).
func sysChroot(t *kernel.Task, a arch.Args) (uint64, error) {
	p, err := directory(t, a.Ptr(0))
	if err != nil {
		return 0, err
	}
	if !t.Creds().Capable(creds.CapSysChroot) {
		p.DecRef()
		return 0, errno.EPERM
	}
	t.FS().SetRoot(p)
	return 0, nil
}

// mkdir(2).
func sysMkdir(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysMkdirat(t, arch.Args{atFDCWD, a[0], a[1]})
}

// mkdirat(2).
func sysMkdirat(t *kernel.Task, a arch.Args) (uint64, error) {
	var x at
	if err := x.init(t, a.Int(0), a.Ptr(1), 0); err != nil {
		return 0, err
	}
	defer x.done(t)
	return 0, vfsOf(t).MkdirAt(t, x.Op, a.Mode(2)&0o7777&^t.FS().Umask())
}

// rmdir(2).
func sysRmdir(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysUnlinkat(t, arch.Args{atFDCWD, a[0], unix.AT_REMOVEDIR})
}

// mknod(2).
func sysMknod(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysMknodat(t, arch.Args{atFDCWD, a[0], a[1], a[2]})
}

// mknodat(2).
func sysMknodat(t *kernel.Task, a arch.Args) (uint64, error) {
	var x at
	x.later(t, a.Int(0), a.Ptr(1), 0)
	defer x.done(t)
	mode := a.Mode(2)
	return 0, vfsOf(t).MknodAt(t, x.Op, mode&unix.S_IFMT|mode&0o7777&^t.FS().Umask(), decodeDev(a.Uint(3)))
}
