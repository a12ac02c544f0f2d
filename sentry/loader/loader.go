// Package loader makes a program ready to run, the part of execve(2) that
// fills an empty address space: it reads ELF files and "#!" scripts, maps
// segments, the vDSO and the stack, and builds the auxiliary vector.
//
// Open looks for reasons to refuse while the old program can still be told;
// Program.Load then fills the new space. Files are hostile: every number in
// them is checked before use.
package loader

import (
	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
)

const (
	pageSize = arch.PageSize
	pageMask = arch.PageMask

	// maxString is MAX_ARG_STRLEN, maxScripts the interpreters in a row.
	maxString  = 32 * pageSize
	maxScripts = 5
	// headSize is BINPRM_BUF_SIZE: what decides on the format.
	headSize = 256
	pathMax  = 4096
)

// File is a program's file, opened for execution (see FromVFS).
type File interface {
	// ReadAt reads like pread(2); a short read is the end of the file.
	ReadAt(ctx kctx.Ctx, p []byte, off int64) (int, error)
	// Mappable is what mmap maps.
	Mappable(ctx kctx.Ctx) (memmap.Mappable, error)
	// Ref is the open file that mappings keep alive.
	Ref() mm.FileRef
}

// Opener opens interpreters: of a script, or PT_INTERP's, from the task's
// root, for execution (with permission checks; EACCES, ENOENT). The File
// comes with a reference.
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

	args   Args
	exe    *elfFile
	interp *elfFile
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
func Open(ctx kctx.Ctx, a Args) (*Program, error) {
	if len(a.Argv) == 0 {
		a.Argv = []string{""} // linux: do_execveat_common
	}
	p := &Program{File: a.File, Path: a.Path, ExecFn: a.Path, Argv: a.Argv, args: a}
	p.File.Ref().IncRef()
	if err := p.open(ctx); err != nil {
		p.Close(ctx)
		return nil, err
	}
	return p, nil
}

func (p *Program) open(ctx kctx.Ctx) error {
	if err := checkStrings(p.Argv, p.args.Envv, p.ExecFn, p.args.StackLimit); err != nil {
		return err
	}
	for depth := 0; ; depth++ {
		if depth > maxScripts {
			return errno.ELOOP
		}
		var head [headSize]byte
		n, err := p.File.ReadAt(ctx, head[:], 0)
		if err != nil {
			return err
		}
		s, err := parseScript(head[:], n)
		if err == errNotScript {
			break
		}
		if err != nil {
			return err
		}
		p.Argv = s.argv(p.Path, p.Argv)
		if err := checkStrings(p.Argv, p.args.Envv, p.ExecFn, p.args.StackLimit); err != nil {
			return err
		}
		f, err := p.args.Opener.OpenExec(ctx, s.interp)
		if err != nil {
			return err
		}
		p.File.Ref().DecRef(ctx)
		p.File, p.Path, p.Interpreted = f, s.interp, true
	}
	exe, err := readELF(ctx, p.File)
	if err != nil {
		return err
	}
	p.exe = exe
	if exe.interp == "" {
		return nil
	}
	f, err := p.args.Opener.OpenExec(ctx, exe.interp)
	if err != nil {
		return err
	}
	interp, err := readELF(ctx, f)
	if err != nil {
		f.Ref().DecRef(ctx)
		if err == errno.ENOEXEC {
			err = errno.ELIBBAD
		}
		return err
	}
	p.interp = interp
	return nil
}

// Close drops the program's references.
func (p *Program) Close(ctx kctx.Ctx) {
	if p.interp != nil {
		p.interp.file.Ref().DecRef(ctx)
		p.interp = nil
	}
	if p.File != nil {
		p.File.Ref().DecRef(ctx)
		p.File = nil
	}
}

// checkStrings applies the limits of execve(2) on arguments and environment.
func checkStrings(argv, envv []string, execFn string, stackLimit uint64) error {
	const most = 6 << 20 // three quarters of the default stack
	limit := max(min(stackLimit/4, most), 128<<10)
	total := uint64(len(execFn)+1) + uint64(len(argv)+len(envv))*8
	for _, l := range [2][]string{argv, envv} {
		for _, s := range l {
			if len(s)+1 > maxString {
				return errno.E2BIG
			}
			total += uint64(len(s) + 1)
		}
	}
	if total > limit {
		return errno.E2BIG
	}
	return nil
}
