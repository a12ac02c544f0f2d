// Package limits has the resource limits of a process (getrlimit(2)).
package limits

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Infinity is RLIM_INFINITY.
const Infinity = ^uint64(0)

// Count is how many resources there are (RLIM_NLIMITS).
const Count = 16

// Resources that x/sys does not name.
const (
	Locks      = 10
	SigPending = 11
	MsgQueue   = 12
	Nice       = 13
	RTPrio     = 14
	RTTime     = 15
)

// Source is a caller whose limits count: *kernel.Task. Limit returns the soft
// limit of unix.RLIMIT_x.
type Source interface{ Limit(resource int) uint64 }

// Set has the limits of one process, shared by its tasks. Safe for
// concurrent use.
type Set struct {
	mu  sync.RWMutex
	lim [Count]unix.Rlimit
}

// Default returns the limits Linux gives its first process.
func Default() *Set {
	s := &Set{}
	for i := range s.lim {
		s.lim[i] = unix.Rlimit{Cur: Infinity, Max: Infinity}
	}
	s.lim[unix.RLIMIT_STACK].Cur = 8 << 20
	s.lim[unix.RLIMIT_CORE].Cur = 0
	s.lim[unix.RLIMIT_NPROC] = unix.Rlimit{Cur: 65536, Max: 65536}
	s.lim[unix.RLIMIT_NOFILE] = unix.Rlimit{Cur: 1024, Max: 1 << 20}
	s.lim[unix.RLIMIT_MEMLOCK] = unix.Rlimit{Cur: 8 << 20, Max: 8 << 20}
	s.lim[SigPending] = unix.Rlimit{Cur: 65536, Max: 65536}
	s.lim[MsgQueue] = unix.Rlimit{Cur: 819200, Max: 819200}
	s.lim[Nice] = unix.Rlimit{}
	s.lim[RTPrio] = unix.Rlimit{}
	return s
}

// Fork copies s for a new process.
func (s *Set) Fork() *Set {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &Set{lim: s.lim}
}

// Get returns a limit; resource must be below Count.
func (s *Set) Get(resource int) unix.Rlimit {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.lim[resource]
}

// Cur returns a soft limit.
func (s *Set) Cur(resource int) uint64 { return s.Get(resource).Cur }

// Set stores a limit without checks (boot).
func (s *Set) Set(resource int, l unix.Rlimit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lim[resource] = l
}

// Swap stores a limit if check agrees with the old one, and returns the old.
func (s *Set) Swap(resource int, l unix.Rlimit, check func(old unix.Rlimit) error) (unix.Rlimit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.lim[resource]
	if err := check(old); err != nil {
		return old, err
	}
	s.lim[resource] = l
	return old, nil
}
