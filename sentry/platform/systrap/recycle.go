package systrap

import (
	"golang.org/x/sys/unix"
)

// prepare makes a thread ahead of its use.
func (s *Space) prepare() {
	th, err := s.NewThread()
	if err != nil {
		return // whoever wants one will see
	}
	s.threads.Lock()
	s.threads.idle = append(s.threads.idle, th.(*Thread))
	s.threads.Unlock()
}

// booted waits until the thread that was made ahead has started.
func (s *Space) booted() bool {
	for _, t := range s.threads.idle {
		if !t.boot() {
			return false
		}
	}
	return !s.dead.Load()
}

// recycle empties the process of s for another address space, or returns nil.
//
// That user code of one guest process left nothing in it that could do harm in
// the next rests on this: its threads are gone, which only the end of their
// sockets proves; the leader never ran anything else; and of the memory, what
// was not read-only is unmapped or cleared. Whatever the leader's message
// header held when it went to sleep has its last effect on the message that
// unmaps.
func (s *Space) recycle() *Space {
	s.mu.Lock()
	s.mu.closed, s.mu.queue, s.mu.flying = true, nil, nil
	s.pending.Store(false)
	s.mu.Unlock()
	th := &s.threads
	th.Lock()
	ts := th.idle
	th.idle = nil
	th.leaving = append(th.leaving, ts...)
	th.Unlock()
	if len(ts) == 0 {
		return nil // never used; not worth it
	}
	for _, t := range ts {
		if !t.boot() {
			return nil
		}
		t.exit()
	}
	for _, t := range ts {
		if !t.awaitEnd() {
			return nil
		}
	}
	n, err := newSpace(s.p, s.proc)
	if err != nil {
		return nil
	}
	if s.dead.Swap(true) || clearPages(s.proc.leader.mem[:]) != nil {
		n.died()
	}
	s.patchMu.Lock()
	s.text = nil
	if s.patches.Swap(nil) != nil {
		clearTramp(s.proc.tramp)
	}
	s.patchMu.Unlock()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		n.died()
		return nil
	}
	defer unix.Close(pair[1])
	n.threads.next = s.threads.next
	n.threads.free = append(n.threads.free, s.threads.free...)
	for _, t := range ts[1:] {
		if clearPages(t.mem[:]) != nil {
			n.died()
		}
		n.threads.free = append(n.threads.free, t.index)
		t.drop()
	}
	// The first thread's pages go to its successor.
	old := ts[0]
	if clearPages(old.mem[:]) != nil {
		n.died()
	}
	t := &Thread{s: n, channel: channel{sock: pair[0], index: old.index, mem: old.mem, a: old.a, cmd: old.cmd}}
	unix.Close(old.sock)
	old.mem, old.a, old.cmd = nil, nil, nil
	n.threads.live = map[*Thread]struct{}{t: {}}
	n.threads.idle = []*Thread{t}
	err = n.lead([]op{{nr: unix.SYS_MUNMAP, length: maxAddr, fd: -1}, cloneOp(t.index)}, []int32{int32(pair[1])})
	if err != nil {
		n.end()
		return nil
	}
	return n
}
