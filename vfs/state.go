package vfs

import (
	"sync"
	"sync/atomic"
)

// InodeBase is embedded by inodes: what vfs keeps per inode (write and execute
// counts, locks, watches, the pipe of a FIFO, the socket bound to it). Inodes
// that do not embed it get theirs from a table.
type InodeBase struct {
	writers atomic.Int64 // open for writing; negative: mapped for execution
	state   atomic.Pointer[inodeState]
}

func (b *InodeBase) vfsBase() *InodeBase { return b }

type hasBase interface{ vfsBase() *InodeBase }

// inodeState is the rare part of InodeBase.
type inodeState struct {
	mu     sync.Mutex
	locks  fileLocks
	marks  []*mark
	leases []*lease
	kept   int // counts of the inode that the marks hold
	pipe   any
	socket any
}

type stateTable struct{ m sync.Map } // Inode -> *InodeBase

func (s *System) base(i Inode) *InodeBase {
	if b, ok := i.(hasBase); ok {
		return b.vfsBase()
	}
	if v, ok := s.states.m.Load(i); ok {
		return v.(*InodeBase)
	}
	v, _ := s.states.m.LoadOrStore(i, new(InodeBase))
	return v.(*InodeBase)
}

// peek returns i's base if it has one already.
func (s *System) peek(i Inode) *InodeBase {
	if b, ok := i.(hasBase); ok {
		return b.vfsBase()
	}
	if v, ok := s.states.m.Load(i); ok {
		return v.(*InodeBase)
	}
	return nil
}

func (b *InodeBase) get() *inodeState {
	if st := b.state.Load(); st != nil {
		return st
	}
	b.state.CompareAndSwap(nil, new(inodeState))
	return b.state.Load()
}

// Socket returns what BindSocket stored, or nil.
func (s *System) Socket(i Inode) any {
	b := s.peek(i)
	if b == nil {
		return nil
	}
	st := b.state.Load()
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.socket
}

// BindSocket ties an AF_UNIX endpoint to the inode of its name (nil unties).
func (s *System) BindSocket(i Inode, sock any) {
	st := s.base(i).get()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.socket = sock
}

// Pipe returns the pipe of a FIFO's inode, made by mk at first use. drop, used
// with the same lock held, lets pipefs forget an unused pipe.
func (s *System) Pipe(i Inode, mk func() any) any {
	st := s.base(i).get()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.pipe == nil {
		st.pipe = mk()
	}
	return st.pipe
}

// DropPipe forgets the pipe of a FIFO's inode if it is p and unused says so.
func (s *System) DropPipe(i Inode, p any, unused func() bool) {
	st := s.base(i).get()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.pipe == p && unused() {
		st.pipe = nil
	}
}
