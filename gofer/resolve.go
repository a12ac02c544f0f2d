package gofer

import (
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/gofer/wire"
	"redoubt.dev/redoubt/sentry/errno"
)

// beneath is how every path is resolved: never above the attach point, never
// through a link. Host mounts below the attach point are part of the tree.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// open opens the file at path, which wire.GoodPath accepted.
func (t *tree) open(path string, flags int, mode uint32) (int, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW), Mode: uint64(mode), Resolve: beneath}
	if path == "" {
		if !t.dir {
			return t.openSingle(flags)
		}
		path = "."
	} else if !t.dir {
		return -1, errno.ENOTDIR
	}
	for {
		fd, err := unix.Openat2(t.root, path, &how)
		// EAGAIN: a rename raced with a ".." check somewhere; there is none
		// in our paths, but the kernel may say so.
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return -1, err
		}
		return fd, nil
	}
}

// openSingle opens an attach point that is a file. Its descriptor may be
// O_PATH, which only /proc could open anew; a descriptor opened for access by
// whoever started us is duplicated instead.
func (t *tree) openSingle(flags int) (int, error) {
	if flags&unix.O_PATH != 0 {
		return unix.FcntlInt(uintptr(t.root), unix.F_DUPFD_CLOEXEC, 0)
	}
	have, err := unix.FcntlInt(uintptr(t.root), unix.F_GETFL, 0)
	if err != nil {
		return -1, err
	}
	if have&unix.O_PATH != 0 {
		return unix.Open("/proc/self/fd/"+itoa(t.root), flags&^unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if acc := flags & unix.O_ACCMODE; acc != have&unix.O_ACCMODE {
		fd, err := unix.Open("/proc/self/fd/"+itoa(t.root), flags&^unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == nil || have&unix.O_ACCMODE != unix.O_RDWR {
			return fd, err
		}
	}
	if flags&unix.O_TRUNC != 0 {
		if err := unix.Ftruncate(t.root, 0); err != nil {
			return -1, err
		}
	}
	return unix.FcntlInt(uintptr(t.root), unix.F_DUPFD_CLOEXEC, 0)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// parent opens the directory of path and returns the last name; EBUSY for the
// attach point itself.
func (t *tree) parent(path string) (dir int, name string, err error) {
	if path == "" {
		return -1, "", errno.EBUSY
	}
	i := strings.LastIndexByte(path, '/')
	dir, err = t.open(path[:max(i, 0)], unix.O_PATH|unix.O_DIRECTORY, 0)
	return dir, path[i+1:], err
}

const statxMask = unix.STATX_BASIC_STATS | unix.STATX_BTIME

// attrAt fills a with the attributes of name in dir (or of dir itself if name
// is "") without following links.
func attrAt(dir int, name string, a *wire.Attr) error {
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT | unix.AT_STATX_SYNC_AS_STAT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var x unix.Statx_t
	if err := unix.Statx(dir, name, flags, statxMask, &x); err != nil {
		return err
	}
	*a = wire.Attr{
		Ino: x.Ino, DevMajor: x.Dev_major, DevMinor: x.Dev_minor,
		RdevMajor: x.Rdev_major, RdevMinor: x.Rdev_minor,
		Mode: uint32(x.Mode), Nlink: x.Nlink, UID: x.Uid, GID: x.Gid,
		Size: x.Size, Blocks: x.Blocks, BlkSize: x.Blksize,
		Atime: xtime(x.Atime), Mtime: xtime(x.Mtime), Ctime: xtime(x.Ctime), Btime: xtime(x.Btime),
	}
	if a.Mode&unix.S_IFMT == unix.S_IFLNK {
		var buf [wire.MaxPath + 1]byte
		n, err := unix.Readlinkat(dir, name, buf[:])
		if err != nil {
			return err
		}
		a.Target = string(buf[:n])
		if n == 0 || n > wire.MaxPath {
			return errno.ENAMETOOLONG
		}
	}
	return nil
}

func xtime(t unix.StatxTimestamp) wire.Time { return wire.Time{Sec: t.Sec, Nsec: t.Nsec} }

// attr fills a with the attributes of the file at path.
func (t *tree) attr(path string, a *wire.Attr) error {
	if path == "" {
		return attrAt(t.root, "", a)
	}
	if strings.IndexByte(path, '/') < 0 {
		if !t.dir {
			return errno.ENOTDIR
		}
		return attrAt(t.root, path, a)
	}
	fd, err := t.open(path, unix.O_PATH, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return attrAt(fd, "", a)
}

// openFlags are the flags of open(2) that a client may choose.
const openFlags = unix.O_ACCMODE | unix.O_TRUNC | unix.O_DIRECTORY

// openData opens a regular file or directory to donate it.
func (t *tree) openData(path string, flags uint32, a *wire.Attr) (int, error) {
	f := int(flags) & openFlags
	if f&unix.O_ACCMODE == unix.O_ACCMODE {
		return -1, errno.EINVAL
	}
	if t.readOnly && (f&unix.O_ACCMODE != unix.O_RDONLY || f&unix.O_TRUNC != 0) {
		return -1, errno.EROFS
	}
	// Devices, FIFOs and sockets must not even be opened: look first.
	p, err := t.open(path, unix.O_PATH, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(p, &st)
	unix.Close(p)
	if err != nil {
		return -1, err
	}
	if err := openable(st.Mode); err != nil {
		return -1, err
	}
	fd, err := t.open(path, f|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOATIME, 0)
	if err == unix.EPERM {
		fd, err = t.open(path, f|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	}
	if err != nil {
		return -1, err
	}
	if err = attrAt(fd, "", a); err == nil {
		err = openable(a.Mode)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func openable(mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		return nil
	case unix.S_IFLNK:
		return errno.ELOOP
	}
	return errno.ENXIO
}

// openAny opens the file at path for calls that O_PATH descriptors refuse
// (xattrs); links and special files give none.
func (t *tree) openAny(path string) (int, error) {
	var a wire.Attr
	return t.openData(path, unix.O_RDONLY, &a)
}
