package vfs

import (
	"encoding/binary"
	"sort"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
)

const (
	maxInotifyEvents  = 16384 // fs.inotify.max_queued_events
	maxInotifyWatches = 65536 // fs.inotify.max_user_watches, here per instance
)

// Inotify is an inotify instance (inotify(7)) as FileOps. Lock order:
// inodeState.mu, then mu.
type Inotify struct {
	StreamBase
	sys   *System
	queue wait.Queue

	mu     sync.Mutex
	marks  map[int32]*mark
	nextWD int32
	events []notifyEvent
	bytes  int
	lost   bool // an overflow event is queued
}

type notifyEvent struct {
	wd           int32
	mask, cookie uint32
	name         string
}

func (e *notifyEvent) size() int {
	if e.name == "" {
		return unix.SizeofInotifyEvent
	}
	return unix.SizeofInotifyEvent + (len(e.name)+1+15)&^15
}

// NewInotify makes an instance; flags may have O_NONBLOCK.
func NewInotify(ctx kctx.Ctx, s *System, flags uint32) *File {
	in := &Inotify{sys: s, marks: map[int32]*mark{}}
	return NewAnonFileFor(ctx, s, "anon_inode:inotify", in, unix.O_RDONLY|flags)
}

func (in *Inotify) enter(m *mark) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.marks) >= maxInotifyWatches {
		return errno.ENOSPC
	}
	in.nextWD++
	m.wd = in.nextWD
	in.marks[m.wd] = m
	return nil
}

func (in *Inotify) mark(wd int32) *mark {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.marks[wd]
}

// forget ends wd with an IN_IGNORED event.
func (in *Inotify) forget(wd int32) {
	in.mu.Lock()
	_, ok := in.marks[wd]
	delete(in.marks, wd)
	in.mu.Unlock()
	if ok {
		in.push(wd, unix.IN_IGNORED, 0, "")
	}
}

// push queues an event unless it repeats the last one.
func (in *Inotify) push(wd int32, mask, cookie uint32, name string) {
	in.mu.Lock()
	e := notifyEvent{wd, mask, cookie, name}
	n := len(in.events)
	if n > 0 && in.events[n-1] == e {
		in.mu.Unlock()
		return
	}
	if n >= maxInotifyEvents {
		if in.lost {
			in.mu.Unlock()
			return
		}
		in.lost = true
		e = notifyEvent{wd: -1, mask: unix.IN_Q_OVERFLOW}
	}
	in.events = append(in.events, e)
	in.bytes += e.size()
	in.mu.Unlock()
	in.queue.Notify(wait.In | wait.RdNorm)
}

// WaitQueue implements FileOps.
func (in *Inotify) WaitQueue() *wait.Queue { return &in.queue }

// Ready implements FileOps.
func (in *Inotify) Ready(mask wait.Events) wait.Events {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.events) == 0 {
		return 0
	}
	return mask & (wait.In | wait.RdNorm)
}

// Read returns as many whole events as fit; EINVAL if not even one does.
func (in *Inotify) Read(ctx kctx.Ctx, f *File, dst *usermem.Buf, _ *int64) (int64, error) {
	in.mu.Lock()
	room, n := int(dst.Len()), 0
	var b []byte
	for n < len(in.events) && len(b)+in.events[n].size() <= room {
		e := &in.events[n]
		at := len(b)
		b = append(b, make([]byte, e.size())...)
		binary.LittleEndian.PutUint32(b[at:], uint32(e.wd))
		binary.LittleEndian.PutUint32(b[at+4:], e.mask)
		binary.LittleEndian.PutUint32(b[at+8:], e.cookie)
		binary.LittleEndian.PutUint32(b[at+12:], uint32(e.size()-unix.SizeofInotifyEvent))
		copy(b[at+unix.SizeofInotifyEvent:], e.name)
		if e.mask&unix.IN_Q_OVERFLOW != 0 {
			in.lost = false
		}
		n++
	}
	empty := len(in.events) == 0
	in.bytes -= len(b)
	in.events = in.events[n:]
	if len(in.events) == 0 {
		in.events = nil
	}
	in.mu.Unlock()
	if n == 0 {
		if empty {
			return 0, errno.EAGAIN
		}
		return 0, errno.EINVAL
	}
	k, err := dst.Put(b)
	return int64(k), err
}

// Ioctl is FIONREAD.
func (in *Inotify) Ioctl(ctx kctx.Ctx, _ *File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	if cmd != unix.TIOCINQ {
		return 0, errno.ENOTTY
	}
	in.mu.Lock()
	n := int32(in.bytes)
	in.mu.Unlock()
	return 0, usermem.Put(io, arg, &n)
}

// Release ends every watch.
func (in *Inotify) Release(ctx kctx.Ctx, _ *File) {
	in.mu.Lock()
	var l []*mark
	for _, m := range in.marks {
		l = append(l, m)
	}
	in.mu.Unlock()
	for _, m := range l {
		in.remove(m)
	}
}

// InotifyWatch is one line of /proc/pid/fdinfo of an instance.
type InotifyWatch struct {
	WD    int32
	Mask  uint32
	Inode Inode
}

// Watches lists the watches by number.
func (in *Inotify) Watches() []InotifyWatch {
	in.mu.Lock()
	var l []InotifyWatch
	for wd, m := range in.marks {
		l = append(l, InotifyWatch{wd, 0, m.inode})
	}
	in.mu.Unlock()
	sort.Slice(l, func(i, j int) bool { return l[i].WD < l[j].WD })
	for i := range l {
		if m := in.mark(l[i].WD); m != nil {
			st := in.sys.base(m.inode).get()
			st.mu.Lock()
			l[i].Mask = m.mask
			st.mu.Unlock()
		}
	}
	return l
}

// Transfers implements OneWay.
func (in *Inotify) Transfers(write bool) bool { return !write }
