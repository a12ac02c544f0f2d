package wire

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const oobSpace = 16 + 4*MaxFDs

// sendPacket sends one packet with descriptors.
func sendPacket(fd int, p []byte, fds []int, flags int) error {
	iov := unix.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1}
	var oob [oobSpace]byte
	if len(fds) > 0 {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		h.Level, h.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
		h.SetLen(16 + 4*len(fds))
		for i, f := range fds {
			*(*int32)(unsafe.Pointer(&oob[16+4*i])) = int32(f)
		}
		msg.Control = &oob[0]
		msg.SetControllen((16 + 4*len(fds) + 7) &^ 7)
	}
	for {
		_, _, e := syscall.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags|unix.MSG_NOSIGNAL))
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		return nil
	}
}

// recvPacket receives one packet; descriptors go to fds and their number is
// returned. Descriptors beyond fds' room are closed.
//
// With hold the Go scheduler is not told of the system call, and so keeps its
// hands off the thread. The socket must have a timeout then.
func recvPacket(fd int, p []byte, fds *[MaxFDs]int, flags int, hold bool) (n, nfds int, err error) {
	iov := unix.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	var oob [oobSpace]byte
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &oob[0]}
	msg.SetControllen(len(oob))
	var r uintptr
	var e syscall.Errno
	if hold {
		r, _, e = syscall.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags|unix.MSG_CMSG_CLOEXEC))
	} else {
		r, _, e = syscall.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), uintptr(flags|unix.MSG_CMSG_CLOEXEC))
	}
	if e != 0 {
		return 0, 0, e
	}
	// Only the kernel writes control messages, and SCM_RIGHTS is the only
	// kind that can come without asking.
	left := oob[:min(int(msg.Controllen), len(oob))]
	for len(left) >= 16 {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&left[0]))
		l := int(h.Len)
		if l < 16 || l > len(left) {
			break
		}
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_RIGHTS {
			for o := 16; o+4 <= l; o += 4 {
				f := int(*(*int32)(unsafe.Pointer(&left[o])))
				if nfds < MaxFDs {
					fds[nfds] = f
					nfds++
				} else {
					unix.Close(f)
				}
			}
		}
		left = left[min((l+7)&^7, len(left)):]
	}
	if msg.Flags&unix.MSG_TRUNC != 0 {
		for _, f := range fds[:nfds] {
			unix.Close(f)
		}
		return 0, 0, unix.EMSGSIZE
	}
	return int(r), nfds, nil
}
