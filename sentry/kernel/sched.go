package kernel

import "sync"

// schedState is what the scheduling calls store and read back. Differs: the
// host schedules; policies and priorities do not change what runs when.
type schedState struct {
	mu       sync.Mutex
	policy   int32
	prio     int32 // static priority of SCHED_FIFO and SCHED_RR
	nice     int32
	reset    bool // SCHED_RESET_ON_FORK
	ioprio   int32
	affinity []uint64
}

// Sched is a copy of a task's scheduling attributes.
type Sched struct {
	Policy, Prio, Nice int32
	ResetOnFork        bool
	IOPrio             int32
}

func (s *schedState) init(k *Kernel) {
	s.affinity = allCPUs(k.args.CPUs)
}

func allCPUs(n int) []uint64 {
	m := make([]uint64, (n+63)/64)
	for i := 0; i < n; i++ {
		m[i/64] |= 1 << (i % 64)
	}
	return m
}

func (s *schedState) inherit(o *schedState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s.policy, s.prio, s.nice, s.ioprio = o.policy, o.prio, o.nice, o.ioprio
	s.affinity = o.affinity
	if o.reset {
		if o.policy == 1 || o.policy == 2 { // SCHED_FIFO, SCHED_RR
			s.policy, s.prio, s.nice = 0, 0, 0
		}
		s.nice = max(0, s.nice)
	}
}

// Sched returns the scheduling attributes.
func (t *Task) Sched() Sched {
	s := &t.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	return Sched{s.policy, s.prio, s.nice, s.reset, s.ioprio}
}

// SetSched stores them.
func (t *Task) SetSched(n Sched) {
	s := &t.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy, s.prio, s.nice, s.reset, s.ioprio = n.Policy, n.Prio, n.Nice, n.ResetOnFork, n.IOPrio
}

// Affinity is the set of processors t may use.
func (t *Task) Affinity() []uint64 {
	s := &t.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.affinity
}

// SetAffinity stores a set; the part that exists must not be empty, which the
// caller checks.
func (t *Task) SetAffinity(m []uint64) {
	s := &t.sched
	s.mu.Lock()
	defer s.mu.Unlock()
	s.affinity = m
}

// CPU is the processor t is shown to run on: the first it may use.
func (t *Task) CPU() int {
	for i, w := range t.Affinity() {
		for b := 0; b < 64; b++ {
			if w>>b&1 != 0 {
				return i*64 + b
			}
		}
	}
	return 0
}

// rseqState is a registration of rseq(2).
type rseqState struct {
	addr uint64
	size uint32
	sig  uint32
}
