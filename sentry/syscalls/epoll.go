package syscalls

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var epollRows = []Row{
	{213, "epoll_create", sysEpollCreate, "int", Full, ""},
	{232, "epoll_wait", sysEpollWait, "fd,ptr,int,int", Full, ""},
	{233, "epoll_ctl", sysEpollCtl, "fd,int,fd,ptr", Full, ""},
	{281, "epoll_pwait", sysEpollPwait, "fd,ptr,int,int,ptr,size", Full, ""},
	{291, "epoll_create1", sysEpollCreate1, "oflags", Full, ""},
	{441, "epoll_pwait2", sysEpollPwait2, "fd,ptr,int,timespec,ptr,size", Full, ""},
}

// epoll_create(2).
func sysEpollCreate(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(0) <= 0 {
		return 0, errno.EINVAL
	}
	return sysEpollCreate1(t, arch.Args{})
}

// epoll_create1(2).
func sysEpollCreate1(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(0)&^unix.EPOLL_CLOEXEC != 0 {
		return 0, errno.EINVAL
	}
	return install(t, vfs.NewEpoll(t, vfsOf(t)), a.Uint(0) != 0)
}

// install gives a new file a descriptor.
func install(t *kernel.Task, f *vfs.File, cloexec bool) (uint64, error) {
	fd, err := t.InstallFile(f, cloexec)
	if err != nil {
		f.DecRef(t)
		return 0, err
	}
	return uint64(fd), nil
}

// epollEventSize is the size of the packed struct epoll_event.
const epollEventSize = 12

// epoll_ctl(2).
func sysEpollCtl(t *kernel.Task, a arch.Args) (uint64, error) {
	op := a.Int(1)
	var ev vfs.EpollEvent
	if op != unix.EPOLL_CTL_DEL {
		var b [epollEventSize]byte
		if err := t.CopyIn(a.Ptr(3), b[:]); err != nil {
			return 0, err
		}
		ev = vfs.EpollEvent{Events: binary.LittleEndian.Uint32(b[:]), Data: binary.LittleEndian.Uint64(b[4:])}
	}
	self, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer self.DecRef(t)
	f, err := openFile(t, a.Int(2))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if f.WaitQueue() == nil {
		return 0, errno.EPERM
	}
	ep, ok := self.Ops().(*vfs.Epoll)
	if !ok || f == self {
		return 0, errno.EINVAL
	}

	const exclusiveOK = uint32(unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLERR | unix.EPOLLHUP | vfs.EpollWakeup | vfs.EpollET | vfs.EpollExclusive)
	if ev.Events&vfs.EpollExclusive != 0 && ev.Events&^exclusiveOK != 0 {
		return 0, errno.EINVAL
	}
	switch op {
	case unix.EPOLL_CTL_ADD:
		return 0, ep.Add(self, f, a.Int(2), ev)
	case unix.EPOLL_CTL_MOD:
		return 0, ep.Modify(f, a.Int(2), ev)
	case unix.EPOLL_CTL_DEL:
		return 0, ep.Delete(f, a.Int(2))
	}
	return 0, errno.EINVAL
}

func epollWait(t *kernel.Task, fd int32, addr uint64, max int32, deadline time.Time, poll bool) (uint64, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if max <= 0 || max > (1<<31-1)/epollEventSize {
		return 0, errno.EINVAL
	}
	if !accessible(addr, uint64(max)*epollEventSize) {
		return 0, errno.EFAULT
	}
	ep, ok := f.Ops().(*vfs.Epoll)
	if !ok {
		return 0, errno.EINVAL
	}
	var few [16]vfs.EpollEvent
	out := few[:]
	if int(max) <= len(few) {
		out = few[:max]
	} else if int(max) > len(few) {
		n := int(max)
		if n > 1024 {
			n = min(n, ep.Len()+1024) // what the set holds, and some that others may add
		}
		out = make([]vfs.EpollEvent, n)
	}
	n, err := ep.Wait(t, out, deadline, poll)
	if err != nil || n == 0 {
		if err == errno.ERESTARTSYS {
			err = errno.EINTR
		}
		return 0, err
	}
	var fb [len(few) * epollEventSize]byte
	b := fb[:]
	if n > len(few) {
		b = make([]byte, n*epollEventSize)
	}
	b = b[:n*epollEventSize]
	for i, e := range out[:n] {
		binary.LittleEndian.PutUint32(b[i*epollEventSize:], e.Events)
		binary.LittleEndian.PutUint64(b[i*epollEventSize+4:], e.Data)
	}
	return uint64(n), t.CopyOut(addr, b)
}

func millis(ms int32) (deadline time.Time, poll bool) {
	if ms > 0 {
		deadline = time.Now().Add(time.Duration(ms) * time.Millisecond)
	}
	return deadline, ms == 0
}

// epoll_wait(2).
func sysEpollWait(t *kernel.Task, a arch.Args) (uint64, error) {
	d, poll := millis(a.Int(3))
	return epollWait(t, a.Int(0), a.Ptr(1), a.Int(2), d, poll)
}

// epoll_pwait(2).
func sysEpollPwait(t *kernel.Task, a arch.Args) (uint64, error) {
	d, poll := millis(a.Int(3))
	return epollMasked(t, &a, d, poll)
}

func epollMasked(t *kernel.Task, a *arch.Args, d time.Time, poll bool) (uint64, error) {
	if err := withMask(t, a.Ptr(4), a.Size(5)); err != nil {
		return 0, err
	}
	n, err := epollWait(t, a.Int(0), a.Ptr(1), a.Int(2), d, poll)
	if err != errno.EINTR && a.Ptr(4) != 0 {
		t.RestoreMask()
	}
	return n, err
}

// epoll_pwait2(2).
func sysEpollPwait2(t *kernel.Task, a arch.Args) (uint64, error) {
	d, poll, err := timeout(t, a.Ptr(3))
	if err != nil {
		return 0, err
	}
	return epollMasked(t, &a, d, poll)
}
