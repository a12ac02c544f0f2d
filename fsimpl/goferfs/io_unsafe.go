package goferfs

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hostIO is preadv2(2) or pwritev2(2) of up to 64 blocks.
func hostIO(nr uintptr, fd int, blocks [][]byte, off int64, flags int) (int64, error) {
	var iov [64]unix.Iovec
	n, want := 0, int64(0)
	for _, b := range blocks {
		if len(b) == 0 {
			continue
		}
		if n == len(iov) {
			break
		}
		iov[n].Base = &b[0]
		iov[n].SetLen(len(b))
		want += int64(len(b))
		n++
	}
	if n == 0 {
		return 0, nil
	}
	for {
		r, _, e := unix.Syscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&iov[0])), uintptr(n), uintptr(off), 0, uintptr(flags))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		return int64(r), nil
	}
}
