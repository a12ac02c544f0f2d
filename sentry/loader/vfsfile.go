package loader

import (
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// FromVFS returns f as a program's file. The reference stays the caller's,
// or Ref's.
func FromVFS(f *vfs.File) File { return vfsFile{f} }

type vfsFile struct{ f *vfs.File }

// ReadAt implements File. It goes around the file's open mode: a program need
// not be readable to be run.
func (v vfsFile) ReadAt(ctx kctx.Ctx, p []byte, off int64) (int, error) {
	n, err := v.f.Ops().Read(ctx, v.f, usermem.Bytes(p), &off)
	return int(n), err
}

func (v vfsFile) Mappable(ctx kctx.Ctx) (memmap.Mappable, error) { return v.f.Mmap(ctx) }

func (v vfsFile) Ref() mm.FileRef { return v.f }

// VFS returns the file behind f, for those who made it with FromVFS.
func VFS(f File) *vfs.File {
	if v, ok := f.(vfsFile); ok {
		return v.f
	}
	return nil
}
