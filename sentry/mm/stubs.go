package mm

import (
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/futex"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
)

var _ usermem.IO = (*Space)(nil)

// MMapOpts are the arguments of MMap.
type MMapOpts struct {
	Addr, Length uint64
	Prot         platform.Prot
	// MaxProt bounds what mprotect may later allow; 0 means everything.
	MaxProt platform.Prot
	// Flags are MAP_* of mmap(2).
	Flags uint32
	// Mappable is nil for anonymous memory. File, if not nil, is kept alive
	// by the mapping (MMap takes a reference of its own).
	Mappable memmap.Mappable
	File     FileRef
	Offset   uint64
	// Name is shown by /proc/pid/maps if there is no Mappable with a path.
	Name string
}

// New returns an empty address space with one user.
func New(p platform.Platform, mem *pages.Memory) (*Space, error) { return nil, errno.ENOSYS }

// MMap is mmap(2).
func (s *Space) MMap(ctx kctx.Ctx, o MMapOpts) (uint64, error) { return 0, errno.ENOSYS }

// Munmap is munmap(2).
func (s *Space) Munmap(ctx kctx.Ctx, addr, length uint64) error { return errno.ENOSYS }

// Mprotect is mprotect(2); flags has PROT_GROWSDOWN and PROT_GROWSUP.
func (s *Space) Mprotect(ctx kctx.Ctx, addr, length uint64, prot platform.Prot, flags uint32) error {
	return errno.ENOSYS
}

// Mremap is mremap(2).
func (s *Space) Mremap(ctx kctx.Ctx, oldAddr, oldLen, newLen uint64, flags uint32, newAddr uint64) (uint64, error) {
	return 0, errno.ENOSYS
}

// Madvise is madvise(2).
func (s *Space) Madvise(ctx kctx.Ctx, addr, length uint64, advice int32) error { return errno.ENOSYS }

// Mincore is mincore(2): one byte for each page.
func (s *Space) Mincore(ctx kctx.Ctx, addr, length uint64) ([]byte, error) { return nil, errno.ENOSYS }

// Msync is msync(2); sync is called for each shared file mapping.
func (s *Space) Msync(ctx kctx.Ctx, addr, length uint64, flags uint32, sync func(FileRef) error) error {
	return errno.ENOSYS
}

// Mlock is mlock2(2).
func (s *Space) Mlock(ctx kctx.Ctx, addr, length uint64, flags uint32) error { return errno.ENOSYS }

// Munlock is munlock(2).
func (s *Space) Munlock(ctx kctx.Ctx, addr, length uint64) error { return errno.ENOSYS }

// MlockAll is mlockall(2).
func (s *Space) MlockAll(ctx kctx.Ctx, flags uint32) error { return errno.ENOSYS }

// MunlockAll is munlockall(2).
func (s *Space) MunlockAll(ctx kctx.Ctx) error { return errno.ENOSYS }

// Brk is brk(2): it returns the break afterwards.
func (s *Space) Brk(ctx kctx.Ctx, addr uint64) uint64 { return 0 }

// SetBrk places an empty heap at start (exec).
func (s *Space) SetBrk(start uint64) {}

// HandleFault makes the access possible (nil: try again) or returns a
// *FaultError with the signal to send.
func (s *Space) HandleFault(ctx kctx.Ctx, addr uint64, access platform.Prot) error {
	return errno.ENOSYS
}

// Fork returns a copy-on-write copy with one user.
func (s *Space) Fork(ctx kctx.Ctx) (*Space, error) { return nil, errno.ENOSYS }

// IncUsers adds a user: a task, or an opener of /proc/pid/mem. It returns false if
// the space is already gone.
func (s *Space) IncUsers() bool { return false }

// DecUsers drops one; the last one releases everything.
func (s *Space) DecUsers(ctx kctx.Ctx) {}

// NewThread returns a stub thread that runs in the space.
func (s *Space) NewThread() (platform.Thread, error) { return nil, errno.ENOSYS }

// Platform returns the platform's side of the space.
func (s *Space) Platform() platform.Space { return s.ps }

// FlushNow makes queued mapping changes take effect; th is a thread of this
// space outside Switch that belongs to the caller, or nil.
func (s *Space) FlushNow(th platform.Thread) error { return errno.ENOSYS }

// ID is a number that no other space ever has.
func (s *Space) ID() uint64 { return s.id }

// FutexKey names the word at addr for futexes.
func (s *Space) FutexKey(ctx kctx.Ctx, addr uint64, shared bool) (futex.Key, error) {
	return futex.Key{}, errno.ENOSYS
}

// ForEachVMA calls fn for each mapping in order of address until it returns
// false. detail asks for what is present (smaps).
func (s *Space) ForEachVMA(ctx kctx.Ctx, detail bool, fn func(VMA) bool) {}

// Stats returns sizes for /proc/pid/statm and status.
func (s *Space) Stats() Stats { return Stats{} }

// SetExe records the program's file; it takes a reference of its own.
func (s *Space) SetExe(ctx kctx.Ctx, f FileRef) {}

// Exe returns the program's file with a reference, or nil.
func (s *Space) Exe() FileRef { return nil }

// Info returns what exec recorded.
func (s *Space) Info() Info { return Info{} }

// SetInfo replaces it.
func (s *Space) SetInfo(i Info) {}

// Auxv returns the auxiliary vector as exec put it on the stack.
func (s *Space) Auxv() []byte { return nil }

// SetAuxv records the auxiliary vector.
func (s *Space) SetAuxv(b []byte) {}

// VDSO is the address of the vDSO, 0 if there is none.
func (s *Space) VDSO() uint64 { return 0 }

// Dumpable and SetDumpable are prctl's PR_GET_DUMPABLE and PR_SET_DUMPABLE.
func (s *Space) Dumpable() Dumpable { return UserDumpable }

// SetDumpable sets the attribute.
func (s *Space) SetDumpable(d Dumpable) {}

// CopyIn implements usermem.IO.
func (s *Space) CopyIn(addr uint64, dst []byte) (int, error) { return 0, errno.EFAULT }

// CopyOut implements usermem.IO.
func (s *Space) CopyOut(addr uint64, src []byte) (int, error) { return 0, errno.EFAULT }

// ZeroOut implements usermem.IO.
func (s *Space) ZeroOut(addr, n uint64) (uint64, error) { return 0, errno.EFAULT }

// WithBlocks implements usermem.IO.
func (s *Space) WithBlocks(addr, n uint64, write bool, fn func(blocks [][]byte) (int64, error)) (int64, error) {
	return 0, errno.EFAULT
}

// LoadUint32 implements usermem.IO.
func (s *Space) LoadUint32(addr uint64) (uint32, error) { return 0, errno.EFAULT }

// SwapUint32 implements usermem.IO.
func (s *Space) SwapUint32(addr uint64, v uint32) (uint32, error) { return 0, errno.EFAULT }

// CompareAndSwapUint32 implements usermem.IO.
func (s *Space) CompareAndSwapUint32(addr uint64, old, new uint32) (uint32, error) {
	return 0, errno.EFAULT
}

// Forced returns the space as a debugger sees it (ptrace, /proc/pid/mem):
// protections do not stop it, writes to private read-only memory copy it.
func (s *Space) Forced(ctx kctx.Ctx) usermem.IO { return s }

type (
	layout   struct{}
	areaSet  struct{}
	pieceSet struct{}
	area     struct{}
)
