// Package mm has address spaces: which user addresses mean what (VMAs, as
// mmap(2) made them) and which pages of which backing files are behind them
// now (pieces), and how faults, forks and the sentry's own copies change that.
//
// The main types are Space, one address space shared by the threads of a
// process, and inside it area (a VMA) and piece (present memory). The package
// meets files only as memmap.Mappable; it does not know vfs or tasks.
//
// Life of a piece: mmap of private anonymous memory makes one for the whole
// area at once, over a fresh sparse range of pages.Memory, and maps all of it,
// so that touching it never reaches the sentry. A piece of a file is made on
// the first fault. fork(2) shares pieces copy-on-write; a write fault copies a
// run of pages around it, or, if the other side is gone, only gives the right
// to write back.
//
// Locks: Space.mu (lock.SpaceMu) guards everything; user copies take it for
// reading. Under it Mappable and pages locks are taken. References to files
// are dropped after it was released (garbage).
package mm

import (
	"sync"
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/lock"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
)

const (
	pageSize = arch.PageSize
	pageMask = arch.PageMask
)

// FileRef is an open file that a mapping keeps alive (*vfs.File).
type FileRef interface {
	IncRef()
	DecRef(ctx kctx.Ctx)
}

// ThreadSource is a Ctx that can say which stub thread of its own space it
// holds outside Switch: operations that must take effect at once use it. It
// returns nil if there is none.
type ThreadSource interface {
	// PlatformThread returns nil unless the caller runs in s.
	PlatformThread(s *Space) platform.Thread
}

// FaultError is an access that ends in a signal.
type FaultError struct{ Signo, Code int32 }

func (e *FaultError) Error() string { return "fault" }

// Space is one address space. It implements usermem.IO.
type Space struct {
	// Aux holds what others keep per address space (aio contexts).
	Aux sync.Map

	// Immutable.
	id  uint64
	p   platform.Platform
	ps  platform.Space
	mem *pages.Memory
	max uint64 // first address user code may not use
	min uint64 // and the first it may use without privilege

	// users counts tasks and other openers.
	users atomic.Int32
	// pins counts callers that hold host memory of pieces without the lock.
	pins    atomic.Int32
	peakRSS atomic.Uint64

	mu     lock.RWMutex[lock.SpaceMu]
	areas  areaSet
	pieces pieceSet
	// mustFlush says that a queued platform operation takes something away.
	mustFlush bool
	// unref has ranges to drop once what maps them is gone.
	unref []fileRange
	// trash has mappings to tell their files about after unlocking.
	trash []*area

	// text lists the instructions the platform replaced, by address.
	text []textPatch
	// born says that the program is loaded: what is mapped now, it maps itself.
	born bool
	// changes counts what faults did, to notice that one did nothing.
	changes   uint64
	lastFault faultCount
	lastCOW   memmap.Range // a power of two bytes
	hot       *hotRuns
	lazy      []lazyArea

	layout layout
	brk    memmap.Range
	// spare is memory to use again, see spare.go.
	spare    []memmap.Range
	spareLen uint64
	heapRes  memmap.Range // memory kept for the heap to grow into
	stackRes memmap.Range
	def      lockDefaults
	stats    stats
	exec     execInfo
}

type fileRange struct {
	f memmap.File
	r memmap.Range
}
