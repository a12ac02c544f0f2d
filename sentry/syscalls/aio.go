package syscalls

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

var aioRows = []Row{
	{206, "io_setup", sysIoSetup, "int,ptr", Full, ""},
	{207, "io_destroy", sysIoDestroy, "hex", Full, ""},
	{208, "io_getevents", sysIoGetevents, "hex,int,int,ptr,timespec", Full, ""},
	{209, "io_submit", sysIoSubmit, "hex,int,ptr", Partial, "operations complete before io_submit returns; no IOCB_CMD_POLL"},
	{210, "io_cancel", sysIoCancel, "hex,ptr,ptr", Full, ""},
	{333, "io_pgetevents", sysIoPgetevents, "hex,int,int,ptr,timespec,ptr", Full, ""},
}

// aioContext is an io_setup(2) context. Its id is the address of a page that
// the C library takes for a completion ring; ours never looks like one, so it
// asks the kernel.
type aioContext struct {
	mu     sync.Mutex
	max    int
	events []ioEvent
	queue  wait.Queue
	gone   bool
}

// ioEvent is struct io_event.
type ioEvent struct {
	Data, Obj uint64
	Res, Res2 int64
}

// iocb is struct iocb.
type iocb struct {
	Data      uint64
	Key       uint32
	RWFlags   uint32
	Opcode    uint16
	ReqPrio   int16
	FD        uint32
	Buf       uint64
	NBytes    uint64
	Offset    int64
	Reserved2 uint64
	Flags     uint32
	ResFD     uint32
}

type aioKey struct{ addr uint64 }

// maxAIO is fs.aio-max-nr.
const maxAIO = 65536

func aioOf(t *kernel.Task, id uint64) (*aioContext, error) {
	if c, ok := t.MM().Aux.Load(aioKey{id}); ok {
		return c.(*aioContext), nil
	}
	return nil, errno.EINVAL
}

// io_setup(2).
func sysIoSetup(t *kernel.Task, a arch.Args) (uint64, error) {
	var old uint64
	if err := kernel.Get(t, a.Ptr(1), &old); err != nil {
		return 0, err
	}
	n := a.Uint(0)
	const maxEvents = 0x10000000 / 32 // 256 MB of struct io_event
	if old != 0 || n == 0 || n > maxEvents {
		return 0, errno.EINVAL
	}
	if n > maxAIO {
		return 0, errno.EAGAIN
	}
	addr, err := t.MM().MMap(t, mm.MMapOpts{Length: arch.PageSize, Prot: platform.Read | platform.Write,
		Flags: unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, Name: "/[aio]"})
	if err != nil {
		return 0, err
	}
	t.MM().Aux.Store(aioKey{addr}, &aioContext{max: int(n)})
	if err := kernel.Put(t, a.Ptr(1), &addr); err != nil {
		t.MM().Aux.Delete(aioKey{addr})
		return 0, err
	}
	return 0, nil
}

// io_destroy(2).
func sysIoDestroy(t *kernel.Task, a arch.Args) (uint64, error) {
	c, err := aioOf(t, a.Uint64(0))
	if err != nil {
		return 0, err
	}
	t.MM().Aux.Delete(aioKey{a.Uint64(0)})
	c.mu.Lock()
	c.gone = true
	c.mu.Unlock()
	c.queue.Notify(wait.In)
	return 0, t.MM().Munmap(t, a.Uint64(0), arch.PageSize)
}

// io_submit(2).
func sysIoSubmit(t *kernel.Task, a arch.Args) (uint64, error) {
	c, err := aioOf(t, a.Uint64(0))
	if err != nil {
		return 0, err
	}
	n := a.Int64(1)
	if n < 0 {
		return 0, errno.EINVAL
	}
	for i := int64(0); i < n; i++ {
		var addr uint64
		err := kernel.Get(t, a.Ptr(2)+uint64(i)*8, &addr)
		if err == nil {
			err = c.submit(t, addr)
		}
		if err != nil {
			return some(uint64(i), err)
		}
	}
	return uint64(n), nil
}

func (c *aioContext) submit(t *kernel.Task, addr uint64) error {
	var cb iocb
	if err := kernel.Get(t, addr, &cb); err != nil {
		return err
	}
	const resFD = 1
	if cb.Reserved2 != 0 || cb.Flags&^3 != 0 || int64(cb.NBytes) < 0 {
		return errno.EINVAL
	}
	c.mu.Lock()
	full := len(c.events) >= c.max*2
	c.mu.Unlock()
	if full {
		return errno.EAGAIN
	}
	f, err := t.File(int32(cb.FD))
	if err != nil {
		return err
	}
	defer f.DecRef(t)
	var ev *vfs.File
	if cb.Flags&resFD != 0 {
		if ev, err = t.File(int32(cb.ResFD)); err != nil {
			return err
		}
		defer ev.DecRef(t)
	}
	res, err := cb.run(t, f)
	if err != nil {
		switch err {
		case errno.EBADF, errno.EINVAL:
			return err
		}
		e, _ := errno.Of(err)
		res = -int64(e)
	}
	c.mu.Lock()
	c.events = append(c.events, ioEvent{cb.Data, addr, res, 0})
	c.mu.Unlock()
	c.queue.Notify(wait.In)
	if ev != nil {
		one := [8]byte{1}
		ev.Write(t, usermem.Bytes(one[:]))
	}
	return nil
}

// run does the operation at once.
func (cb *iocb) run(t *kernel.Task, f *vfs.File) (int64, error) {
	const pread, pwrite, fsync, fdsync, noop, preadv, pwritev = 0, 1, 2, 3, 6, 7, 8
	var b *usermem.Buf
	switch cb.Opcode {
	case pread, pwrite:
		b = t.Buf(cb.Buf, min(cb.NBytes, maxRW))
	case preadv, pwritev:
		v, err := copyInIovec(t, cb.Buf, int32(min(cb.NBytes, maxIov+1)))
		if err != nil {
			return 0, err
		}
		b = v
	case fsync, fdsync:
		return 0, f.Sync(t, cb.Opcode == fdsync)
	case noop:
		return 0, nil
	default:
		return 0, errno.EINVAL
	}
	if cb.Offset < 0 {
		return 0, errno.EINVAL
	}
	off := cb.Offset
	if !f.IsRegular() {
		off = -1
	}
	return moveBuf(t, f, b, off, cb.Opcode == pwrite || cb.Opcode == pwritev)
}

func (c *aioContext) take(t *kernel.Task, minNr, nr int64, addr uint64, deadline time.Time, once bool) (uint64, error) {
	if minNr < 0 || nr < 0 || minNr > nr {
		return 0, errno.EINVAL
	}
	e := wait.NewEntry(wait.In)
	c.queue.Add(e)
	defer c.queue.Remove(e)
	var got []ioEvent
	for {
		c.mu.Lock()
		k := min(int64(len(c.events)), nr-int64(len(got)))
		got = append(got, c.events[:k]...)
		c.events = c.events[k:]
		gone := c.gone
		c.mu.Unlock()
		if int64(len(got)) >= minNr || gone || once {
			break
		}
		if err := t.Block(e, deadline); err != nil {
			if err != errno.ETIMEDOUT && len(got) == 0 {
				return 0, errno.EINTR
			}
			break
		}
	}
	return uint64(len(got)), kernel.PutSlice(t, addr, got)
}

func getEvents(t *kernel.Task, a *arch.Args) (uint64, error) {
	deadline, once, err := timeout(t, a.Ptr(4))
	if err != nil {
		return 0, err
	}
	c, err := aioOf(t, a.Uint64(0))
	if err != nil {
		return 0, err
	}
	return c.take(t, a.Int64(1), a.Int64(2), a.Ptr(3), deadline, once)
}

// io_getevents(2).
func sysIoGetevents(t *kernel.Task, a arch.Args) (uint64, error) { return getEvents(t, &a) }

// io_pgetevents(2).
func sysIoPgetevents(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Ptr(5) != 0 {
		var ms [2]uint64
		if err := kernel.Get(t, a.Ptr(5), &ms); err != nil {
			return 0, err
		}
		if err := withMask(t, ms[0], ms[1]); err != nil {
			return 0, err
		}
	}
	n, err := getEvents(t, &a)
	if err != errno.EINTR {
		t.RestoreMask()
	}
	return n, err
}

// io_cancel(2): operations are over by the time anybody can ask.
func sysIoCancel(t *kernel.Task, a arch.Args) (uint64, error) {
	if _, err := aioOf(t, a.Uint64(0)); err != nil {
		return 0, err
	}
	var cb iocb
	if err := kernel.Get(t, a.Ptr(1), &cb); err != nil {
		return 0, err
	}
	return 0, errno.EINVAL
}
