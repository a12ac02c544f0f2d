package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var attrRows = []Row{
	{76, "truncate", sysTruncate, "path,size", Full, ""},
	{77, "ftruncate", sysFtruncate, "fd,size", Full, ""},
	{90, "chmod", sysChmod, "path,mode", Full, ""},
	{91, "fchmod", sysFchmod, "fd,mode", Full, ""},
	{92, "chown", sysChown, "path,uid,gid", Full, ""},
	{93, "fchown", sysFchown, "fd,uid,gid", Full, ""},
	{94, "lchown", sysLchown, "path,uid,gid", Full, ""},
	{132, "utime", sysUtime, "path,ptr", Full, ""},
	{235, "utimes", sysUtimes, "path,ptr", Full, ""},
	{260, "fchownat", sysFchownat, "dirfd,path,uid,gid,hex", Full, ""},
	{261, "futimesat", sysFutimesat, "dirfd,path,ptr", Full, ""},
	{268, "fchmodat", sysFchmodat, "dirfd,path,mode", Full, ""},
	{280, "utimensat", sysUtimensat, "dirfd,path,ptr,hex", Full, ""},
	{285, "fallocate", sysFallocate, "fd,hex,off,size", Partial, "modes other than allocate and punch hole depend on the file system"},
	{452, "fchmodat2", sysFchmodat2, "dirfd,path,mode,hex", Full, ""},
}

func setAt(t *kernel.Task, dirfd int32, path uint64, flags vfs.OpFlags, s vfs.SetStat) (uint64, error) {
	var x at
	if err := x.init(t, dirfd, path, flags); err != nil {
		return 0, err
	}
	defer x.done(t)
	return 0, vfsOf(t).SetStatAt(t, x.Op, s)
}

func setFD(t *kernel.Task, fd int32, s vfs.SetStat) (uint64, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if f.IsPath() {
		return 0, errno.EBADF
	}
	return 0, vfsOf(t).SetStatPath(t, f.Path(), s)
}

// truncate(2).
func sysTruncate(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(1) < 0 {
		return 0, errno.EINVAL
	}
	if n, err := t.CheckFileSize(a.Int64(1)-1, 1); a.Int64(1) > 0 && (err != nil || n < 1) {
		return 0, errno.EFBIG
	}
	return setAt(t, unix.AT_FDCWD, a.Ptr(0), 0, vfs.SetStat{Mask: vfs.SetSize, Size: a.Uint64(1)})
}

// ftruncate(2).
func sysFtruncate(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int64(1) < 0 {
		return 0, errno.EINVAL
	}
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return 0, f.Truncate(t, a.Int64(1))
}

func modeSet(mode uint32) vfs.SetStat { return vfs.SetStat{Mask: vfs.SetMode, Mode: mode & 0o7777} }

// chmod(2).
func sysChmod(t *kernel.Task, a arch.Args) (uint64, error) {
	return setAt(t, unix.AT_FDCWD, a.Ptr(0), 0, modeSet(a.Mode(1)))
}

// fchmod(2).
func sysFchmod(t *kernel.Task, a arch.Args) (uint64, error) {
	return setFD(t, a.Int(0), modeSet(a.Mode(1)))
}

// fchmodat(2).
func sysFchmodat(t *kernel.Task, a arch.Args) (uint64, error) {
	return setAt(t, a.Int(0), a.Ptr(1), 0, modeSet(a.Mode(2)))
}

// fchmodat2(2).
func sysFchmodat2(t *kernel.Task, a arch.Args) (uint64, error) {
	fl, err := atFlags(a.Uint(3), unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	return setAt(t, a.Int(0), a.Ptr(1), fl, modeSet(a.Mode(2)))
}

// owners makes the SetStat of chown(2) with ids of the caller's namespace.
func owners(t *kernel.Task, uid, gid uint32) (s vfs.SetStat, err error) {
	ns := t.UserNS()
	if uid != creds.NoID {
		k, ok := ns.KUID(uid)
		if !ok {
			return s, errno.EINVAL
		}
		s.Mask |= vfs.SetUID
		s.UID = k
	}
	if gid != creds.NoID {
		k, ok := ns.KGID(gid)
		if !ok {
			return s, errno.EINVAL
		}
		s.Mask |= vfs.SetGID
		s.GID = k
	}
	if s.Mask == 0 {
		s.Mask = vfs.SetCtime
	}
	s.Mask |= vfs.SetKillID
	return s, nil
}

// chown(2).
func sysChown(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysFchownat(t, arch.Args{atFDCWD, a[0], a[1], a[2], 0})
}

// lchown(2).
func sysLchown(t *kernel.Task, a arch.Args) (uint64, error) {
	return sysFchownat(t, arch.Args{atFDCWD, a[0], a[1], a[2], unix.AT_SYMLINK_NOFOLLOW})
}

// fchown(2).
func sysFchown(t *kernel.Task, a arch.Args) (uint64, error) {
	s, err := owners(t, a.Uint(1), a.Uint(2))
	if err != nil {
		return 0, err
	}
	return setFD(t, a.Int(0), s)
}

// fchownat(2).
func sysFchownat(t *kernel.Task, a arch.Args) (uint64, error) {
	fl, err := atFlags(a.Uint(4), unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	s, err := owners(t, a.Uint(2), a.Uint(3))
	if err != nil {
		return 0, err
	}
	return setAt(t, a.Int(0), a.Ptr(1), fl, s)
}

// times makes the SetStat of a pair of timespecs with UTIME_NOW and UTIME_OMIT.
func times(ts [2]unix.Timespec) (s vfs.SetStat, err error) {
	for i, now := range [2]vfs.SetMask{vfs.SetAtimeNow, vfs.SetMtimeNow} {
		switch n := ts[i].Nsec; {
		case n == unix.UTIME_NOW:
			s.Mask |= now
		case n == unix.UTIME_OMIT:
		case n < 0 || n > 999999999:
			return s, errno.EINVAL
		case i == 0:
			s.Mask |= vfs.SetAtime
			s.Atime = ts[0]
		default:
			s.Mask |= vfs.SetMtime
			s.Mtime = ts[1]
		}
	}
	return s, nil
}

var bothNow = vfs.SetStat{Mask: vfs.SetAtimeNow | vfs.SetMtimeNow}

// utimensat(2).
func sysUtimensat(t *kernel.Task, a arch.Args) (uint64, error) {
	s := bothNow
	if a.Ptr(2) != 0 {
		var ts [2]unix.Timespec
		err := kernel.Get(t, a.Ptr(2), &ts)
		if err != nil {
			return 0, err
		}
		if ts[0].Nsec == unix.UTIME_OMIT && ts[1].Nsec == unix.UTIME_OMIT {
			return 0, nil
		}
		if s, err = times(ts); err != nil {
			return 0, err
		}
	}
	fl, err := atFlags(a.Uint(3), unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	if a.Ptr(1) == 0 && a.Int(0) != unix.AT_FDCWD {
		if fl != 0 {
			return 0, errno.EINVAL
		}
		return setFD(t, a.Int(0), s)
	}
	if a.Ptr(1) == 0 {
		return 0, errno.EFAULT
	}
	return setAt(t, a.Int(0), a.Ptr(1), fl, s)
}

// utimesAt does utimes(2) and futimesat(2).
func utimesAt(t *kernel.Task, dirfd int32, path, addr uint64) (uint64, error) {
	s := bothNow
	if addr != 0 {
		var tv [2]unix.Timeval
		err := kernel.Get(t, addr, &tv)
		if err != nil {
			return 0, err
		}
		var ts [2]unix.Timespec
		for i := range tv {
			if tv[i].Usec < 0 || tv[i].Usec >= 1000000 {
				return 0, errno.EINVAL
			}
			ts[i] = unix.Timespec{Sec: tv[i].Sec, Nsec: tv[i].Usec * 1000}
		}
		s, _ = times(ts)
	}
	if path == 0 && dirfd != unix.AT_FDCWD {
		return setFD(t, dirfd, s)
	}
	return setAt(t, dirfd, path, 0, s)
}

// utimes(2).
func sysUtimes(t *kernel.Task, a arch.Args) (uint64, error) {
	return utimesAt(t, unix.AT_FDCWD, a.Ptr(0), a.Ptr(1))
}

// futimesat(2).
func sysFutimesat(t *kernel.Task, a arch.Args) (uint64, error) {
	return utimesAt(t, a.Int(0), a.Ptr(1), a.Ptr(2))
}

// utime(2).
func sysUtime(t *kernel.Task, a arch.Args) (uint64, error) {
	s := bothNow
	if a.Ptr(1) != 0 {
		var sec [2]int64
		if err := kernel.Get(t, a.Ptr(1), &sec); err != nil {
			return 0, err
		}
		s = vfs.SetStat{Mask: vfs.SetAtime | vfs.SetMtime, Atime: unix.Timespec{Sec: sec[0]}, Mtime: unix.Timespec{Sec: sec[1]}}
	}
	return setAt(t, unix.AT_FDCWD, a.Ptr(0), 0, s)
}

// fallocate(2).
func sysFallocate(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	mode, off, n := a.Uint(1), a.Int64(2), a.Int64(3)
	if off < 0 || n <= 0 {
		return 0, errno.EINVAL
	}
	const fallocWriteZeroes = 0x80
	keep := mode&unix.FALLOC_FL_KEEP_SIZE != 0
	switch mode &^ unix.FALLOC_FL_KEEP_SIZE {
	case 0, unix.FALLOC_FL_UNSHARE_RANGE, unix.FALLOC_FL_ZERO_RANGE:
	case unix.FALLOC_FL_PUNCH_HOLE:
		if !keep {
			return 0, errno.EOPNOTSUPP
		}
	case unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE, fallocWriteZeroes:
		if keep {
			return 0, errno.EOPNOTSUPP
		}
	default:
		return 0, errno.EOPNOTSUPP
	}
	if !f.Writable() {
		return 0, errno.EBADF
	}
	if off+n < 0 {
		return 0, errno.EFBIG
	}
	if mode&unix.FALLOC_FL_KEEP_SIZE == 0 {
		if _, err := t.CheckFileSize(off+n-1, 1); err != nil {
			return 0, errno.EFBIG
		}
	}
	return 0, f.Allocate(t, mode, uint64(off), uint64(n))
}
