// Package loader makes a program ready to run, the part of execve(2) that
// fills an empty address space: it reads ELF files and "#!" scripts, maps
// segments, the vDSO and the stack, and builds the auxiliary vector.
//
// Files are hostile: every number in them is checked before use.
package loader

import (
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
)

// File is a program's file, opened for execution (an adapter of *vfs.File).
type File interface {
	mm.FileRef
	// ReadAt reads like pread(2); a short read is the end of the file.
	ReadAt(ctx kctx.Ctx, p []byte, off int64) (int, error)
	// Mappable is what mmap maps.
	Mappable(ctx kctx.Ctx) (memmap.Mappable, error)
}

// Opener opens interpreters: the path of a script's or of PT_INTERP, from the
// task's root, for execution (with permission checks; EACCES, ENOENT).
type Opener interface {
	OpenExec(ctx kctx.Ctx, path string) (File, error)
}

// Args say what to run.
type Args struct {
	File   File // the file execve(2) named; stays the caller's
	Path   string
	Argv   []string
	Envv   []string
	Opener Opener
	// StackLimit is RLIMIT_STACK.
	StackLimit uint64
	// NoRandom is personality ADDR_NO_RANDOMIZE.
	NoRandom bool
	// VDSO, if not nil, is mapped.
	VDSO *VDSO
}

// Program is a file found fit to run, before anything was changed.
type Program struct {
	// File is the binary that decides ids and capabilities: for a script, its
	// interpreter. It is referenced by the Program.
	File File
	// Path is that binary's path; ExecFn is what AT_EXECFN shows.
	Path, ExecFn string
	// Interpreted says that the file was a script.
	Interpreted bool
	Argv        []string
}

// IDs are the credentials the auxiliary vector shows, in the task's user
// namespace, and whether the program gained privilege (AT_SECURE).
type IDs struct {
	UID, EUID, GID, EGID uint32
	Secure               bool
}

// Image is the state a loaded program starts with.
type Image struct {
	Rip, Rsp uint64
}

// Open resolves scripts and checks headers. Nothing has changed if it fails:
// ENOEXEC, ELIBBAD, EACCES, ENOENT, ELOOP, E2BIG. The caller must Close it.
func Open(ctx kctx.Ctx, a Args) (*Program, error) { return nil, errno.ENOSYS }

// Load fills the empty space m. An error leaves m unusable (the caller kills
// the process, as Linux does beyond the point of no return).
func (p *Program) Load(ctx kctx.Ctx, m *mm.Space, ids IDs) (Image, error) {
	return Image{}, errno.ENOSYS
}

// Close drops the program's references.
func (p *Program) Close(ctx kctx.Ctx) {}

// VDSO is the vDSO's image and its parameter page, one per sandbox.
type VDSO struct{}
