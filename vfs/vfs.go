// Package vfs owns mounts, mount namespaces, dentries, open files, permission
// checks, locks on files, and the only path walker (walk.go).
//
// A file system offers four interfaces: FSType makes a Super, a Super has a
// root Inode, an Inode opens to FileOps. It never sees a path or "..": names
// are single components, checked by the walker (1..255 bytes, no '/', not "."
// or ".."). Dentries and open files belong to vfs, inodes to the file system.
//
// Lock order: see sentry/lock/order.go (MountMu, RenameMu, DirMu, then the
// file system's own).
package vfs

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
)

// FSType makes file systems of one type ("tmpfs").
type FSType interface {
	// Name is the type's name in mount(2) and /proc/filesystems.
	Name() string
	// NoDev says that it needs no block device.
	NoDev() bool
	// Mount makes (or finds) a file system. opts.Data is the option string of
	// mount(2), comma separated; unknown options are EINVAL.
	Mount(ctx kctx.Ctx, source string, opts MountOpts) (Super, error)
}

// MountOpts are the file-system-specific parts of a mount.
type MountOpts struct {
	Data     string
	ReadOnly bool
	// Internal carries what only boot can give (descriptors of a gofer, layers
	// of an overlay); its type belongs to the file system.
	Internal any
}

// Super is one file system instance.
type Super interface {
	Type() FSType
	Root() Inode
	Statfs(ctx kctx.Ctx) (unix.Statfs_t, error)
	Sync(ctx kctx.Ctx) error
	// Dev is the device number that stat shows, from AllocDev.
	Dev() Dev
	// Volatile says that names and attributes change behind vfs's back:
	// dentries are looked up again at each use (procfs, remote revalidating).
	Volatile() bool
	// Options is what /proc/mounts shows behind the generic flags ("size=64k").
	Options() string
	// Release is called once when no mount and no open file is left.
	Release()
}

// PartOf is implemented by a Super that is a part of a larger file system, as a
// bind is: mountinfo shows where its root lies there.
type PartOf interface{ RootPath() string }

// Dev is a device number.
type Dev struct{ Major, Minor uint32 }

// Stat has what statx(2) reports. Ids are kernel ids.
type Stat struct {
	Dev, Rdev                  Dev
	Ino                        uint64
	Mode                       uint32 // with type bits
	Nlink                      uint32
	UID                        creds.KUID
	GID                        creds.KGID
	Size, Blocks               uint64 // bytes, 512-byte units
	BlkSize                    uint32
	Atime, Mtime, Ctime, Btime unix.Timespec
}

// SetStat changes attributes; only those whose bit is in Mask.
type SetStat struct {
	Mask         SetMask
	Mode         uint32
	UID          creds.KUID
	GID          creds.KGID
	Size         uint64
	Atime, Mtime unix.Timespec
}

// SetMask selects fields of SetStat.
type SetMask uint32

// Fields of SetStat. The Now bits take the current time.
const (
	SetMode SetMask = 1 << iota
	SetUID
	SetGID
	SetSize
	SetAtime
	SetMtime
	SetAtimeNow
	SetMtimeNow
	SetCtime // only touch the change time
	// SetKillID says that a chown, even of nothing, clears set-id bits; vfs
	// turns it into SetMode.
	SetKillID
)

// Inode is a file of a file system. vfs has checked permissions, read-only
// mounts and names before it calls; the file system checks existence and
// types (ENOTDIR comes from embedding NotDir) and its own limits.
// Implementations embed the bases of bases.go for what they do not have.
type Inode interface {
	// Attr is the cheap part of Stat for permission checks: mode with type
	// bits and owner.
	Attr() (mode uint32, uid creds.KUID, gid creds.KGID)
	Stat(ctx kctx.Ctx) (Stat, error)
	SetStat(ctx kctx.Ctx, s SetStat) error

	Lookup(ctx kctx.Ctx, name string) (Inode, error)
	// Create makes a regular file; a new inode's owner follows ctx.Creds()
	// (fsuid, fsgid, or the directory's group if it has S_ISGID).
	Create(ctx kctx.Ctx, name string, mode uint32) (Inode, error)
	Mkdir(ctx kctx.Ctx, name string, mode uint32) (Inode, error)
	Mknod(ctx kctx.Ctx, name string, mode uint32, dev Dev) (Inode, error)
	Symlink(ctx kctx.Ctx, name, target string) (Inode, error)
	Link(ctx kctx.Ctx, name string, target Inode) error
	Unlink(ctx kctx.Ctx, name string, child Inode) error
	Rmdir(ctx kctx.Ctx, name string, child Inode) error
	// Rename moves oldName of this directory; flags are RENAME_NOREPLACE,
	// RENAME_EXCHANGE and RENAME_WHITEOUT; replaced is the victim or nil.
	Rename(ctx kctx.Ctx, oldName string, child Inode, newDir Inode, newName string, replaced Inode, flags uint32) error
	Readlink(ctx kctx.Ctx) (string, error)

	// Open returns the operations of a new open file description. d is the
	// dentry it is opened by; flags are open(2)'s.
	Open(ctx kctx.Ctx, d *Dentry, flags uint32) (FileOps, error)

	GetXattr(ctx kctx.Ctx, name string) (string, error)
	SetXattr(ctx kctx.Ctx, name, value string, flags uint32) error
	ListXattr(ctx kctx.Ctx) ([]string, error)
	RemoveXattr(ctx kctx.Ctx, name string) error

	// Release gives back one count: every Inode returned by Lookup, Create,
	// Mkdir, Mknod, Symlink, Tmpfile or Super.Root carries one, and vfs releases
	// it when the dentry made for it dies (open files hold their dentry). A
	// file system whose inodes have several names, or that returns the same
	// Inode again, counts under its own lock; one that makes an Inode per
	// Lookup may free it at once.
	Release()
}

// FileOps is an open file description's behaviour. Embed the bases of
// bases.go: StreamBase, RegularBase, DirFileBase.
type FileOps interface {
	// Read and Write move bytes at *off and advance it; streams ignore off.
	// With O_APPEND in f.Flags() Write first sets *off to the end, atomically.
	// n > 0 comes with a nil error. Nothing to read now is EAGAIN: File.Read
	// blocks on WaitQueue and tries again unless O_NONBLOCK.
	Read(ctx kctx.Ctx, f *File, dst *usermem.Buf, off *int64) (int64, error)
	Write(ctx kctx.Ctx, f *File, src *usermem.Buf, off *int64) (int64, error)
	// Seek answers lseek(2) other than SEEK_SET and SEEK_CUR for regular
	// files: SEEK_END, SEEK_DATA, SEEK_HOLE; ESPIPE for streams (any whence).
	Seek(ctx kctx.Ctx, f *File, off int64, whence int) (int64, error)
	// Readdir calls emit from position pos (0 is the start, "." and ".."
	// included) until it returns false.
	Readdir(ctx kctx.Ctx, f *File, pos int64, emit func(Dirent) bool) error
	Ioctl(ctx kctx.Ctx, f *File, io usermem.IO, cmd uint32, arg uint64) (uint64, error)
	// Mmap returns what to map, or ENODEV.
	Mmap(ctx kctx.Ctx, f *File) (memmap.Mappable, error)
	Ready(mask wait.Events) wait.Events
	// WaitQueue is nil if the file is always ready (epoll gives EPERM then).
	WaitQueue() *wait.Queue
	Sync(ctx kctx.Ctx, f *File, dataOnly bool) error
	// Allocate is fallocate(2).
	Allocate(ctx kctx.Ctx, f *File, mode uint32, off, n uint64) error
	// Flush is called at each close(2) of a descriptor of f.
	Flush(ctx kctx.Ctx, f *File) error
	// Release is called once, when the last reference to f is gone.
	Release(ctx kctx.Ctx, f *File)
}

// Dirent is one directory entry; Next is the position behind it.
type Dirent struct {
	Name string
	Ino  uint64
	Type uint8 // DT_*
	Next int64
}

// MagicLink is an Inode (a symbolic link) that leads to an object rather than
// a path: /proc/self/fd/3, /proc/self/exe. The walker follows it directly.
type MagicLink interface {
	// Follow returns the target with a reference; or an error.
	Follow(ctx kctx.Ctx) (Path, error)
}

// Permissioner is an Inode with its own rule instead of mode bits (proc). mask
// has MayRead|MayWrite|MayExec.
type Permissioner interface {
	Permission(ctx kctx.Ctx, mask uint32) error
}

// Revalidator is an Inode of a Volatile file system that can say cheaply
// whether a cached name still leads to it.
type Revalidator interface {
	Revalidate(ctx kctx.Ctx, parent Inode, name string) bool
}

// FileOpener is implemented by an Inode whose open returns an existing open
// file description (/proc/self/fd magic links do not need it; /dev/tty does).
type FileOpener interface {
	OpenFile(ctx kctx.Ctx, p Path, flags uint32) (*File, error)
}

// Access rights for permission checks, as in access(2).
const (
	MayExec  = 1
	MayWrite = 2
	MayRead  = 4
)
