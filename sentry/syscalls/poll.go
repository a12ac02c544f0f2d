package syscalls

import (
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

var pollRows = []Row{
	{7, "poll", sysPoll, "ptr,int,int", Full, ""},
	{23, "select", sysSelect, "int,ptr,ptr,ptr,ptr", Full, ""},
	{270, "pselect6", sysPselect6, "int,ptr,ptr,ptr,timespec,ptr", Full, ""},
	{271, "ppoll", sysPpoll, "ptr,int,timespec,ptr,size", Full, ""},
}

// pollFD is struct pollfd.
type pollFD struct {
	FD              int32
	Events, Revents int16
}

// poller waits for several files with one channel.
type poller struct {
	c       chan struct{}
	entries []wait.Entry
	files   []*vfs.File
}

func (p *poller) add(f *vfs.File, mask wait.Events) {
	q := f.WaitQueue()
	if q == nil {
		return
	}
	// Room was made for all: entries must not move.
	p.entries = append(p.entries, wait.Entry{Mask: mask, C: p.c})
	q.Add(&p.entries[len(p.entries)-1])
	f.IncRef()
	p.files = append(p.files, f)
}

func (p *poller) close(t *kernel.Task) {
	for i := range p.entries {
		p.files[i].WaitQueue().Remove(&p.entries[i])
		p.files[i].DecRef(t)
	}
}

// scan sets revents and counts those that are not zero; with p it registers.
func scan(t *kernel.Task, fds []pollFD, p *poller) int {
	n := 0
	for i := range fds {
		x := &fds[i]
		x.Revents = 0
		if x.FD < 0 {
			continue
		}
		f, err := t.File(x.FD)
		if err != nil {
			x.Revents = unix.POLLNVAL
			n++
			continue
		}
		mask := wait.Events(uint16(x.Events)) | wait.Err | wait.Hup
		if p != nil {
			p.add(f, mask)
		}
		if ev := f.Ready(mask) & mask; ev != 0 {
			x.Revents = int16(ev)
			n++
		} else if f.IsPath() {
			x.Revents = unix.POLLNVAL
			n++
		}
		f.DecRef(t)
	}
	return n
}

// pollWait is poll(2) on a copy of the array. A zero deadline means for ever;
// once means not to wait.
func pollWait(t *kernel.Task, fds []pollFD, deadline time.Time, once bool) (int, error) {
	if n := scan(t, fds, nil); n > 0 || once {
		return n, nil
	}
	p := poller{c: make(chan struct{}, 1), entries: make([]wait.Entry, 0, len(fds)), files: make([]*vfs.File, 0, len(fds))}
	defer p.close(t)
	n := scan(t, fds, &p)
	for n == 0 {
		err := t.Block(&wait.Entry{C: p.c}, deadline)
		n = scan(t, fds, nil)
		if n > 0 || err == errno.ETIMEDOUT {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

func pollFDs(t *kernel.Task, addr uint64, n uint32, deadline time.Time, once bool) (uint64, error) {
	if uint64(n) > t.Limit(unix.RLIMIT_NOFILE) {
		return 0, errno.EINVAL
	}
	var few [8]pollFD
	fds := few[:]
	if int(n) > len(few) {
		fds = make([]pollFD, n)
	}
	fds = fds[:n]
	if err := kernel.GetSlice(t, addr, fds); err != nil {
		return 0, err
	}
	k, err := pollWait(t, fds, deadline, once)
	if err != nil {
		return 0, err
	}
	if !accessible(addr, uint64(n)*8) {
		return 0, errno.EFAULT
	}
	return uint64(k), kernel.PutSlice(t, addr, fds)
}

// poll(2).
func sysPoll(t *kernel.Task, a arch.Args) (uint64, error) {
	ms := a.Int(2)
	var deadline time.Time
	if ms > 0 {
		deadline = time.Now().Add(time.Duration(ms) * time.Millisecond)
	}
	return pollRestart(t, a.Ptr(0), a.Uint(1), deadline, ms == 0)
}

// pollRestart is poll, which restarts with the time that is left.
func pollRestart(t *kernel.Task, addr uint64, n uint32, deadline time.Time, once bool) (uint64, error) {
	r, err := pollFDs(t, addr, n, deadline, once)
	if err == errno.ERESTARTSYS {
		t.SetRestart(func() (uint64, error) { return pollRestart(t, addr, n, deadline, once) })
		err = errno.ERESTARTBLOCK
	}
	return r, err
}

// timeout reads a relative struct timespec; addr 0 means for ever.
func timeout(t *kernel.Task, addr uint64) (deadline time.Time, once bool, err error) {
	if addr == 0 {
		return deadline, false, nil
	}
	var ts unix.Timespec
	if err := kernel.Get(t, addr, &ts); err != nil {
		return deadline, false, err
	}
	if !validTimespec(&ts) {
		return deadline, false, errno.EINVAL
	}
	if ts.Sec == 0 && ts.Nsec == 0 {
		return deadline, true, nil
	}
	return time.Now().Add(duration(ts.Sec, ts.Nsec)), false, nil
}

// duration saturates.
func duration(sec, nsec int64) time.Duration {
	if sec > 1<<33 {
		sec = 1 << 33
	}
	return time.Duration(sec)*time.Second + time.Duration(nsec)
}

// leftOver writes back what is left of a timeout, as Linux does unless the
// personality says otherwise.
func leftOver(t *kernel.Task, addr uint64, deadline time.Time, once bool) {
	if addr == 0 || once {
		return
	}
	d := max(time.Until(deadline), 0)
	ts := unix.NsecToTimespec(int64(d))
	kernel.Put(t, addr, &ts)
}

// withMask sets a temporary signal mask given by address and size.
func withMask(t *kernel.Task, addr, size uint64) error {
	if addr == 0 {
		return nil
	}
	if size != 8 {
		return errno.EINVAL
	}
	var m signal.Set
	if err := kernel.Get(t, addr, &m); err != nil {
		return err
	}
	t.SuspendMask(m)
	return nil
}

// masked finishes a call with a temporary mask: it stays for the handler if the
// call was interrupted.
func masked(t *kernel.Task, err error) error {
	if err == errno.ERESTARTSYS {
		return errno.ERESTARTNOHAND
	}
	t.RestoreMask()
	return err
}

// ppoll(2).
func sysPpoll(t *kernel.Task, a arch.Args) (uint64, error) {
	deadline, once, err := timeout(t, a.Ptr(2))
	if err != nil {
		return 0, err
	}
	if err := withMask(t, a.Ptr(3), a.Size(4)); err != nil {
		return 0, err
	}
	n, err := pollFDs(t, a.Ptr(0), a.Uint(1), deadline, once)
	leftOver(t, a.Ptr(2), deadline, once)
	return n, masked(t, err)
}

// What select(2) waits for in each of its sets.
var selectMasks = [3]wait.Events{
	wait.In | wait.RdNorm | wait.RdBand | wait.Hup | wait.Err,
	wait.Out | wait.WrNorm | wait.WrBand | wait.Err,
	wait.Pri,
}

// selectFDs does select on sets at addrs.
func selectFDs(t *kernel.Task, n int32, addrs [3]uint64, deadline time.Time, once bool) (uint64, error) {
	if n < 0 {
		return 0, errno.EINVAL
	}
	n = min(n, int32(t.FDs().Size()))
	words := (int(n) + 63) / 64
	var sets [3][]uint64
	for i, addr := range addrs {
		if addr == 0 {
			continue
		}
		sets[i] = make([]uint64, words)
		b := usermem.AsBytesOf(sets[i])
		if err := t.CopyIn(addr, b[:(n+7)/8]); err != nil {
			return 0, err
		}
	}
	var fds []pollFD
	for fd := int32(0); fd < n; fd++ {
		var ev wait.Events
		for i := range sets {
			if sets[i] != nil && sets[i][fd>>6]>>(fd&63)&1 != 0 {
				ev |= selectMasks[i]
			}
		}
		if ev != 0 {
			if f := t.FDs().Peek(fd); f == nil {
				return 0, errno.EBADF
			}
			fds = append(fds, pollFD{FD: fd, Events: int16(ev)})
		}
	}
	if _, err := pollWait(t, fds, deadline, once); err != nil {
		return 0, err
	}
	in := sets
	count := uint64(0)
	for i := range sets {
		if sets[i] == nil {
			continue
		}
		out := make([]uint64, words)
		for _, x := range fds {
			if in[i][x.FD>>6]>>(x.FD&63)&1 != 0 && wait.Events(uint16(x.Revents))&(selectMasks[i]|wait.Nval) != 0 {
				out[x.FD>>6] |= 1 << (x.FD & 63)
				count++
			}
		}
		if err := t.CopyOut(addrs[i], usermem.AsBytesOf(out)[:(n+7)/8]); err != nil {
			return 0, err
		}
	}
	return count, nil
}

// select(2).
func sysSelect(t *kernel.Task, a arch.Args) (uint64, error) {
	var deadline time.Time
	once := false
	if a.Ptr(4) != 0 {
		var tv unix.Timeval
		if err := kernel.Get(t, a.Ptr(4), &tv); err != nil {
			return 0, err
		}
		tv.Sec += tv.Usec / 1000000
		tv.Usec %= 1000000
		if tv.Sec < 0 || tv.Usec < 0 {
			return 0, errno.EINVAL
		}
		once = tv.Sec == 0 && tv.Usec == 0
		deadline = time.Now().Add(duration(tv.Sec, tv.Usec*1000))
	}
	n, err := selectFDs(t, a.Int(0), [3]uint64{a.Ptr(1), a.Ptr(2), a.Ptr(3)}, deadline, once)
	if a.Ptr(4) != 0 && !once {
		tv := unix.NsecToTimeval(int64(max(time.Until(deadline), 0)))
		kernel.Put(t, a.Ptr(4), &tv)
	}
	if err == errno.ERESTARTSYS {
		err = errno.ERESTARTNOHAND
	}
	return n, err
}

// pselect6(2).
func sysPselect6(t *kernel.Task, a arch.Args) (uint64, error) {
	deadline, once, err := timeout(t, a.Ptr(4))
	if err != nil {
		return 0, err
	}
	if a.Ptr(5) != 0 {
		var ms [2]uint64
		if err := kernel.Get(t, a.Ptr(5), &ms); err != nil {
			return 0, err
		}
		if err := withMask(t, ms[0], ms[1]); err != nil {
			return 0, err
		}
	}
	n, err := selectFDs(t, a.Int(0), [3]uint64{a.Ptr(1), a.Ptr(2), a.Ptr(3)}, deadline, once)
	leftOver(t, a.Ptr(4), deadline, once)
	return n, masked(t, err)
}
