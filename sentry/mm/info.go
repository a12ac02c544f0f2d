package mm

import (
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/platform"
)

// Dumpable is the PR_SET_DUMPABLE attribute.
type Dumpable uint8

// Values of prctl(PR_GET_DUMPABLE).
const (
	NotDumpable  Dumpable = 0
	UserDumpable Dumpable = 1
	RootDumpable Dumpable = 2
)

// Info is what exec(2) records about a program, and prctl(PR_SET_MM) changes.
type Info struct {
	StartCode, EndCode, StartData, EndData uint64
	StartStack                             uint64
	ArgStart, ArgEnd, EnvStart, EnvEnd     uint64
}

type execInfo struct {
	Info
	exe      FileRef
	auxv     []byte
	vdso     uint64
	dumpable Dumpable
}

type stats struct {
	vsize  uint64 // bytes in areas
	locked uint64
	data   uint64 // private writable, without the stack
	hwmRSS uint64
	peakVM uint64
}

type lockDefaults struct {
	future  bool
	onFault bool
}

// Stats is an address space's size in bytes.
type Stats struct {
	VSize, PeakVSize     uint64
	RSS, PeakRSS         uint64
	RSSAnon, RSSFile     uint64
	RSSShmem             uint64
	Data, Stack, Exec    uint64
	Lib, Locked, Swapped uint64
	PageTables           uint64
}

// VMA describes one mapping for /proc/pid/maps and smaps.
type VMA struct {
	Start, End   uint64
	Prot         platform.Prot
	MaxProt      platform.Prot
	Shared       bool
	Offset       uint64
	ID           memmap.Identity // zero for anonymous memory
	Name         string          // "[heap]", "[stack]", "[vdso]"...; else ID.Path
	File         FileRef         // valid during the call
	Mappable     memmap.Mappable // nil for anonymous memory
	Locked       bool
	GrowsDown    bool
	DontFork     bool
	DontDump     bool
	WipeOnFork   bool
	NoReserve    bool
	Private      uint64 // bytes present in private copies
	SharedFile   uint64 // bytes present of the file
	SharedByFork uint64 // bytes present, private, but shared copy-on-write
}
