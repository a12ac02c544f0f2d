// Package pages has the backing files of user memory: Memory, one sparse
// memfd per sandbox for everything anonymous (private memory, tmpfs contents),
// and HostFile, a host file that the gofer donated.
//
// Both implement memmap.File. Users count references on ranges; a range
// nobody refers to is freed: its pages go back to the host. Offsets of Memory
// are never used twice. That is a matter of safety, not of taste: a stub
// process that lies may keep a mapping the sentry believes gone, and must find
// nothing but its own old pages (now a hole) behind it.
//
// The sentry sees a file through windows, large mappings made on first use.
// The package knows neither address spaces nor tasks. Its locks are leaves.
package pages

import (
	"redoubt.dev/redoubt/sentry/arch"
)

const (
	pageSize = arch.PageSize
	pageMask = arch.PageMask
)

func roundUp(n uint64) uint64 { return (n + pageMask) &^ pageMask }
