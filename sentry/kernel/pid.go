package kernel

import (
	"math"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/wait"
)

// PIDNamespace numbers tasks (pid_namespaces(7)). All fields but the
// immutable ones are under TaskSet.mu.
type PIDNamespace struct {
	// Immutable.
	k      *Kernel
	parent *PIDNamespace
	level  int
	userNS *creds.UserNamespace
	ino    uint64

	pids map[int32]*PID
	last int32
	max  int32
	// reaper is the process with number 1; dead is set when it exited.
	reaper *ThreadGroup
	dead   bool
	procs  int // processes with a number in here
}

func newPIDNamespace(k *Kernel, parent *PIDNamespace, uns *creds.UserNamespace) *PIDNamespace {
	ns := &PIDNamespace{k: k, parent: parent, userNS: uns, ino: k.NewInode(), pids: make(map[int32]*PID), max: 4 << 20}
	if parent != nil {
		ns.level = parent.level + 1
	}
	return ns
}

// Parent is the enclosing namespace, nil for the root.
func (ns *PIDNamespace) Parent() *PIDNamespace { return ns.parent }

// UserNS owns the namespace.
func (ns *PIDNamespace) UserNS() *creds.UserNamespace { return ns.userNS }

// Ino is the inode number of /proc/pid/ns/pid.
func (ns *PIDNamespace) Ino() uint64 { return ns.ino }

// InOrBelow says whether ns is o or a descendant of it.
func (ns *PIDNamespace) InOrBelow(o *PIDNamespace) bool {
	for n := ns; n != nil; n = n.parent {
		if n == o {
			return true
		}
	}
	return false
}

// Init returns the process with number 1, or nil.
func (ns *PIDNamespace) Init() *ThreadGroup {
	ns.k.ts.mu.RLock()
	defer ns.k.ts.mu.RUnlock()
	return ns.reaper
}

// Last is the number given out last (/proc/loadavg, ns_last_pid).
func (ns *PIDNamespace) Last() int32 {
	ns.k.ts.mu.RLock()
	defer ns.k.ts.mu.RUnlock()
	return ns.last
}

// SetLast sets the number given out last (/proc/sys/kernel/ns_last_pid).
func (ns *PIDNamespace) SetLast(n int32) {
	ns.k.ts.mu.Lock()
	defer ns.k.ts.mu.Unlock()
	ns.last = n
}

// PID is a process identifier: one number in its namespace and one in each of
// its ancestors. Tasks, processes, groups and sessions hang on it; it keeps its
// numbers as long as one of them does (linux: struct pid). Under TaskSet.mu.
type PID struct {
	ns   *PIDNamespace
	one  [1]int32
	nums []int32 // by level

	task    *Task
	tg      *ThreadGroup // whose leader has this identifier
	pgrp    *ProcessGroup
	session *Session

	// Exited is notified when the process that had this identifier is dead or
	// reaped (pidfd_open(2)).
	Exited wait.Queue
	// status of the reaped process, for PIDFD_GET_INFO; valid once reaped.
	reaped     bool
	exitStatus uint32
}

// allocPIDLocked gives out a new identifier in ns. want[i], if set, is the number
// to have i levels above ns (clone3 set_tid).
func (ns *PIDNamespace) allocPIDLocked(want []int32) (*PID, error) {
	if ns.dead {
		return nil, errno.ENOMEM
	}
	p := &PID{ns: ns}
	if ns.level == 0 {
		p.nums = p.one[:]
	} else {
		p.nums = make([]int32, ns.level+1)
	}
	n := ns
	for i := 0; n != nil; i, n = i+1, n.parent {
		if i < len(want) {
			w := want[i]
			if w < 1 || w >= n.max || (w != 1 && n.reaper == nil && len(n.pids) == 0) {
				ns.undoPID(p, n)
				return nil, errno.EINVAL
			}
			if n.pids[w] != nil {
				ns.undoPID(p, n)
				return nil, errno.EEXIST
			}
			p.nums[n.level] = w
			n.pids[w] = p
			continue
		}
		if len(n.pids) >= int(n.max)-1 {
			ns.undoPID(p, n)
			return nil, errno.EAGAIN
		}
		nr := n.last
		wrapped := false
		for {
			nr++
			if nr >= n.max || nr == math.MaxInt32 {
				if wrapped {
					ns.undoPID(p, n)
					return nil, errno.EAGAIN
				}
				wrapped = true
				nr = 300 // as Linux: RESERVED_PIDS
			}
			if n.pids[nr] == nil {
				break
			}
		}
		n.last = nr
		p.nums[n.level] = nr
		n.pids[nr] = p
	}
	return p, nil
}

func (ns *PIDNamespace) undoPID(p *PID, until *PIDNamespace) {
	for n := ns; n != until; n = n.parent {
		delete(n.pids, p.nums[n.level])
	}
}

// releaseLocked frees the numbers if nothing hangs on p any more.
func (p *PID) releaseLocked() {
	if p.task != nil || p.tg != nil || p.pgrp != nil || p.session != nil {
		return
	}
	for n := p.ns; n != nil; n = n.parent {
		if n.pids[p.nums[n.level]] == p {
			delete(n.pids, p.nums[n.level])
		}
	}
}

// In returns the number p has in ns, 0 if it is not visible there.
func (p *PID) In(ns *PIDNamespace) int32 {
	if p == nil || ns.level >= len(p.nums) {
		return 0
	}
	if p.ns == ns {
		return p.nums[ns.level]
	}
	if !p.ns.InOrBelow(ns) {
		return 0
	}
	return p.nums[ns.level]
}

// Root returns the number in the root namespace.
func (p *PID) Root() int32 { return p.nums[0] }

// Numbers are the numbers from ns inwards (NSpid of /proc/pid/status).
func (p *PID) Numbers(ns *PIDNamespace) []int32 {
	if !p.ns.InOrBelow(ns) {
		return nil
	}
	return p.nums[ns.level:]
}

// Namespace is the innermost namespace that p is in.
func (p *PID) Namespace() *PIDNamespace { return p.ns }

// LookupPID finds the identifier with number nr in ns, or nil.
func (ns *PIDNamespace) LookupPID(nr int32) *PID {
	ns.k.ts.mu.RLock()
	defer ns.k.ts.mu.RUnlock()
	return ns.pids[nr]
}

// Task returns the task with number nr in ns, or nil. Dead tasks that were
// not yet waited for are included.
func (ns *PIDNamespace) Task(nr int32) *Task {
	ns.k.ts.mu.RLock()
	defer ns.k.ts.mu.RUnlock()
	if p := ns.pids[nr]; p != nil {
		return p.task
	}
	return nil
}

// ThreadGroup returns the process with number nr in ns, or nil.
func (ns *PIDNamespace) ThreadGroup(nr int32) *ThreadGroup {
	ns.k.ts.mu.RLock()
	defer ns.k.ts.mu.RUnlock()
	if p := ns.pids[nr]; p != nil {
		return p.tg
	}
	return nil
}

// ThreadGroups returns every process visible in ns, in no order.
func (ns *PIDNamespace) ThreadGroups() []*ThreadGroup {
	ns.k.ts.mu.RLock()
	defer ns.k.ts.mu.RUnlock()
	l := make([]*ThreadGroup, 0, len(ns.pids))
	for _, p := range ns.pids {
		if p.tg != nil {
			l = append(l, p.tg)
		}
	}
	return l
}

// ThreadGroup returns the process that has p as its identifier, or nil.
func (p *PID) ThreadGroup() *ThreadGroup {
	p.ns.k.ts.mu.RLock()
	defer p.ns.k.ts.mu.RUnlock()
	return p.tg
}

// Task returns the task that has p as its identifier, or nil.
func (p *PID) Task() *Task {
	p.ns.k.ts.mu.RLock()
	defer p.ns.k.ts.mu.RUnlock()
	return p.task
}

// ExitStatus returns the wait status kept after the process was reaped.
func (p *PID) ExitStatus() (uint32, bool) {
	p.ns.k.ts.mu.RLock()
	defer p.ns.k.ts.mu.RUnlock()
	return p.exitStatus, p.reaped
}
