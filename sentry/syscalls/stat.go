package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var statRows = []Row{
	{4, "stat", sysStat, "path,ptr", Full, ""},
	{5, "fstat", sysFstat, "fd,ptr", Full, ""},
	{6, "lstat", sysLstat, "path,ptr", Full, ""},
	{21, "access", sysAccess, "path,hex", Full, ""},
	{136, "ustat", nil, "int,ptr", None, "obsolete"},
	{137, "statfs", sysStatfs, "path,ptr", Full, ""},
	{138, "fstatfs", sysFstatfs, "fd,ptr", Full, ""},
	{262, "newfstatat", sysNewfstatat, "dirfd,path,ptr,hex", Full, ""},
	{269, "faccessat", sysFaccessat, "dirfd,path,hex", Full, ""},
	{332, "statx", sysStatx, "dirfd,path,hex,hex,ptr", Full, ""},
	{439, "faccessat2", sysFaccessat2, "dirfd,path,hex,hex", Full, ""},
}

// toStat makes struct stat for the caller's user namespace.
func toStat(t *kernel.Task, s *vfs.Stat) unix.Stat_t {
	ns := t.UserNS()
	return unix.Stat_t{
		Dev: encodeDev(s.Dev), Ino: s.Ino, Nlink: uint64(s.Nlink), Mode: s.Mode,
		Uid: ns.UID(s.UID), Gid: ns.GID(s.GID), Rdev: encodeDev(s.Rdev),
		Size: int64(s.Size), Blksize: int64(s.BlkSize), Blocks: int64(s.Blocks),
		Atim: s.Atime, Mtim: s.Mtime, Ctim: s.Ctime,
	}
}

// encodeDev is new_encode_dev.
func encodeDev(d vfs.Dev) uint64 { return unix.Mkdev(d.Major, d.Minor) }

func decodeDev(d uint32) vfs.Dev {
	return vfs.Dev{Major: d >> 8 & 0xfff, Minor: d&0xff | d>>12&0xfff00}
}

func statAt(t *kernel.Task, dirfd int32, path, buf uint64, flags vfs.OpFlags) (uint64, error) {
	var x at
	if err := x.initEmpty(t, dirfd, path, flags); err != nil {
		return 0, err
	}
	st, err := vfsOf(t).StatAt(t, x.Op)
	x.done(t)
	if err != nil {
		return 0, err
	}
	out := toStat(t, &st)
	return 0, kernel.Put(t, buf, &out)
}

// stat(2).
func sysStat(t *kernel.Task, a arch.Args) (uint64, error) {
	return statAt(t, unix.AT_FDCWD, a.Ptr(0), a.Ptr(1), 0)
}

// lstat(2).
func sysLstat(t *kernel.Task, a arch.Args) (uint64, error) {
	return statAt(t, unix.AT_FDCWD, a.Ptr(0), a.Ptr(1), vfs.OpNoFollow)
}

// fstat(2).
func sysFstat(t *kernel.Task, a arch.Args) (uint64, error) {
	return fstat(t, a.Int(0), a.Ptr(1))
}

func fstat(t *kernel.Task, fd int32, buf uint64) (uint64, error) {
	f, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	st, err := f.Stat(t)
	f.DecRef(t)
	if err != nil {
		return 0, err
	}
	out := toStat(t, &st)
	return 0, kernel.Put(t, buf, &out)
}

// newfstatat(2).
func sysNewfstatat(t *kernel.Task, a arch.Args) (uint64, error) {
	fl, err := atFlags(a.Uint(3), unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT)
	if a.Uint(3)&unix.AT_EMPTY_PATH != 0 && a.Int(0) >= 0 {
		// Other flags are then not looked at (linux: fs/stat.c vfs_fstatat).
		// fstat as C libraries spell it.
		var b [1]byte
		if a.Ptr(1) == 0 {
			return fstat(t, a.Int(0), a.Ptr(2))
		}
		if e := t.CopyIn(a.Ptr(1), b[:]); e != nil {
			if err == nil {
				err = e
			}
			return 0, err
		}
		if b[0] == 0 {
			return fstat(t, a.Int(0), a.Ptr(2))
		}
	}
	if err != nil {
		return 0, err
	}
	return statAt(t, a.Int(0), a.Ptr(1), a.Ptr(2), fl)
}

// statxSyncType is AT_STATX_SYNC_TYPE.
const statxSyncType = 0x6000

// statx(2).
func sysStatx(t *kernel.Task, a arch.Args) (uint64, error) {
	flags, mask := a.Uint(2), a.Uint(3)
	if mask&unix.STATX__RESERVED != 0 || flags&statxSyncType == statxSyncType {
		return 0, errno.EINVAL
	}
	fl, err := atFlags(flags, unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH|unix.AT_NO_AUTOMOUNT|statxSyncType)
	if err != nil {
		return 0, err
	}
	var x at
	if err := x.initEmpty(t, a.Int(0), a.Ptr(1), fl); err != nil {
		return 0, err
	}
	defer x.done(t)
	p, err := vfsOf(t).Walk(t, x.Op)
	if err != nil {
		return 0, err
	}
	defer p.DecRef()
	st, err := p.Inode().Stat(t)
	if err != nil {
		return 0, err
	}
	ns := t.UserNS()
	out := unix.Statx_t{
		Mask: unix.STATX_BASIC_STATS | unix.STATX_MNT_ID, Blksize: st.BlkSize, Nlink: st.Nlink,
		Uid: ns.UID(st.UID), Gid: ns.GID(st.GID), Mode: uint16(st.Mode), Ino: st.Ino, Size: st.Size, Blocks: st.Blocks,
		Atime: toStatx(st.Atime), Mtime: toStatx(st.Mtime), Ctime: toStatx(st.Ctime),
		Rdev_major: st.Rdev.Major, Rdev_minor: st.Rdev.Minor, Dev_major: st.Dev.Major, Dev_minor: st.Dev.Minor,
		Mnt_id: p.Mount.ID(), Attributes_mask: unix.STATX_ATTR_MOUNT_ROOT,
	}
	if st.Btime != (unix.Timespec{}) && mask&unix.STATX_BTIME != 0 {
		out.Mask |= unix.STATX_BTIME
		out.Btime = toStatx(st.Btime)
	}
	if mask&unix.STATX_MNT_ID_UNIQUE != 0 {
		out.Mask = out.Mask&^unix.STATX_MNT_ID | unix.STATX_MNT_ID_UNIQUE
		out.Mnt_id = p.Mount.UniqueID()
	}
	if p.Mount.Root().Dentry == p.Dentry {
		out.Attributes |= unix.STATX_ATTR_MOUNT_ROOT
	}
	return 0, kernel.Put(t, a.Ptr(4), &out)
}

func toStatx(ts unix.Timespec) unix.StatxTimestamp {
	return unix.StatxTimestamp{Sec: ts.Sec, Nsec: uint32(ts.Nsec)}
}

// statfs(2).
func sysStatfs(t *kernel.Task, a arch.Args) (uint64, error) {
	var x at
	if err := x.init(t, unix.AT_FDCWD, a.Ptr(0), 0); err != nil {
		return 0, err
	}
	defer x.done(t)
	p, err := vfsOf(t).Walk(t, x.Op)
	if err != nil {
		return 0, err
	}
	defer p.DecRef()
	return putStatfs(t, p, a.Ptr(1))
}

func putStatfs(t *kernel.Task, p vfs.Path, addr uint64) (uint64, error) {
	st, err := vfsOf(t).Statfs(t, p)
	if err != nil {
		return 0, err
	}
	return 0, kernel.Put(t, addr, &st)
}

// fstatfs(2).
func sysFstatfs(t *kernel.Task, a arch.Args) (uint64, error) {
	f, err := t.File(a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return putStatfs(t, f.Path(), a.Ptr(1))
}

// access(2).
func sysAccess(t *kernel.Task, a arch.Args) (uint64, error) {
	return accessAt(t, unix.AT_FDCWD, a.Ptr(0), a.Uint(1), 0)
}

// faccessat(2).
func sysFaccessat(t *kernel.Task, a arch.Args) (uint64, error) {
	return accessAt(t, a.Int(0), a.Ptr(1), a.Uint(2), 0)
}

// faccessat2(2).
func sysFaccessat2(t *kernel.Task, a arch.Args) (uint64, error) {
	return accessAt(t, a.Int(0), a.Ptr(1), a.Uint(2), a.Uint(3))
}

func accessAt(t *kernel.Task, dirfd int32, path uint64, mode, flags uint32) (uint64, error) {
	if mode&^7 != 0 {
		return 0, errno.EINVAL
	}
	fl, err := atFlags(flags, unix.AT_EACCESS|unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH)
	if err != nil {
		return 0, err
	}
	var x at
	if err := x.init(t, dirfd, path, fl); err != nil {
		return 0, err
	}
	defer x.done(t)
	cr := t.Creds()
	if flags&unix.AT_EACCESS == 0 && (cr.RUID != cr.FSUID || cr.RGID != cr.FSGID || cr.RUID != cr.EUID) {
		cr = realCreds(cr)
	}
	return 0, vfsOf(t).AccessAt(t, x.Op, cr, mode)
}

// realCreds are the credentials access(2) checks with: the real ids, and the
// capabilities a program would have with them.
func realCreds(old *creds.Credentials) *creds.Credentials {
	cr := old.Fork()
	cr.FSUID, cr.FSGID = cr.RUID, cr.RGID
	const noSetuidFixup = 4
	if cr.SecureBits&noSetuidFixup == 0 {
		if cr.UserNS.UID(cr.RUID) == 0 {
			cr.Effective = cr.Permitted
		} else {
			cr.Effective = 0
		}
	}
	return cr
}
