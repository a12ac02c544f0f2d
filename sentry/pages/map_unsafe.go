package pages

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
)

// mapFile maps a part of a host file into the sentry. unix.Mmap is not used:
// it keeps every mapping in a map of its own.
func mapFile(fd int, off, n uint64, write bool) ([]byte, error) {
	prot := unix.PROT_READ
	if write {
		prot |= unix.PROT_WRITE
	}
	p, err := unix.MmapPtr(fd, int64(off), nil, uintptr(n), prot, unix.MAP_SHARED)
	if err != nil {
		return nil, errno.FromHost(err)
	}
	return unsafe.Slice((*byte)(p), n), nil
}

func unmap(b []byte) {
	if err := unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))); err != nil {
		panic("pages: munmap of a window: " + err.Error())
	}
}

// slice is n bytes at distance at from the start p of a window. (A pointer to
// an array will not do: slicing it makes the compiler touch its first byte, a
// page that may be free.)
func slice(p *byte, at, n uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(p), at)), n)
}

// mincore fills vec with a byte for each page of b.
func mincore(b, vec []byte) error {
	if _, _, e := unix.RawSyscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), uintptr(unsafe.Pointer(unsafe.SliceData(vec)))); e != 0 {
		return e
	}
	return nil
}
