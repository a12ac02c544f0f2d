package syscalls

import (
	"math"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/eventfd"
	"redoubt.dev/redoubt/fsimpl/mqueue"
	"redoubt.dev/redoubt/fsimpl/pidfd"
	"redoubt.dev/redoubt/fsimpl/procfs"
	"redoubt.dev/redoubt/fsimpl/signalfd"
	"redoubt.dev/redoubt/fsimpl/timerfd"
	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

var anonRows = []Row{
	{240, "mq_open", sysMqOpen, "string,oflags,mode,ptr", Full, ""},
	{241, "mq_unlink", sysMqUnlink, "string", Full, ""},
	{242, "mq_timedsend", sysMqTimedsend, "fd,buf,size,uint,timespec", Full, ""},
	{243, "mq_timedreceive", sysMqTimedreceive, "fd,ptr,size,ptr,timespec", Full, ""},
	{244, "mq_notify", sysMqNotify, "fd,ptr", Full, ""},
	{245, "mq_getsetattr", sysMqGetsetattr, "fd,ptr,ptr", Full, ""},
	{282, "signalfd", sysSignalfd, "fd,sigset,size", Full, ""},
	{283, "timerfd_create", sysTimerfdCreate, "clockid,hex", Full, ""},
	{284, "eventfd", sysEventfd, "uint", Full, ""},
	{286, "timerfd_settime", sysTimerfdSettime, "fd,hex,ptr,ptr", Full, ""},
	{287, "timerfd_gettime", sysTimerfdGettime, "fd,ptr", Full, ""},
	{289, "signalfd4", sysSignalfd4, "fd,sigset,size,hex", Full, ""},
	{290, "eventfd2", sysEventfd2, "uint,hex", Full, ""},
	{319, "memfd_create", sysMemfdCreate, "string,hex", Partial, "no huge pages"},
	{323, "userfaultfd", nil, "hex", None, "ENOSYS"},
	{424, "pidfd_send_signal", sysPidfdSendSignal, "fd,sig,ptr,hex", Full, ""},
	{434, "pidfd_open", sysPidfdOpen, "int,hex", Full, ""},
	{438, "pidfd_getfd", sysPidfdGetfd, "fd,int,hex", Full, ""},
	{447, "memfd_secret", nil, "hex", None, "ENOSYS, as without secretmem.enable"},
}

// eventfd(2).
func sysEventfd(t *kernel.Task, a arch.Args) (uint64, error) {
	return install(t, eventfd.New(t, t.Kernel().VFS(), uint64(a.Uint(0)), false, 0), false)
}

// eventfd2(2).
func sysEventfd2(t *kernel.Task, a arch.Args) (uint64, error) {
	fl := a.Uint(1)
	if fl&^(unix.EFD_SEMAPHORE|unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) != 0 {
		return 0, errno.EINVAL
	}
	f := eventfd.New(t, t.Kernel().VFS(), uint64(a.Uint(0)), fl&unix.EFD_SEMAPHORE != 0, fl&unix.EFD_NONBLOCK)
	return install(t, f, fl&unix.EFD_CLOEXEC != 0)
}

// timerfd_create(2).
func sysTimerfdCreate(t *kernel.Task, a arch.Args) (uint64, error) {
	clock, fl := a.Int(0), a.Uint(1)
	if fl&^(unix.TFD_CLOEXEC|unix.TFD_NONBLOCK) != 0 {
		return 0, errno.EINVAL
	}
	if (clock == unix.CLOCK_REALTIME_ALARM || clock == unix.CLOCK_BOOTTIME_ALARM) && !t.Creds().Capable(creds.CapWakeAlarm) {
		return 0, errno.EPERM
	}
	f, err := timerfd.New(t, t.Kernel().VFS(), clock, fl&unix.TFD_NONBLOCK)
	if err != nil {
		return 0, err
	}
	return install(t, f, fl&unix.TFD_CLOEXEC != 0)
}

// withOps runs fn on a descriptor whose FileOps are a T; wrong otherwise.
func withOps[T any](t *kernel.Task, fd int32, wrong error, fn func(f *vfs.File, o T) error) error {
	f, err := openFile(t, fd)
	if err != nil {
		return err
	}
	defer f.DecRef(t)
	o, ok := f.Ops().(T)
	if !ok {
		return wrong
	}
	return fn(f, o)
}

// timerfd_settime(2).
func sysTimerfdSettime(t *kernel.Task, a arch.Args) (uint64, error) {
	var it unix.ItimerSpec
	if err := usermem.Get(t.Mem(), a.Ptr(2), &it); err != nil {
		return 0, err
	}
	const known = 3 // TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET
	if a.Uint(1)&^known != 0 || !validTimespec(&it.Interval) || !validTimespec(&it.Value) {
		return 0, errno.EINVAL
	}
	return 0, withOps(t, a.Int(0), errno.EINVAL, func(_ *vfs.File, o *timerfd.File) error {
		old, err := o.Set(a.Uint(1), it)
		if err == nil && a.Ptr(3) != 0 {
			err = usermem.Put(t.Mem(), a.Ptr(3), &old)
		}
		return err
	})
}

// timerfd_gettime(2).
func sysTimerfdGettime(t *kernel.Task, a arch.Args) (uint64, error) {
	return 0, withOps(t, a.Int(0), errno.EINVAL, func(_ *vfs.File, o *timerfd.File) error {
		it := o.Get()
		return usermem.Put(t.Mem(), a.Ptr(1), &it)
	})
}

// signalfd(2).
func sysSignalfd(t *kernel.Task, a arch.Args) (uint64, error) {
	return doSignalfd(t, a.Int(0), a.Ptr(1), a.Size(2), 0)
}

// signalfd4(2).
func sysSignalfd4(t *kernel.Task, a arch.Args) (uint64, error) {
	return doSignalfd(t, a.Int(0), a.Ptr(1), a.Size(2), a.Uint(3))
}

func doSignalfd(t *kernel.Task, fd int32, addr, size uint64, fl uint32) (uint64, error) {
	if size != 8 {
		return 0, errno.EINVAL
	}
	var set uint64
	if err := usermem.Get(t.Mem(), addr, &set); err != nil {
		return 0, err
	}
	if fl&^(unix.SFD_CLOEXEC|unix.SFD_NONBLOCK) != 0 {
		return 0, errno.EINVAL
	}
	if fd == -1 {
		return install(t, signalfd.New(t, signal.Set(set), fl&unix.SFD_NONBLOCK), fl&unix.SFD_CLOEXEC != 0)
	}
	return uint64(fd), withOps(t, fd, errno.EINVAL, func(_ *vfs.File, o *signalfd.File) error {
		o.SetMask(signal.Set(set))
		return nil
	})
}

// memfder is tmpfs's part of memfd_create(2).
type memfder interface {
	NewMemfdFile(ctx kctx.Ctx, name string, exec, allowSealing bool) (*vfs.File, error)
}

// memfd_create(2).
func sysMemfdCreate(t *kernel.Task, a arch.Args) (uint64, error) {
	const (
		noExec   = 0x8
		exec     = 0x10
		hugeMask = 0x3f << 26
	)
	fl := a.Uint(1)
	if fl&^(unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_HUGETLB|noExec|exec|hugeMask) != 0 || fl&(noExec|exec) == noExec|exec ||
		fl&hugeMask != 0 && fl&unix.MFD_HUGETLB == 0 {
		return 0, errno.EINVAL
	}
	name, err := t.CopyInString(a.Ptr(0), 250)
	if err == errno.ENAMETOOLONG {
		return 0, errno.EINVAL
	}
	if err != nil {
		return 0, err
	}
	if fl&unix.MFD_HUGETLB != 0 {
		return 0, errno.ENOSYS
	}
	ty, err := t.Kernel().VFS().TypeNamed("tmpfs")
	if err != nil {
		return 0, err
	}
	m, ok := ty.(memfder)
	if !ok {
		return 0, errno.ENOSYS
	}
	f, err := m.NewMemfdFile(t, strings.Clone(name), fl&noExec == 0, fl&(unix.MFD_ALLOW_SEALING|noExec) != 0)
	if err != nil {
		return 0, err
	}
	return install(t, f, fl&unix.MFD_CLOEXEC != 0)
}

// pidfd_open(2).
func sysPidfdOpen(t *kernel.Task, a arch.Args) (uint64, error) {
	nr, fl := a.Int(0), a.Uint(1)
	if fl&^(pidfd.NonBlock|pidfd.Thread) != 0 || nr <= 0 {
		return 0, errno.EINVAL
	}
	p := t.PIDNamespace().LookupPID(nr)
	if p == nil || p.Task() == nil && p.ThreadGroup() == nil {
		return 0, errno.ESRCH
	}
	if p.ThreadGroup() == nil && fl&pidfd.Thread == 0 {
		return 0, errno.ENOENT // a thread, not a leader
	}
	return install(t, pidfd.New(t, t.Kernel().VFS(), p, fl), true)
}

// pidfd_getfd(2).
func sysPidfdGetfd(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(2) != 0 {
		return 0, errno.EINVAL
	}
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	p, _ := pidfd.Of(f)
	if p == nil {
		return 0, errno.EBADF
	}
	x := p.Task()
	if x == nil {
		return 0, errno.ESRCH
	}
	if err := t.MayTrace(x, true); err != nil {
		return 0, err
	}
	fds := x.FDs()
	if fds == nil {
		return 0, errno.ESRCH
	}
	got, err := fds.Get(a.Int(1))
	if err != nil {
		return 0, err
	}
	return install(t, got, true)
}

// Flags of pidfd_send_signal(2).
const (
	pidfdSignalThread = 1
	pidfdSignalTG     = 2
	pidfdSignalGroup  = 4
)

// pidfd_send_signal(2).
func sysPidfdSendSignal(t *kernel.Task, a arch.Args) (uint64, error) {
	sig, fl := a.Int(1), a.Uint(3)
	if fl&^(pidfdSignalThread|pidfdSignalTG|pidfdSignalGroup) != 0 || fl&(fl-1) != 0 {
		return 0, errno.EINVAL
	}
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	p, thread := pidfd.Of(f)
	if p == nil {
		if p = procfs.PIDOf(f); p == nil {
			return 0, errno.EBADF
		}
	}
	if p.In(t.PIDNamespace()) == 0 && p.Root() != 0 && !p.Namespace().InOrBelow(t.PIDNamespace()) {
		return 0, errno.EINVAL
	}
	x := p.Task()
	var info *signal.Info
	if a.Ptr(2) != 0 {
		info = new(signal.Info)
		if err := usermem.Get(t.Mem(), a.Ptr(2), info); err != nil {
			return 0, err
		}
		if info.Signo != sig {
			return 0, errno.EINVAL
		}
		if x != nil && (info.Code >= 0 || info.Code == signal.SITkill) && x.ThreadGroup() != t.ThreadGroup() {
			return 0, errno.EPERM
		}
	}
	if x == nil {
		return 0, errno.ESRCH
	}
	if sig != 0 && !signal.Valid(sig) {
		return 0, errno.EINVAL
	}
	switch {
	case fl == pidfdSignalGroup:
		if pg := x.ThreadGroup().ProcessGroup(); pg != nil {
			return 0, t.KillGroup(pg, sig)
		}
		return 0, errno.ESRCH
	case fl == pidfdSignalThread || fl == 0 && thread:
		return 0, t.KillThread(x, sig, info)
	}
	return 0, t.KillProcess(x.ThreadGroup(), sig, info)
}

func queues(t *kernel.Task) *mqueue.Queues { return mqueue.Of(t.Kernel(), t.IPC()) }

// mq_open(2).
func sysMqOpen(t *kernel.Task, a arch.Args) (uint64, error) {
	fl := a.Uint(1)
	var attr *mqueue.Attr
	if a.Ptr(3) != 0 {
		attr = new(mqueue.Attr)
		if err := usermem.Get(t.Mem(), a.Ptr(3), attr); err != nil {
			return 0, err
		}
	}
	name, err := t.CopyInPath(a.Ptr(0))
	if err != nil {
		return 0, err
	}
	f, err := queues(t).Open(t, name, fl, a.Mode(2)&^t.FS().Umask(), attr)
	if err != nil {
		return 0, err
	}
	return install(t, f, fl&unix.O_CLOEXEC != 0)
}

// mq_unlink(2).
func sysMqUnlink(t *kernel.Task, a arch.Args) (uint64, error) {
	name, err := t.CopyInPath(a.Ptr(0))
	if err != nil {
		return 0, err
	}
	return 0, queues(t).Unlink(t, name)
}

// mqDeadline reads an absolute time of CLOCK_REALTIME; zero means none.
func mqDeadline(t *kernel.Task, addr uint64) (time.Time, error) {
	if addr == 0 {
		return time.Time{}, nil
	}
	var ts unix.Timespec
	if err := usermem.Get(t.Mem(), addr, &ts); err != nil {
		return time.Time{}, err
	}
	if ts.Sec < 0 || ts.Nsec < 0 || ts.Nsec >= 1e9 {
		return time.Time{}, errno.EINVAL
	}
	if ts.Sec > math.MaxInt32*100 {
		return time.Time{}, nil
	}
	return time.Unix(ts.Sec, ts.Nsec), nil
}

// mqFile returns the queue of a descriptor opened for want.
func mqFile(t *kernel.Task, fd int32, want uint32) (*vfs.File, *mqueue.Queue, error) {
	f, err := openFile(t, fd)
	if err != nil {
		return nil, nil, err
	}
	q := mqueue.QueueOf(f)
	if acc := f.Flags() & unix.O_ACCMODE; q == nil || acc != want && acc != unix.O_RDWR {
		f.DecRef(t)
		return nil, nil, errno.EBADF
	}
	return f, q, nil
}

// mq_timedsend(2).
func sysMqTimedsend(t *kernel.Task, a arch.Args) (uint64, error) {
	deadline, err := mqDeadline(t, a.Ptr(4))
	if err != nil {
		return 0, err
	}
	if a[3] >= mqueue.PrioMax {
		return 0, errno.EINVAL
	}
	f, q, err := mqFile(t, a.Int(0), unix.O_WRONLY)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if a.Size(2) > uint64(q.MsgSize()) {
		return 0, errno.EMSGSIZE
	}
	data := make([]byte, a.Size(2))
	if err := t.CopyIn(a.Ptr(1), data); err != nil {
		return 0, err
	}
	return 0, q.Send(t, f, data, a.Uint(3), deadline)
}

// mq_timedreceive(2).
func sysMqTimedreceive(t *kernel.Task, a arch.Args) (uint64, error) {
	deadline, err := mqDeadline(t, a.Ptr(4))
	if err != nil {
		return 0, err
	}
	f, q, err := mqFile(t, a.Int(0), unix.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if a.Size(2) < uint64(q.MsgSize()) {
		return 0, errno.EMSGSIZE
	}
	data, prio, err := q.Receive(t, f, deadline)
	if err != nil {
		return 0, err
	}
	if a.Ptr(3) != 0 {
		if err := usermem.Put(t.Mem(), a.Ptr(3), &prio); err != nil {
			return 0, err
		}
	}
	if err := t.CopyOut(a.Ptr(1), data); err != nil {
		return 0, err
	}
	return uint64(len(data)), nil
}

// mqEvent is the front of struct sigevent.
type mqEvent struct {
	Value  uint64
	Signo  int32
	Notify int32
}

// mq_notify(2).
func sysMqNotify(t *kernel.Task, a arch.Args) (uint64, error) {
	const (
		sigevSignal = 0
		sigevNone   = 1
		sigevThread = 2
	)
	var ev mqEvent
	var tell func(removed bool)
	if a.Ptr(1) != 0 {
		if err := usermem.Get(t.Mem(), a.Ptr(1), &ev); err != nil {
			return 0, err
		}
		switch ev.Notify {
		case sigevSignal:
			if ev.Signo != 0 && !signal.Valid(ev.Signo) {
				return 0, errno.EINVAL
			}
		case sigevNone:
		case sigevThread:
			var err error
			if tell, err = mqCookie(t, &ev); err != nil {
				return 0, err
			}
		default:
			return 0, errno.EINVAL
		}
	}
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	q := mqueue.QueueOf(f)
	if q == nil {
		return 0, errno.EBADF
	}
	if a.Ptr(1) == 0 {
		q.Unnotify(t)
		return 0, nil
	}
	return 0, q.Notify(t, ev.Notify, ev.Signo, ev.Value, tell)
}

// mqCookie prepares SIGEV_THREAD: sigev_signo is a netlink socket of libc's,
// sigev_value the address of a cookie that is sent to it with the event in its
// last byte (linux: ipc/mqueue.c do_mq_notify).
func mqCookie(t *kernel.Task, ev *mqEvent) (func(removed bool), error) {
	const cookieLen, wokenUp, removedEvent = 32, 1, 2
	var cookie [cookieLen]byte
	if err := t.CopyIn(ev.Value, cookie[:]); err != nil {
		return nil, err
	}
	f, err := t.File(ev.Signo)
	if err != nil {
		return nil, err
	}
	defer f.DecRef(t)
	ops, err := socket.Of(f)
	if err != nil {
		return nil, err
	}
	s, ok := ops.(interface{ Deliver([]byte) })
	if !ok {
		return nil, errno.EINVAL
	}
	return func(removed bool) {
		b := append([]byte(nil), cookie[:]...)
		b[cookieLen-1] = wokenUp
		if removed {
			b[cookieLen-1] = removedEvent
		}
		s.Deliver(b)
	}, nil
}

// mq_getsetattr(2).
func sysMqGetsetattr(t *kernel.Task, a arch.Args) (uint64, error) {
	var n mqueue.Attr
	if a.Ptr(1) != 0 {
		if err := usermem.Get(t.Mem(), a.Ptr(1), &n); err != nil {
			return 0, err
		}
		if n.Flags&^unix.O_NONBLOCK != 0 {
			return 0, errno.EINVAL
		}
	}
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	q := mqueue.QueueOf(f)
	if q == nil {
		return 0, errno.EBADF
	}
	old := q.Attributes(f)
	if a.Ptr(1) != 0 {
		f.SetFlags(f.Flags()&^unix.O_NONBLOCK | uint32(n.Flags))
	}
	if a.Ptr(2) != 0 {
		return 0, usermem.Put(t.Mem(), a.Ptr(2), &old)
	}
	return 0, nil
}
