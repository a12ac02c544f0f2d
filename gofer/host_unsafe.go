package gofer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

var empty [1]byte

// fchmodat2 is fchmodat2(fd, "", mode, AT_EMPTY_PATH).
func fchmodat2(fd int, mode uint32) error {
	_, _, e := unix.Syscall6(unix.SYS_FCHMODAT2, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), uintptr(mode), unix.AT_EMPTY_PATH, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// utimensFD is utimensat(fd, "", ts, AT_EMPTY_PATH).
func utimensFD(fd int, ts []unix.Timespec) error {
	_, _, e := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(&ts[0])), unix.AT_EMPTY_PATH, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
