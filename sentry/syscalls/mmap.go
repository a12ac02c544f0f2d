package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

var mmapRows = []Row{
	{9, "mmap", sysMmap, "addr:ptr,size,prot:mprot,flags:mmapflags,fd,off:hex", Full, ""},
	{10, "mprotect", sysMprotect, "addr:ptr,size,prot:mprot", Full, ""},
	{11, "munmap", sysMunmap, "addr:ptr,size", Full, ""},
	{12, "brk", sysBrk, "addr:ptr", Full, ""},
	{25, "mremap", sysMremap, "addr:ptr,size,size,flags:hex,new:ptr", Full, ""},
	{26, "msync", sysMsync, "addr:ptr,size,flags:hex", Full, ""},
	{27, "mincore", sysMincore, "addr:ptr,size,vec:ptr", Full, ""},
	{28, "madvise", sysMadvise, "addr:ptr,size,advice:int", Full, ""},
	{149, "mlock", sysMlock, "addr:ptr,size", Partial, "counted and made present; the host may still page it out"},
	{150, "munlock", sysMunlock, "addr:ptr,size", Full, ""},
	{151, "mlockall", sysMlockall, "flags:hex", Partial, "as mlock"},
	{152, "munlockall", sysMunlockall, "", Full, ""},
	{216, "remap_file_pages", sysRemapFilePages, "addr:ptr,size,prot:int,pgoff:hex,flags:hex", None, "gone from Linux in all but name"},
	{310, "process_vm_readv", sysProcessVMReadv, "pid,liov:ptr,liovcnt:int,riov:ptr,riovcnt:int,flags:hex", Full, ""},
	{311, "process_vm_writev", sysProcessVMWritev, "pid,liov:ptr,liovcnt:int,riov:ptr,riovcnt:int,flags:hex", Full, ""},
	{325, "mlock2", sysMlock2, "addr:ptr,size,flags:hex", Partial, "as mlock"},
	{329, "pkey_mprotect", sysPkeyMprotect, "addr:ptr,size,prot:mprot,pkey:int", Partial, "only key -1"},
	{330, "pkey_alloc", sysPkeyAlloc, "flags:hex,rights:hex", None, "no protection keys (EINVAL)"},
	{331, "pkey_free", sysPkeyFree, "pkey:int", None, "no protection keys (EINVAL)"},
}

const readImpliesExec = 0x0400000 // personality(2)

// mmap(2).
func sysMmap(t *kernel.Task, a arch.Args) (uint64, error) {
	flags, prot := a.Uint(3), platform.Prot(a.Uint(2)&7)
	if a.Uint64(5)&arch.PageMask != 0 {
		return 0, errno.EINVAL
	}
	o := mm.MMapOpts{Addr: a.Ptr(0), Length: a.Size(1), Prot: prot, MaxProt: 7, Flags: flags, Offset: a.Uint64(5)}
	kind := flags & unix.MAP_TYPE
	if flags&unix.MAP_ANONYMOUS != 0 {
		if o.Length != 0 && (o.Length+arch.PageMask)&^arch.PageMask == 0 {
			return 0, errno.ENOMEM
		}
		if kind != unix.MAP_SHARED && kind != unix.MAP_PRIVATE ||
			kind == unix.MAP_SHARED && flags&unix.MAP_GROWSDOWN != 0 {
			return 0, errno.EINVAL
		}
		if flags&unix.MAP_HUGETLB != 0 {
			return 0, errno.ENOMEM // no huge pages are reserved
		}
		if t.Personality()&readImpliesExec != 0 && prot&platform.Read != 0 {
			o.Prot |= platform.Exec
		}
		o.Offset = 0
		return t.MM().MMap(t, o)
	}
	f, err := t.File(a.Int(4))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if f.IsPath() {
		return 0, errno.EBADF
	}
	if flags&unix.MAP_HUGETLB != 0 || o.Length == 0 {
		return 0, errno.EINVAL
	}
	if n := (o.Length + arch.PageMask) &^ arch.PageMask; n == 0 || n > maxUser || flags&unix.MAP_32BIT != 0 && n > 1<<31 {
		return 0, errno.ENOMEM
	}
	if err := checkFileMap(t, f, kind, &o); err != nil {
		return 0, err
	}
	if o.Mappable, err = f.Mmap(t); err != nil {
		return 0, err
	}
	o.File = f
	return t.MM().MMap(t, o)
}

// checkFileMap applies the open mode and the mount to a file mapping (linux:
// mm/mmap.c do_mmap).
func checkFileMap(t *kernel.Task, f *vfs.File, kind uint32, o *mm.MMapOpts) error {
	const legacy = unix.MAP_SHARED | unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS | unix.MAP_DENYWRITE |
		unix.MAP_EXECUTABLE | unix.MAP_GROWSDOWN | unix.MAP_LOCKED | unix.MAP_NORESERVE | unix.MAP_POPULATE |
		unix.MAP_NONBLOCK | unix.MAP_STACK | unix.MAP_HUGETLB | unix.MAP_32BIT | 0x4000000 // MAP_UNINITIALIZED
	noExec := false
	if m := f.Path().Mount; m != nil {
		noExec = m.Flags()&vfs.MountNoExec != 0
	}
	switch kind {
	case unix.MAP_SHARED_VALIDATE, unix.MAP_SHARED:
		if kind == unix.MAP_SHARED_VALIDATE && o.Flags&^legacy&^unix.MAP_TYPE != 0 {
			return errno.EOPNOTSUPP
		}
		if !f.Writable() {
			if o.Prot&platform.Write != 0 {
				return errno.EACCES
			}
			o.MaxProt &^= platform.Write
		}
		if s, ok := f.Inode().(sealer); ok && o.Prot&platform.Write == 0 && s.Seals()&(unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE) != 0 {
			o.MaxProt &^= platform.Write
		}
		fallthrough
	case unix.MAP_PRIVATE:
		if !f.Readable() {
			return errno.EACCES
		}
		if noExec {
			if o.Prot&platform.Exec != 0 {
				return errno.EPERM
			}
			o.MaxProt &^= platform.Exec
		}
		if o.Flags&unix.MAP_GROWSDOWN != 0 {
			return errno.EINVAL
		}
	default:
		return errno.EINVAL
	}
	if t.Personality()&readImpliesExec != 0 && o.Prot&platform.Read != 0 && !noExec {
		o.Prot |= platform.Exec
	}
	return nil
}

// mprotect(2).
func sysMprotect(t *kernel.Task, a arch.Args) (uint64, error) {
	const protSem = 8
	prot := a.Uint(2)
	const grows = unix.PROT_GROWSDOWN | unix.PROT_GROWSUP
	if prot&grows != grows && a.Ptr(0)&arch.PageMask == 0 {
		if a.Size(1) == 0 {
			return 0, nil
		}
		if n := (a.Size(1) + arch.PageMask) &^ arch.PageMask; a.Ptr(0)+n <= a.Ptr(0) {
			return 0, errno.ENOMEM
		}
	}
	if prot&^(7|protSem|grows) != 0 {
		return 0, errno.EINVAL
	}
	return 0, t.MM().Mprotect(t, a.Ptr(0), a.Size(1), platform.Prot(prot&7), prot&grows)
}

// pkey_mprotect(2).
func sysPkeyMprotect(t *kernel.Task, a arch.Args) (uint64, error) {
	const grows = unix.PROT_GROWSDOWN | unix.PROT_GROWSUP
	if k := a.Int(3); k != -1 && a.Uint(2)&grows == grows {
		return 0, errno.EINVAL
	} else if k != -1 {
		// No key is ever allocated; the range is checked first.
		addr, n := a.Ptr(0), a.Size(1)
		end := addr + (n+arch.PageMask)&^arch.PageMask
		switch {
		case addr&arch.PageMask == 0 && n == 0:
			return 0, nil
		case addr&arch.PageMask == 0 && end <= addr:
			return 0, errno.ENOMEM
		}
		return 0, errno.EINVAL
	}
	return sysMprotect(t, a)
}

// pkey_alloc(2).
func sysPkeyAlloc(t *kernel.Task, a arch.Args) (uint64, error) {
	if a[0] != 0 || a[1]&^3 != 0 {
		return 0, errno.EINVAL
	}
	return 0, errno.EINVAL // as with a processor that has none
}

// pkey_free(2).
func sysPkeyFree(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.EINVAL }

// munmap(2).
func sysMunmap(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.MM().Munmap(t, a.Ptr(0), a.Size(1))
}

// brk(2).
func sysBrk(t *kernel.Task, a arch.Args) (uint64, error) { return t.MM().Brk(t, a.Ptr(0)), nil }

// mremap(2).
func sysMremap(t *kernel.Task, a arch.Args) (uint64, error) {
	return t.MM().Mremap(t, a.Ptr(0), a.Size(1), a.Size(2), a.Uint(3), a.Ptr(4))
}

// msync(2).
func sysMsync(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.MM().Msync(t, a.Ptr(0), a.Size(1), a.Uint(2), func(f mm.FileRef) error {
		if f, ok := f.(*vfs.File); ok {
			return f.Sync(t, true)
		}
		return nil
	})
}

// mincore(2).
func sysMincore(t *kernel.Task, a arch.Args) (uint64, error) {
	const most = 1 << 30 // answer in steps of this many bytes
	addr, n, vec := a.Ptr(0), a.Size(1), a.Ptr(2)
	if addr&arch.PageMask != 0 {
		return 0, errno.EINVAL
	}
	if !accessible(addr, n) {
		return 0, errno.ENOMEM
	}
	n = (n + arch.PageMask) &^ arch.PageMask
	if !accessible(vec, n/arch.PageSize) {
		return 0, errno.EFAULT
	}
	for n > 0 {
		step := min(n, most)
		b, err := t.MM().Mincore(t, addr, step)
		if err != nil {
			return 0, err
		}
		if err := t.CopyOut(vec, b); err != nil {
			return 0, err
		}
		addr, n, vec = addr+step, n-step, vec+uint64(len(b))
	}
	return 0, nil
}

// madvise(2).
func sysMadvise(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.MM().Madvise(t, a.Ptr(0), a.Size(1), a.Int(2))
}

// mlock(2).
func sysMlock(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.MM().Mlock(t, a.Ptr(0), a.Size(1), 0)
}

// mlock2(2).
func sysMlock2(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.MM().Mlock(t, a.Ptr(0), a.Size(1), a.Uint(2))
}

// munlock(2).
func sysMunlock(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.MM().Munlock(t, a.Ptr(0), a.Size(1))
}

// mlockall(2).
func sysMlockall(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, t.MM().MlockAll(t, a.Uint(0))
}

// munlockall(2).
func sysMunlockall(t *kernel.Task, a arch.Args) (uint64, error) { return 0, t.MM().MunlockAll(t) }

// remap_file_pages(2).
func sysRemapFilePages(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.EINVAL }

// process_vm_readv(2).
func sysProcessVMReadv(t *kernel.Task, a arch.Args) (uint64, error) { return processVM(t, a, false) }

// process_vm_writev(2).
func sysProcessVMWritev(t *kernel.Task, a arch.Args) (uint64, error) { return processVM(t, a, true) }

func processVM(t *kernel.Task, a arch.Args, write bool) (uint64, error) {
	if a[5] != 0 {
		return 0, errno.EINVAL
	}
	local, err := readVecs(t, a.Ptr(1), a.Size(2))
	if err != nil {
		return 0, err
	}
	if vecsLen(local) == 0 {
		return 0, nil
	}
	remote, err := readVecs(t, a.Ptr(3), a.Size(4))
	if err != nil || vecsLen(remote) == 0 {
		return 0, err
	}
	pid := t.PIDNamespace().LookupPID(a.Int(0))
	if pid == nil || pid.Task() == nil {
		return 0, errno.ESRCH
	}
	o := pid.Task()
	space := o.MM()
	if space == nil {
		return 0, errno.ESRCH
	}
	if o.ThreadGroup() != t.ThreadGroup() && !mayAccess(t.Creds(), o.Creds(), space) {
		return 0, errno.EPERM
	}
	if !space.IncUsers() {
		return 0, errno.ESRCH
	}
	defer space.DecUsers(t)
	var total uint64
	buf := make([]byte, 64<<10)
	li, lo := 0, uint64(0)
	for _, rv := range remote {
		for off := uint64(0); off < rv.Len && li < len(local); {
			if lo == local[li].Len {
				li, lo = li+1, 0
				continue
			}
			n := min(rv.Len-off, local[li].Len-lo, uint64(len(buf)))
			var from, to usermem.IO = space, t.Mem()
			fa, ta := rv.Addr+off, local[li].Addr+lo
			if write {
				from, to, fa, ta = to, from, ta, fa
			}
			k, err := from.CopyIn(fa, buf[:n])
			if k > 0 {
				var kerr error
				if k, kerr = to.CopyOut(ta, buf[:k]); kerr != nil {
					err = kerr
				}
			}
			total += uint64(k)
			off += uint64(k)
			lo += uint64(k)
			if err != nil {
				if total > 0 {
					return total, nil
				}
				return 0, errno.EFAULT
			}
		}
	}
	return total, nil
}

// mayAccess is the check of ptrace(2) PTRACE_MODE_ATTACH_REALCREDS.
func mayAccess(c, o *creds.Credentials, space *mm.Space) bool {
	if c.HasCap(creds.CapSysPtrace, o.UserNS) {
		return true
	}
	return c.RUID == o.EUID && c.RUID == o.SUID && c.RUID == o.RUID &&
		c.RGID == o.EGID && c.RGID == o.SGID && c.RGID == o.RGID && space.Dumpable() == mm.UserDumpable
}

func vecsLen(v []usermem.Vec) (n uint64) {
	for _, x := range v {
		n += x.Len
	}
	return n
}

func readVecs(t *kernel.Task, addr, n uint64) ([]usermem.Vec, error) {
	if n > 1024 {
		return nil, errno.EINVAL
	}
	v := make([]usermem.Vec, n)
	if err := usermem.GetSlice(t.Mem(), addr, v); err != nil {
		return nil, err
	}
	var sum uint64
	for _, x := range v {
		if sum += x.Len; x.Len > 1<<63-1 || sum > 1<<63-1 {
			return nil, errno.EINVAL
		}
	}
	return v, nil
}
