package systrap

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spinWhile pauses at most n+1 times while *p == v and reports whether it
// changed.
//
//go:noescape
func spinWhile(p *uint32, v, n uint32) bool

// currentCPU returns the number of the core this runs on.
func currentCPU() uint32

func spin(p *atomic.Uint32, v, n uint32) bool {
	return spinWhile((*uint32)(unsafe.Pointer(p)), v, n)
}

// futexBlock sleeps while *p == v, and says whether the time in ts passed. It
// gives this thread's P to other goroutines at once, where an ordinary system
// call lets the scheduler find out in its own time (20 us to 10 ms).
//
//go:nosplit
func futexBlock(p *atomic.Uint32, v uint32, ts *unix.Timespec) bool {
	entersyscallblock()
	_, _, e := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), 0, uintptr(v), uintptr(unsafe.Pointer(ts)), 0, 0)
	exitsyscall()
	return e == unix.ETIMEDOUT
}

// futexNap is futexBlock for short waits: the P stays with this thread until
// the Go scheduler takes it away, and no other thread is woken to hold it.
func futexNap(p *atomic.Uint32, v uint32, ts *unix.Timespec) {
	unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), 0, uintptr(v), uintptr(unsafe.Pointer(ts)), 0, 0)
}

// pollBlock waits for events on f in the same way.
//
//go:nosplit
func pollBlock(f *unix.PollFd, ts *unix.Timespec) {
	entersyscallblock()
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(f)), 1, uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	exitsyscall()
}

//go:linkname entersyscallblock runtime.entersyscallblock
func entersyscallblock()

//go:linkname exitsyscall runtime.exitsyscall
func exitsyscall()

func futexWake(p *atomic.Uint32) {
	unix.RawSyscall(unix.SYS_FUTEX, uintptr(unsafe.Pointer(p)), 1, 1)
}

// mapShared maps length bytes of fd at offset for the sentry.
func mapShared(fd int, offset int64, length uintptr) (unsafe.Pointer, error) {
	return unix.MmapPtr(fd, offset, nil, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func unmapShared(p unsafe.Pointer, length uintptr) {
	_ = unix.MunmapPtr(p, length)
}

// mapArea maps the pages of thread i. mem is the whole area (its first page
// is *area), cmd its command slots.
func mapArea(fd, i int) (mem *[areaSize]byte, cmd *[slots]slot, err error) {
	a, err := mapShared(fd, cmdRegion+int64(i)*areaSize, areaSize)
	if err != nil {
		return nil, nil, err
	}
	c, err := mapShared(fd, int64(i)*cmdBytes, cmdBytes)
	if err != nil {
		unmapShared(a, areaSize)
		return nil, nil, err
	}
	return (*[areaSize]byte)(a), (*[slots]slot)(c), nil
}

func unmapArea(mem *[areaSize]byte, cmd *[slots]slot) {
	unmapShared(unsafe.Pointer(mem), areaSize)
	unmapShared(unsafe.Pointer(cmd), cmdBytes)
}

// trampPages are the trampolines of a space and, behind them, the table of
// their addresses that patched code jumps through.
type trampPages struct {
	code  [maxPatches][trampSize]byte
	table [maxPatches]atomic.Uint64
}

func mapTramp(fd int) (*trampPages, error) {
	p, err := mapShared(fd, cmdRegion+areaRegion, unsafe.Sizeof(trampPages{}))
	return (*trampPages)(p), err
}

func clearTramp(p *trampPages) {
	clear(p.code[:])
	for i := range p.table {
		p.table[i].Store(0)
	}
}

// clearPages clears shared memory, without allocating the pages it never had.
func clearPages(b []byte) error {
	vec := make([]byte, len(b)/pageSize)
	if _, _, e := unix.RawSyscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&vec[0]))); e != 0 {
		return e
	}
	for i, v := range vec {
		if v&1 != 0 {
			clear(b[i*pageSize : (i+1)*pageSize])
		}
	}
	return nil
}

func unmapTramp(p *trampPages) { unmapShared(unsafe.Pointer(p), unsafe.Sizeof(*p)) }

func areaOf(mem *[areaSize]byte) *area { return (*area)(unsafe.Pointer(mem)) }

// startStub forks and makes the child run the program in exe with ctl as its
// descriptor 0. It does not need /proc, which os/exec would.
//
//go:norace
func startStub(exe, ctl int, arg string) (int, error) {
	empty := [1]byte{}
	name := [5]byte{'s', 't', 'u', 'b', 0}
	arg0 := append([]byte(arg), 0)
	argv := [3]*byte{&name[0], &arg0[0], nil}
	envp := [1]*byte{nil}
	beforeFork()
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		afterFork()
		return 0, e
	}
	if pid != 0 {
		afterFork()
		return int(pid), nil
	}
	afterForkInChild()
	// dup2 to itself would keep close-on-exec; ctl is never 0 (newZygote).
	unix.RawSyscall(unix.SYS_DUP3, uintptr(ctl), 0, 0)
	unix.RawSyscall6(unix.SYS_EXECVEAT, uintptr(exe), uintptr(unsafe.Pointer(&empty[0])), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 127, 0, 0)
	}
}

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// outQueue returns how many bytes sent on the socket fd were not received yet
// (unix(7) SIOCOUTQ).
func outQueue(fd int) int32 {
	var n int32
	if _, _, e := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n))); e != 0 {
		return -1
	}
	return n
}

// rights is the control message of sendmsg(2) with up to maxFDs descriptors.
type rights struct {
	hdr unix.Cmsghdr
	fds [maxFDs]int32
}

// sendFDs sends a message of n bytes with the descriptors.
func sendFDs(fd int, n int, fds []int32) error {
	var r rights
	iov := unix.Iovec{Base: &filler[0], Len: uint64(n)}
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1}
	if len(fds) > 0 {
		r.hdr.Level = unix.SOL_SOCKET
		r.hdr.Type = unix.SCM_RIGHTS
		r.hdr.Len = uint64(16 + 4*copy(r.fds[:], fds))
		msg.Control = (*byte)(unsafe.Pointer(&r))
		msg.Controllen = r.hdr.Len
	}
	for {
		_, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
		if e == 0 {
			return nil
		}
		if e != unix.EINTR {
			return e
		}
	}
}

// filler is what messages whose only meaning is their length consist of.
var filler [maxThreads * slots]byte
