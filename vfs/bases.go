package vfs

import (
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"

	"golang.org/x/sys/unix"
)

// NotDir answers the directory operations of an inode that is none.
type NotDir struct{}

func (NotDir) Lookup(kctx.Ctx, string) (Inode, error)         { return nil, errno.ENOTDIR }
func (NotDir) Create(kctx.Ctx, string, uint32) (Inode, error) { return nil, errno.ENOTDIR }
func (NotDir) Mkdir(kctx.Ctx, string, uint32) (Inode, error)  { return nil, errno.ENOTDIR }
func (NotDir) Mknod(kctx.Ctx, string, uint32, Dev) (Inode, error) {
	return nil, errno.ENOTDIR
}
func (NotDir) Symlink(kctx.Ctx, string, string) (Inode, error) { return nil, errno.ENOTDIR }
func (NotDir) Link(kctx.Ctx, string, Inode) error              { return errno.ENOTDIR }
func (NotDir) Unlink(kctx.Ctx, string, Inode) error            { return errno.ENOTDIR }
func (NotDir) Rmdir(kctx.Ctx, string, Inode) error             { return errno.ENOTDIR }
func (NotDir) Rename(kctx.Ctx, string, Inode, Inode, string, Inode, uint32) error {
	return errno.ENOTDIR
}

// FixedDir is a directory whose entries user code cannot change.
type FixedDir struct{}

func (FixedDir) Create(kctx.Ctx, string, uint32) (Inode, error)     { return nil, errno.EACCES }
func (FixedDir) Mkdir(kctx.Ctx, string, uint32) (Inode, error)      { return nil, errno.EPERM }
func (FixedDir) Mknod(kctx.Ctx, string, uint32, Dev) (Inode, error) { return nil, errno.EPERM }
func (FixedDir) Symlink(kctx.Ctx, string, string) (Inode, error)    { return nil, errno.EPERM }
func (FixedDir) Link(kctx.Ctx, string, Inode) error                 { return errno.EPERM }
func (FixedDir) Unlink(kctx.Ctx, string, Inode) error               { return errno.EPERM }
func (FixedDir) Rmdir(kctx.Ctx, string, Inode) error                { return errno.EPERM }
func (FixedDir) Rename(kctx.Ctx, string, Inode, Inode, string, Inode, uint32) error {
	return errno.EPERM
}

// NotLink is an inode that is no symbolic link.
type NotLink struct{}

func (NotLink) Readlink(kctx.Ctx) (string, error) { return "", errno.EINVAL }

// NoXattr is an inode without extended attributes.
type NoXattr struct{}

func (NoXattr) GetXattr(kctx.Ctx, string) (string, error)       { return "", errno.EOPNOTSUPP }
func (NoXattr) SetXattr(kctx.Ctx, string, string, uint32) error { return errno.EOPNOTSUPP }
func (NoXattr) ListXattr(kctx.Ctx) ([]string, error)            { return nil, nil }
func (NoXattr) RemoveXattr(kctx.Ctx, string) error              { return errno.EOPNOTSUPP }

// NoOpen is an inode that cannot be opened by the file system (symbolic links,
// sockets; device nodes and FIFOs are opened by vfs itself).
type NoOpen struct{}

func (NoOpen) Open(kctx.Ctx, *Dentry, uint32) (FileOps, error) { return nil, errno.ENXIO }

// NoRelease is an inode without anything to release.
type NoRelease struct{}

func (NoRelease) Release() {}

// NoSetStat is an inode whose attributes cannot be changed.
type NoSetStat struct{}

func (NoSetStat) SetStat(kctx.Ctx, SetStat) error { return errno.EPERM }

// StreamBase answers what a stream (pipe, socket, event object) does not do.
// Its user defines what it does: Read, Write, Ready, WaitQueue, Release...
type StreamBase struct{}

func (StreamBase) Read(kctx.Ctx, *File, *usermem.Buf, *int64) (int64, error) {
	return 0, errno.EINVAL
}
func (StreamBase) Write(kctx.Ctx, *File, *usermem.Buf, *int64) (int64, error) {
	return 0, errno.EINVAL
}
func (StreamBase) Seek(kctx.Ctx, *File, int64, int) (int64, error) { return 0, errno.ESPIPE }
func (StreamBase) Readdir(kctx.Ctx, *File, int64, func(Dirent) bool) error {
	return errno.ENOTDIR
}
func (StreamBase) Ioctl(kctx.Ctx, *File, usermem.IO, uint32, uint64) (uint64, error) {
	return 0, errno.ENOTTY
}
func (StreamBase) Mmap(kctx.Ctx, *File) (memmap.Mappable, error) { return nil, errno.ENODEV }
func (StreamBase) Ready(mask wait.Events) wait.Events {
	return mask & (wait.In | wait.Out | wait.RdNorm | wait.WrNorm)
}
func (StreamBase) WaitQueue() *wait.Queue            { return nil }
func (StreamBase) Sync(kctx.Ctx, *File, bool) error  { return errno.EINVAL }
func (StreamBase) Flush(ctx kctx.Ctx, f *File) error { return nil }
func (StreamBase) Release(ctx kctx.Ctx, f *File)     {}
func (StreamBase) Allocate(kctx.Ctx, *File, uint32, uint64, uint64) error {
	return errno.ESPIPE
}

// RegularBase answers what a simple regular file needs not define: it defines
// Read and perhaps Write.
type RegularBase struct{ StreamBase }

// Seek answers SEEK_END from the inode's size, and treats all as data.
func (RegularBase) Seek(ctx kctx.Ctx, f *File, off int64, whence int) (int64, error) {
	st, err := f.Inode().Stat(ctx)
	if err != nil {
		return 0, err
	}
	return SeekInData(off, whence, int64(st.Size))
}

func (RegularBase) Sync(kctx.Ctx, *File, bool) error { return nil }
func (RegularBase) Allocate(kctx.Ctx, *File, uint32, uint64, uint64) error {
	return errno.EOPNOTSUPP
}

// SeekInData is SEEK_END, SEEK_DATA and SEEK_HOLE of a file without holes.
func SeekInData(off int64, whence int, size int64) (int64, error) {
	switch whence {
	case unix.SEEK_END:
		if off += size; off < 0 {
			return 0, errno.EINVAL
		}
		return off, nil
	case unix.SEEK_DATA, unix.SEEK_HOLE:
		if off < 0 || off >= size {
			return 0, errno.ENXIO
		}
		if whence == unix.SEEK_HOLE {
			return size, nil
		}
		return off, nil
	}
	return 0, errno.EINVAL
}

// DirFileBase answers what an open directory does not do; its user defines
// Readdir.
type DirFileBase struct{ StreamBase }

func (DirFileBase) Read(kctx.Ctx, *File, *usermem.Buf, *int64) (int64, error) {
	return 0, errno.EISDIR
}
func (DirFileBase) Write(kctx.Ctx, *File, *usermem.Buf, *int64) (int64, error) {
	return 0, errno.EBADF
}
func (DirFileBase) Seek(ctx kctx.Ctx, f *File, off int64, whence int) (int64, error) {
	return 0, errno.EINVAL
}
func (DirFileBase) Sync(kctx.Ctx, *File, bool) error { return nil }
func (DirFileBase) Allocate(kctx.Ctx, *File, uint32, uint64, uint64) error {
	return errno.EISDIR
}

// DirentType returns the DT_* of a mode.
func DirentType(mode uint32) uint8 { return uint8(mode & typeMask >> 12) }
