package systrap

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/platform"
)

var (
	errDied    = errors.New("systrap: the stub process is gone")
	errThreads = errors.New("systrap: too many threads in one address space")
)

// ackTimeout is how long a stub may take over one batch before it is taken for
// a liar and killed.
const ackTimeout = 20 * time.Second

// entry is a queued operation; fd is the host descriptor of a map, else -1.
type entry struct {
	op
	host int32
}

// Space implements platform.Space.
type Space struct {
	p    *Platform
	proc *proc

	dead atomic.Bool
	// pending is set while the queue is not empty or a batch was handed to a
	// thread that has not acknowledged it.
	pending atomic.Bool

	mu struct {
		sync.Mutex
		queue  []entry
		closed bool // nothing is queued any more
		// flying is the thread that was resumed with a batch, and flyingAck
		// its acknowledgement counter before.
		flying    *Thread
		flyingAck uint32
	}

	leadMu sync.Mutex // the leader's channel

	// patching keeps threads out of user code while text is changed under
	// patchMu; patches is replaced as a whole.
	patching atomic.Bool
	patchMu  sync.Mutex
	text     platform.Text
	patches  atomic.Pointer[patchTable]

	threads struct {
		sync.Mutex
		live     map[*Thread]struct{}
		idle     []*Thread // released, parked in the stub, to be used again
		leaving  []*Thread // told to exit, not yet seen gone
		free     []int     // indices of threads that are gone
		next     int       // index never used before
		released bool
	}
}

// maxIdle is how many released threads a space keeps.
const maxIdle = 8

// Map implements platform.Space.
func (s *Space) Map(addr, length uint64, f platform.File, offset uint64, prot platform.Prot, populate bool) {
	e := entry{op: op{addr: addr, length: length, nr: unix.SYS_MMAP, prot: uint32(prot),
		flags: unix.MAP_SHARED | unix.MAP_FIXED, offset: offset}, host: int32(f.RO)}
	if prot&platform.Write != 0 {
		e.host = int32(f.RW)
	}
	if populate {
		e.flags |= unix.MAP_POPULATE
	}
	s.add(e)
}

// Unmap implements platform.Space.
func (s *Space) Unmap(addr, length uint64) {
	s.add(entry{op: op{addr: addr, length: length, nr: unix.SYS_MUNMAP}, host: -1})
}

// Protect implements platform.Space. The stub's filter lets no mprotect give
// write access, which would undo the protection of copy-on-write pages; such a
// range is unmapped, and mm maps it at the next fault.
func (s *Space) Protect(addr, length uint64, prot platform.Prot) {
	if prot&platform.Write != 0 {
		s.Unmap(addr, length)
		return
	}
	s.add(entry{op: op{addr: addr, length: length, nr: unix.SYS_MPROTECT, prot: uint32(prot)}, host: -1})
}

// add queues e, merging it with the end of the queue where that is simple.
func (s *Space) add(e entry) {
	if e.length == 0 || e.addr >= maxAddr || e.length > maxAddr-e.addr {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return
	}
	q := s.mu.queue
	// What is replaced before it was ever done need not be done.
	for e.nr != unix.SYS_MPROTECT && len(q) > 0 {
		last := &q[len(q)-1]
		if last.addr < e.addr || last.addr+last.length > e.addr+e.length {
			break
		}
		q = q[:len(q)-1]
	}
	if n := len(q); n > 0 {
		last := &q[n-1]
		if last.addr+last.length == e.addr && last.nr == e.nr && last.prot == e.prot &&
			last.flags == e.flags && last.host == e.host &&
			(e.nr != unix.SYS_MMAP || last.offset+last.length == e.offset) {
			last.length += e.length
			s.mu.queue = q
			return
		}
	}
	s.mu.queue = append(q, e)
	s.pending.Store(true)
}

// batchLocked takes as many operations from the queue as one batch holds.
func (s *Space) batchLocked(dst *[slotOps]op, fds *[maxFDs]int32) (n, nfds int) {
	q := s.mu.queue
next:
	for n < len(q) && n < slotOps {
		dst[n] = q[n].op
		dst[n].fd = -1
		if h := q[n].host; q[n].nr == unix.SYS_MMAP {
			i := 0
			for i < nfds && fds[i] != h {
				i++
			}
			if i == nfds {
				if nfds == maxFDs {
					break next
				}
				fds[nfds] = h
				nfds++
			}
			dst[n].fd = int32(1 + i)
		}
		n++
	}
	s.mu.queue = q[:copy(q, q[n:])]
	return n, nfds
}

// settleLocked waits until a batch that another thread was resumed with is
// done, so that batches are done in order.
func (s *Space) settleLocked(t *Thread) bool {
	f := s.mu.flying
	if f == nil {
		return true
	}
	if f != t {
		var slept time.Duration
		for pause := time.Microsecond; f.a.ack.Load() == s.mu.flyingAck && !s.dead.Load(); {
			if spin(&f.a.ack, s.mu.flyingAck, 200) {
				break
			}
			if slept > ackTimeout {
				s.kill("batch not acknowledged")
				return false
			}
			time.Sleep(pause)
			slept += pause
			pause = min(2*pause, time.Millisecond)
		}
	}
	s.mu.flying = nil
	s.pending.Store(len(s.mu.queue) > 0)
	return true
}

// Flush implements platform.Space.
func (s *Space) Flush(th platform.Thread) error {
	if !s.pending.Load() {
		return nil
	}
	if t, ok := th.(*Thread); ok && t != nil {
		if !t.boot() {
			return errDied
		}
		if _, ok := t.flush(false); !ok {
			return errDied
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.settleLocked(nil) {
		return errDied
	}
	for len(s.mu.queue) > 0 {
		var ops [slotOps]op
		var fds [maxFDs]int32
		n, nfds := s.batchLocked(&ops, &fds)
		if err := s.lead(ops[:n], fds[:nfds]); err != nil {
			return err
		}
	}
	s.pending.Store(false)
	return nil
}

// lead has the leader run a batch.
func (s *Space) lead(ops []op, fds []int32) error {
	s.leadMu.Lock()
	defer s.leadMu.Unlock()
	c := &s.proc.leader
	if s.dead.Load() {
		return errDied
	}
	c.a.turn.Store(turnStub)
	if !c.send(ops, fds) {
		s.kill("leader does not listen")
		return errDied
	}
	for begin := time.Now(); c.a.turn.Load() == turnStub && !s.dead.Load(); {
		if spin(&c.a.turn, turnStub, 100) {
			break
		}
		ts := unix.Timespec{Nsec: 100e6}
		futexBlock(&c.a.turn, turnStub, &ts)
		if time.Since(begin) > ackTimeout {
			s.kill("leader does not answer")
		}
	}
	if s.dead.Load() {
		return errDied
	}
	if e := c.a.err; e != 0 {
		return unix.Errno(-e)
	}
	return nil
}

// kill ends the stub process because of what it did.
func (s *Space) kill(why string) {
	klog.Warningf("systrap: killing stub process %d: %s", s.proc.pid, why)
	s.died()
}

// died marks the space dead, ends its process if it still runs, and gets every
// thread out of Switch.
func (s *Space) died() {
	s.threads.Lock()
	defer s.threads.Unlock()
	if s.dead.Swap(true) {
		return
	}
	z := s.p.z
	z.mu.Lock()
	if z.mu.spaces[s.proc.pid] == s {
		_ = unix.Kill(s.proc.pid, unix.SIGKILL)
	}
	z.mu.Unlock()
	for t := range s.threads.live {
		t.a.turn.Store(turnSentry)
		futexWake(&t.a.turn)
	}
	if l := s.proc.leader.a; l != nil {
		l.turn.Store(turnSentry)
		futexWake(&l.turn)
	}
}

// NewThread implements platform.Space.
func (s *Space) NewThread() (platform.Thread, error) {
	t, i, err := s.takeThread()
	if err != nil {
		return nil, err
	}
	if t != nil {
		t.intr.Store(false)
		if t.used {
			err = t.SetFPState(nil)
		}
		return t, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.giveIndex(i)
		return nil, err
	}
	defer unix.Close(pair[1])
	mem, cmd, err := mapArea(s.proc.memfd, i)
	if err != nil {
		s.giveIndex(i)
		unix.Close(pair[0])
		return nil, err
	}
	t = &Thread{s: s, channel: channel{sock: pair[0], index: i, mem: mem, a: areaOf(mem), cmd: cmd}}
	s.threads.Lock()
	if s.threads.live == nil {
		s.threads.live = map[*Thread]struct{}{}
	}
	s.threads.live[t] = struct{}{}
	s.threads.Unlock()
	err = s.lead([]op{cloneOp(i)}, []int32{int32(pair[1])})
	if err != nil {
		s.forget(t)
		s.giveIndex(i)
		return nil, err
	}
	return t, nil
}

// takeThread returns a parked thread, or the index for a new one.
func (s *Space) takeThread() (*Thread, int, error) {
	th := &s.threads
	th.Lock()
	defer th.Unlock()
	if s.dead.Load() || th.released {
		return nil, 0, errDied
	}
	if n := len(th.idle); n > 0 {
		t := th.idle[n-1]
		th.idle = th.idle[:n-1]
		return t, 0, nil
	}
	// The end of a thread's socket is the one proof that it has gone.
	keep := th.leaving[:0]
	for _, t := range th.leaving {
		if !t.hungUp() {
			keep = append(keep, t)
			continue
		}
		clear(t.mem[:])
		delete(th.live, t)
		t.drop()
		th.free = append(th.free, t.index)
	}
	th.leaving = keep
	if n := len(th.free); n > 0 {
		i := th.free[n-1]
		th.free = th.free[:n-1]
		return nil, i, nil
	}
	if th.next+1 >= maxThreads {
		return nil, 0, errThreads
	}
	th.next++
	return nil, th.next, nil
}

// giveIndex takes back an index that no thread came to use.
func (s *Space) giveIndex(i int) {
	s.threads.Lock()
	s.threads.free = append(s.threads.free, i)
	s.threads.Unlock()
}

// forget drops the sentry's side of t.
func (s *Space) forget(t *Thread) {
	s.threads.Lock()
	delete(s.threads.live, t)
	s.threads.Unlock()
	t.drop()
}

// Release implements platform.Space.
func (s *Space) Release() {
	th := &s.threads
	th.Lock()
	gone := th.released
	th.released = true
	// Its process can serve again if every thread is under control.
	clean := !s.dead.Load() && len(th.live) == len(th.idle) && len(th.live) <= 2
	th.Unlock()
	if gone {
		return
	}
	if !clean || !s.p.pool.reuse(s) {
		s.end()
	}
}

// end gives up the process.
func (s *Space) end() {
	s.died()
	s.patchMu.Lock()
	s.text = nil
	if s.proc.tramp != nil {
		unmapTramp(s.proc.tramp)
		s.proc.tramp = nil
	}
	s.patchMu.Unlock()
	s.leadMu.Lock()
	defer s.leadMu.Unlock()
	th := &s.threads
	th.Lock()
	defer th.Unlock()
	th.released = true
	for _, t := range append(th.idle, th.leaving...) {
		delete(th.live, t)
		t.drop()
	}
	th.idle, th.leaving = nil, nil
	if s.proc.leader.a != nil {
		s.proc.close()
		s.proc.leader.a = nil
	}
}

// cloneOp has the leader make the thread of an index.
func cloneOp(i int) op {
	return op{nr: unix.SYS_CLONE, addr: cloneFlags, length: areaBase + uint64(i+1)*areaSize}
}
