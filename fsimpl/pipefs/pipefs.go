// Package pipefs has pipes and FIFOs (pipe(7)).
//
// A Pipe is a ring of bytes that grows up to its capacity, and the list of page
// buffers that Linux would hold the same bytes in: a pipe is full when it has
// no free page, and a packet (O_DIRECT) is a page of its own. Both ends share
// one wait queue.
// Pipe.mu is held over copies from and to user memory, as Linux does; a page
// fault there never needs a pipe.
package pipefs

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

const (
	pageSize    = 4096
	atomicSize  = 4096 // PIPE_BUF
	defaultSize = 65536
	// MaxSize is fs.pipe-max-size.
	MaxSize = 1 << 20
)

// Pipe is the object behind both ends.
type Pipe struct {
	queue wait.Queue

	mu      sync.Mutex
	buf     []byte // ring; len(buf) is a power of two, or 0
	head    int    // of the oldest byte
	n       int
	limit   int
	slots   []slot // oldest first
	slots0  [4]slot
	readers int
	writers int
	// opened counts the opens of each side of a FIFO ever, so that an opener
	// waiting for the other side sees one that came and went.
	readersOpened, writersOpened uint64
}

// slot is one page buffer: n bytes at off, or a packet.
type slot struct {
	off, n int32
	packet bool
}

// end is one end as vfs.FileOps.
type end struct {
	vfs.StreamBase
	p           *Pipe
	read, write bool
	inode       vfs.Inode // of a FIFO
	sys         *vfs.System
}

// Register makes sys open FIFOs with this package.
func Register(sys *vfs.System) {
	sys.OpenFIFO = func(ctx kctx.Ctx, i vfs.Inode, flags uint32) (vfs.FileOps, error) { return open(ctx, sys, i, flags) }
}

// New makes a pipe; flags are those of pipe2(2) without O_CLOEXEC.
func New(ctx kctx.Ctx, sys *vfs.System, flags uint32) (r, w *vfs.File) {
	p := &Pipe{limit: defaultSize, readers: 1, writers: 1, readersOpened: 1, writersOpened: 1}
	re, we := &end{p: p, read: true, sys: sys}, &end{p: p, write: true, sys: sys}
	r, w = vfs.NewAnonPair(ctx, sys, "pipe:[%d]", re, we, unix.O_RDONLY|flags, unix.O_WRONLY|flags)
	// So that /proc/self/fd/N opens the same pipe again.
	sys.Pipe(r.Inode(), func() any { return p })
	return r, w
}

// open opens a FIFO (fifo(7)).
func open(ctx kctx.Ctx, sys *vfs.System, i vfs.Inode, flags uint32) (vfs.FileOps, error) {
	acc := flags & unix.O_ACCMODE
	e := &end{read: acc != unix.O_WRONLY, write: acc != unix.O_RDONLY, inode: i, sys: sys}
	// Count this open under the inode's lock, so that the pipe stays.
	e.p = sys.Pipe(i, func() any { return &Pipe{limit: defaultSize} }).(*Pipe)
	p := e.p
	p.mu.Lock()
	if _, pipe := i.(vfs.SelfNamed); !pipe && e.write && !e.read && flags&unix.O_NONBLOCK != 0 && p.readers == 0 {
		p.mu.Unlock()
		return nil, errno.ENXIO
	}
	if e.read {
		p.readers++
		p.readersOpened++
	}
	if e.write {
		p.writers++
		p.writersOpened++
	}
	rc, wc := p.readersOpened, p.writersOpened
	// Another open of a pipe (/proc/self/fd/N) waits for nobody.
	_, pipe := i.(vfs.SelfNamed)
	wait := !pipe && !(e.read && e.write) && (e.read && p.writers == 0 && flags&unix.O_NONBLOCK == 0 || e.write && p.readers == 0)
	p.mu.Unlock()
	p.queue.Notify(anyEvent)
	if wait {
		if err := e.waitOther(ctx, rc, wc); err != nil {
			e.Release(ctx, nil)
			return nil, err
		}
	}
	return e, nil
}

const anyEvent = wait.In | wait.Out | wait.RdNorm | wait.WrNorm

// waitOther blocks until the other side has been opened.
func (e *end) waitOther(ctx kctx.Ctx, rc, wc uint64) error {
	w := wait.NewEntry(anyEvent)
	e.p.queue.Add(w)
	defer e.p.queue.Remove(w)
	for {
		e.p.mu.Lock()
		ok := e.read && e.p.writersOpened != wc || e.write && e.p.readersOpened != rc
		e.p.mu.Unlock()
		if ok {
			return nil
		}
		if err := ctx.Block(w, time.Time{}); err != nil {
			return err
		}
	}
}

// FullWrite makes a blocking write go on until all is written.
func (e *end) FullWrite() bool { return true }

func (e *end) WaitQueue() *wait.Queue { return &e.p.queue }

func (e *end) Release(ctx kctx.Ctx, _ *vfs.File) {
	p := e.p
	ev := wait.Events(0)
	p.mu.Lock()
	if e.read {
		if p.readers--; p.readers == 0 {
			ev |= wait.Err | wait.Out | wait.WrNorm
		}
	}
	if e.write {
		if p.writers--; p.writers == 0 {
			ev |= wait.Hup | wait.In | wait.RdNorm
		}
	}
	idle := p.readers == 0 && p.writers == 0
	if idle {
		p.buf, p.head, p.n, p.slots = nil, 0, 0, nil
	}
	p.mu.Unlock()
	if ev != 0 {
		p.queue.Notify(ev)
	}
	if idle && e.inode != nil {
		e.sys.DropPipe(e.inode, p, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.readers == 0 && p.writers == 0
		})
	}
}

func (e *end) Ready(mask wait.Events) wait.Events {
	p := e.p
	p.mu.Lock()
	defer p.mu.Unlock()
	var r wait.Events
	if e.read {
		if p.n > 0 {
			r |= wait.In | wait.RdNorm
		}
		if p.writers == 0 && p.writersOpened > 0 {
			r |= wait.Hup
		}
	}
	if e.write {
		if len(p.slots) < p.limit/pageSize {
			r |= wait.Out | wait.WrNorm
		}
		if p.readers == 0 {
			r |= wait.Err
		}
	}
	return r & (mask | wait.Err | wait.Hup)
}

func (e *end) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, _ *int64) (int64, error) {
	p := e.p
	if dst.Len() == 0 {
		return 0, nil
	}
	p.mu.Lock()
	if p.n == 0 {
		open := p.writers > 0
		p.mu.Unlock()
		if open {
			return 0, errno.EAGAIN
		}
		return 0, nil
	}
	n, err := p.readLocked(dst)
	p.mu.Unlock()
	if n > 0 {
		p.queue.Notify(wait.Out | wait.WrNorm)
	}
	return n, err
}

// readLocked copies out of the ring. Precondition: n > 0.
func (p *Pipe) readLocked(dst *usermem.Buf) (int64, error) {
	max, packet := 0, false
	for _, s := range p.slots {
		if s.packet && max > 0 {
			break // a packet ends a read of bytes, too
		}
		max += int(s.n)
		if packet = s.packet; packet {
			break
		}
	}
	var done int
	var err error
	for done < max && dst.Len() > 0 {
		end := min(p.head+max-done, len(p.buf))
		var m int
		m, err = dst.Put(p.buf[p.head:end])
		p.takeLocked(m)
		done += m
		p.eatLocked(m)
		if err != nil || m == 0 {
			break
		}
	}
	if done > 0 {
		err = nil
	}
	if packet && err == nil {
		// What does not fit of a packet is lost (pipe(2), O_DIRECT).
		p.takeLocked(max - done)
		p.eatLocked(max - done)
	}
	return int64(done), err
}

func (p *Pipe) takeLocked(n int) {
	p.n -= n
	if p.n == 0 {
		p.head = 0
	} else {
		p.head = (p.head + n) & (len(p.buf) - 1)
	}
}

// eatLocked takes n bytes off the oldest page buffers.
func (p *Pipe) eatLocked(n int) {
	k := 0
	for n > 0 && k < len(p.slots) {
		s := &p.slots[k]
		m := min(n, int(s.n))
		s.off += int32(m)
		s.n -= int32(m)
		n -= m
		if s.n == 0 {
			k++
		}
	}
	if k == len(p.slots) {
		p.slots = p.slots0[:0]
		return
	}
	p.slots = p.slots[k:]
}

// roomLocked is how many of want bytes can be written now: what fits behind
// the last buffer, if the rest is whole pages (linux: fs/pipe.c pipe_write),
// and free pages.
func (p *Pipe) roomLocked(want int, packet bool) int {
	free := max(p.limit/pageSize-len(p.slots), 0) * pageSize
	if packet {
		return min(free, want)
	}
	return min(p.mergeLocked(want)+free, want)
}

// mergeLocked is how many of want bytes go into the last buffer.
func (p *Pipe) mergeLocked(want int) int {
	if len(p.slots) == 0 {
		return 0
	}
	s := &p.slots[len(p.slots)-1]
	if odd := want & (pageSize - 1); !s.packet && odd != 0 && int(s.off+s.n)+odd <= pageSize {
		return odd
	}
	return 0
}

// fillLocked accounts n new bytes, of which merge go into the last buffer.
func (p *Pipe) fillLocked(n, merge int, packet bool) {
	if m := min(n, merge); m > 0 {
		p.slots[len(p.slots)-1].n += int32(m)
		n -= m
	}
	if p.slots == nil {
		p.slots = p.slots0[:0]
	}
	for n > 0 {
		m := min(n, pageSize)
		p.slots = append(p.slots, slot{0, int32(m), packet})
		n -= m
	}
}

func (e *end) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, _ *int64) (int64, error) {
	p := e.p
	want := src.Len()
	if want == 0 {
		return 0, nil
	}
	p.mu.Lock()
	if p.readers == 0 {
		p.mu.Unlock()
		return 0, errno.EPIPE
	}
	packet := f != nil && f.Flags()&unix.O_DIRECT != 0
	if packet && want > atomicSize {
		want = atomicSize
	}
	room := int64(p.roomLocked(int(want), packet))
	if room <= 0 || want <= atomicSize && room < want {
		p.mu.Unlock()
		return 0, errno.EAGAIN
	}
	n, err := p.writeLocked(src, int(room), int(want), packet)
	p.mu.Unlock()
	if n > 0 {
		p.queue.Notify(wait.In | wait.RdNorm)
	}
	return n, err
}

// writeLocked copies max bytes into the ring, which has room for them.
func (p *Pipe) writeLocked(src *usermem.Buf, max, want int, packet bool) (int64, error) {
	merge := 0
	if !packet {
		merge = p.mergeLocked(want)
	}
	p.growLocked(p.n + max)
	done := 0
	for done < max {
		at := (p.head + p.n) & (len(p.buf) - 1)
		end := min(at+max-done, len(p.buf))
		m, err := src.Take(p.buf[at:end])
		p.n += m
		done += m
		if err != nil || m == 0 {
			if done == 0 {
				return 0, err
			}
			break
		}
	}
	p.fillLocked(done, merge, packet)
	return int64(done), nil
}

// growLocked makes the ring hold at least n bytes.
func (p *Pipe) growLocked(n int) {
	if n <= len(p.buf) {
		return
	}
	size := max(len(p.buf), pageSize)
	for size < n {
		size *= 2
	}
	b := make([]byte, size)
	p.copyLocked(b[:p.n])
	p.buf, p.head = b, 0
}

// copyLocked copies the oldest bytes to dst.
func (p *Pipe) copyLocked(dst []byte) int {
	n := min(len(dst), p.n)
	k := copy(dst[:n], p.buf[p.head:])
	copy(dst[k:n], p.buf)
	return n
}

func (e *end) Ioctl(ctx kctx.Ctx, _ *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	if cmd != unix.TIOCINQ {
		return 0, errno.ENOTTY
	}
	e.p.mu.Lock()
	n := int32(e.p.n)
	e.p.mu.Unlock()
	return 0, usermem.Put(io, arg, &n)
}

// PipeSize is fcntl(2) F_GETPIPE_SZ.
func (e *end) PipeSize() int {
	e.p.mu.Lock()
	defer e.p.mu.Unlock()
	return e.p.limit
}

// SetPipeSize is F_SETPIPE_SZ; privileged callers may exceed MaxSize.
func (e *end) SetPipeSize(n uint64, privileged bool) (int, error) {
	if n > 1<<31 {
		return 0, errno.EINVAL
	}
	size := pageSize
	for uint64(size) < n {
		size *= 2
	}
	if size > MaxSize && !privileged {
		return 0, errno.EPERM
	}
	p := e.p
	p.mu.Lock()
	if len(p.slots) > size/pageSize {
		p.mu.Unlock()
		return 0, errno.EBUSY
	}
	p.limit = size
	p.mu.Unlock()
	p.queue.Notify(wait.Out | wait.WrNorm)
	return size, nil
}

// Of returns the pipe of an open file, or nil.
func Of(f *vfs.File) *Pipe {
	if e, ok := f.Ops().(*end); ok {
		return e.p
	}
	return nil
}

// Queue is where to wait for the pipe.
func (p *Pipe) Queue() *wait.Queue { return &p.queue }

// Take moves up to len(b) bytes out of the pipe into b (splice(2)): EAGAIN if
// it is empty, 0 if it is and has no writers.
func (p *Pipe) Take(b []byte) (int, error) {
	p.mu.Lock()
	n, err := p.peekLocked(b)
	if n > 0 {
		p.takeLocked(n)
		p.eatLocked(n)
	}
	p.mu.Unlock()
	if n > 0 {
		p.queue.Notify(wait.Out | wait.WrNorm)
	}
	return n, err
}

// Peek is Take that leaves the bytes there (tee(2)).
func (p *Pipe) Peek(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peekLocked(b)
}

func (p *Pipe) peekLocked(b []byte) (int, error) {
	if p.n == 0 {
		if p.writers > 0 {
			return 0, errno.EAGAIN
		}
		return 0, nil
	}
	return p.copyLocked(b), nil
}

// Untake puts bytes back in front that Take took and nobody wanted. The pipe
// may exceed its capacity for that.
func (p *Pipe) Untake(b []byte) {
	if len(b) == 0 {
		return
	}
	p.mu.Lock()
	p.growLocked(p.n + len(b))
	p.head = (p.head - len(b)) & (len(p.buf) - 1)
	k := copy(p.buf[p.head:], b)
	copy(p.buf, b[k:])
	p.n += len(b)
	var back []slot
	for n := len(b); n > 0; n -= pageSize {
		back = append(back, slot{0, int32(min(n, pageSize)), false})
	}
	p.slots = append(back, p.slots...)
	p.mu.Unlock()
	p.queue.Notify(wait.In | wait.RdNorm)
}

// Room is how many bytes a write takes now.
func (p *Pipe) Room() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.limit/pageSize-len(p.slots), 0) * pageSize
}
