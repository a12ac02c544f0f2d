// Package platform is how user code runs: an address space on the host that
// mappings are put into, and threads of user code that run in it until they
// trap. One directory below it per way of doing that.
//
// It knows nothing of tasks, files or system-call semantics. Everything a
// Thread reports comes from memory user code can write, so Event and the
// registers are hostile input: they may be wrong, never out of range.
package platform

import "redoubt.dev/redoubt/sentry/arch"

// Platform makes address spaces. One per sandbox.
type Platform interface {
	// NewSpace returns an empty address space.
	NewSpace() (Space, error)
	// MaxAddr is the first address user code may not map; everything from 0
	// (subject to vm.mmap_min_addr) up to it is the guest's.
	MaxAddr() uint64
	// Close ends every stub process. No Space or Thread may be used after it.
	Close() error
}

// Prot is an access set for a mapping, with the bits of PROT_*.
type Prot uint8

// Access bits, as PROT_READ, PROT_WRITE and PROT_EXEC.
const (
	Read  Prot = 1
	Write Prot = 2
	Exec  Prot = 4
)

// File is a host file that can be mapped. RO is a descriptor opened read-only
// and is used for every mapping without Write, so that user code can never
// widen it with mprotect; RW is used for writable mappings and is -1 if there
// are none. Both stay owned by the caller, who keeps them open until the
// mappings that name them were flushed.
type File struct {
	RO, RW int
}

// Space is one guest address space.
//
// Map, Unmap and Protect only queue: they take effect, in order, when Flush
// returns or when any thread of the space is next entered with Switch,
// whichever is first. The caller serialises them (mm's own lock).
type Space interface {
	// Map replaces [addr, addr+length) with a shared mapping of f at offset.
	// With populate the pages that exist are mapped at once.
	Map(addr, length uint64, f File, offset uint64, prot Prot, populate bool)
	// Unmap removes every mapping in [addr, addr+length).
	Unmap(addr, length uint64)
	// Protect takes access away from an existing mapping, or gives back what
	// it was made with. It is a service to the guest, not a barrier: hostile
	// user code can undo everything but the loss of Write. What must not be
	// written (copy-on-write) is protected or, better, mapped again without
	// Write. Giving Write back may be done by dropping the mapping.
	//
	// A Space may drop a mapping at any time: a fault at an address mm holds
	// as mapped is answered with Map again.
	Protect(addr, length uint64, prot Prot)
	// Flush applies what is queued now. t is a thread of this space that is
	// outside Switch and belongs to the caller, or nil if there is none.
	Flush(t Thread) error
	// NewThread returns a thread that runs in this space.
	NewThread() (Thread, error)
	// Release ends the stub process and its threads. Threads inside Switch
	// return an EventDied.
	Release()
}

// Thread is one thread of user code. Switch and the state methods are called
// by one goroutine at a time (its task's); Interrupt by any.
type Thread interface {
	// Switch flushes the space's queue, loads regs, runs user code until it
	// traps, and stores the registers back.
	Switch(regs *arch.Regs) Event
	// Interrupt makes the current or else the next Switch return
	// EventInterrupted soon (or another event that came first).
	Interrupt()
	// FPState returns a copy of the thread's floating-point state in the
	// XSAVE standard format, valid outside Switch.
	FPState() []byte
	// SetFPState replaces it; data is validated against the host's features
	// (hostile bits are cleared or refused with an error). nil means the
	// initial state of execve(2).
	SetFPState(data []byte) error
	// Release gives the thread back. It must be outside Switch.
	Release()
}

// EventKind says why user code stopped.
type EventKind uint8

// Reasons for Switch to return.
const (
	// EventSyscall: regs.OrigRax has the number and regs.Rip is behind the
	// instruction, as Linux has it at syscall entry.
	EventSyscall EventKind = iota
	// EventFault: a memory access that no host mapping allowed (host SIGSEGV
	// or SIGBUS with an address). Addr and Access are set.
	EventFault
	// EventSignal: another synchronous host signal (SIGILL, SIGFPE, SIGTRAP,
	// SIGSEGV of a general-protection fault, SIGBUS of an alignment check).
	EventSignal
	// EventInterrupted: Interrupt was called.
	EventInterrupted
	// EventDied: the stub process is gone or lied beyond use; the task's
	// process must be killed with SIGKILL.
	EventDied
)

// Event is the result of one Switch.
type Event struct {
	Kind   EventKind
	Access Prot   // of a fault: exactly one of Read, Write, Exec
	Signo  int32  // host signal of EventFault and EventSignal
	Code   int32  // its si_code
	TrapNo uint64 // hardware trap number, for the signal frame
	ErrNo  uint64 // hardware error code, for the signal frame
	Addr   uint64 // fault address, or instruction for EventSignal
}

// VDSOKeeper is implemented by a Platform in whose stub processes the host's vDSO is
// mapped, at an address above MaxAddr that user code may call.
type VDSOKeeper interface {
	// HostVDSO returns the address of the image, 0 if it is not there.
	HostVDSO() uint64
}

// Parker is implemented by Threads whose stub spins for a while outside Switch.
type Parker interface {
	// Park says that the task is about to block: the next Switch is not soon.
	// It is called by the goroutine that calls Switch, and is cheap.
	Park()
}

// Patcher is implemented by Spaces that can replace system-call instructions
// of user code by jumps that need no host trap. It is optional: without SetText
// nothing is patched.
type Patcher interface {
	// SetText gives the space access to its text; nil ends patching.
	SetText(Text)
	// Patches lists what is patched now. Whoever copies the memory of a space
	// (fork, checkpoint) gives the list to the copy with SetPatches, before
	// user code runs there.
	Patches() []Patch
	SetPatches([]Patch) error
	// PatchRange is the user address range that patched code reads. Nothing
	// of the guest's may be mapped there; it is not listed among its mappings.
	PatchRange() (start, end uint64)
}

// Patch is one replaced instruction sequence. Its meaning is the platform's.
type Patch struct {
	Index uint32
	Kind  uint32
	Addr  uint64
	Value uint32
}

// Text is how a Space reads and replaces instructions; mm implements it. It is
// called from Switch, with no lock held.
type Text interface {
	// ReadText copies bytes at addr that are mapped executable, returns how many.
	ReadText(addr uint64, b []byte) int
	// PatchText replaces old by new at addr if these bytes are still there, in
	// a page that is private to this address space, and has the new page
	// mapped (Map, not yet flushed). Only private mappings that are executable
	// and not writable are patched; all else returns false.
	PatchText(addr uint64, old, new []byte) bool
}
