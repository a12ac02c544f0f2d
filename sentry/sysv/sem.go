package sysv

import (
	"sync"
	"time"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/wait"
)

// SemSet is a set of semaphores (semget(2)).
type SemSet struct {
	mu    sync.Mutex
	p     Perm
	vals  []uint16
	pids  []int32
	ncnt  []int32
	zcnt  []int32
	otime int64
	ctime int64
	gone  bool
	q     wait.Queue
	undos map[*Undo][]int16
}

func (s *SemSet) perm() *Perm { return &s.p }

// SemOp is struct sembuf.
type SemOp struct {
	Num  uint16
	Op   int16
	Flag int16
}

const semUndo = 0x1000

// SemInfo is what IPC_STAT reports.
type SemInfo struct {
	Perm         Perm
	Otime, Ctime int64
	N            int
}

// Undo is the adjustments to make when its processes have exited (SEM_UNDO);
// tasks share one with CLONE_SYSVSEM.
type Undo struct {
	mu   sync.Mutex
	sets []*SemSet
	refs int
}

// NewUndo returns an Undo with one user.
func NewUndo() *Undo { return &Undo{refs: 1} }

// Share adds a user.
func (u *Undo) Share() {
	u.mu.Lock()
	u.refs++
	u.mu.Unlock()
}

// Exit drops a user; the last one's exit applies the adjustments for pid.
func (u *Undo) Exit(pid int32) {
	u.mu.Lock()
	u.refs--
	sets := u.sets
	if u.refs > 0 {
		u.mu.Unlock()
		return
	}
	u.sets = nil
	u.mu.Unlock()
	for _, s := range sets {
		s.mu.Lock()
		for i, adj := range s.undos[u] {
			if adj != 0 && i < len(s.vals) {
				s.vals[i] = uint16(min(max(int(s.vals[i])+int(adj), 0), SemVMX))
				s.pids[i] = pid
			}
		}
		delete(s.undos, u)
		s.q.Notify(wait.In)
		s.mu.Unlock()
	}
}

// SemGet is semget(2).
func (ns *Namespace) SemGet(c Caller, key int32, n int, flags uint32) (int32, error) {
	if n < 0 || n > SemMSL {
		return 0, errno.EINVAL
	}
	return ns.sem.get(c, ns.userNS, key, flags, func(s *SemSet) error {
		if n > len(s.vals) {
			return errno.EINVAL
		}
		return nil
	}, func(p Perm) (*SemSet, error) {
		if n == 0 {
			return nil, errno.EINVAL
		}
		return &SemSet{p: p, vals: make([]uint16, n), pids: make([]int32, n), ncnt: make([]int32, n), zcnt: make([]int32, n), ctime: now()}, nil
	})
}

// tryLocked does all of ops or none; blocked is the index of the one that
// must wait, or -1.
func (s *SemSet) tryLocked(ops []SemOp, u *Undo, pid int32) (blocked int, err error) {
	var adj []int16
	for i, op := range ops {
		v := &s.vals[op.Num]
		undo := func(n int) {
			for j := n - 1; j >= 0; j-- {
				s.vals[ops[j].Num] = uint16(int(s.vals[ops[j].Num]) - int(ops[j].Op))
			}
		}
		next := int(*v) + int(op.Op)
		if op.Op == 0 && *v != 0 || next < 0 {
			undo(i)
			return i, nil
		}
		if next > SemVMX {
			undo(i)
			return -1, errno.ERANGE
		}
		*v = uint16(next)
	}
	for _, op := range ops {
		s.pids[op.Num] = pid
		if op.Flag&semUndo != 0 && op.Op != 0 {
			if adj == nil {
				adj = s.undoLocked(u)
			}
			adj[op.Num] -= op.Op
		}
	}
	s.otime = now()
	return -1, nil
}

func (s *SemSet) undoLocked(u *Undo) []int16 {
	if a := s.undos[u]; a != nil {
		return a
	}
	if s.undos == nil {
		s.undos = map[*Undo][]int16{}
	}
	a := make([]int16, len(s.vals))
	s.undos[u] = a
	u.mu.Lock()
	u.sets = append(u.sets, s)
	u.mu.Unlock()
	return a
}

// SemOp is semtimedop(2); u is the caller's Undo (needed if an operation has
// SEM_UNDO), a zero deadline means none.
func (ns *Namespace) SemOp(c Caller, id int32, ops []SemOp, deadline time.Time, u *Undo) error {
	s, err := ns.sem.find(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := uint32(permRead)
	for _, op := range ops {
		if int(op.Num) >= len(s.vals) {
			return errno.EFBIG
		}
		if op.Op != 0 {
			want = permWrite
		}
	}
	if !s.p.allows(c.Creds(), want) {
		return errno.EACCES
	}
	if s.gone {
		return errno.EIDRM
	}
	for {
		i, err := s.tryLocked(ops, u, c.ProcessID())
		if err != nil {
			return err
		}
		if i < 0 {
			s.q.Notify(wait.In)
			return nil
		}
		if ops[i].Flag&int16(ipcNoWait) != 0 {
			return errno.EAGAIN
		}
		cnt := &s.ncnt[ops[i].Num]
		if ops[i].Op == 0 {
			cnt = &s.zcnt[ops[i].Num]
		}
		*cnt++
		e := wait.NewEntry(wait.In)
		s.q.Add(e)
		s.mu.Unlock()
		err = c.Block(e, deadline)
		s.q.Remove(e)
		s.mu.Lock()
		*cnt--
		switch {
		case s.gone:
			return errno.EIDRM
		case err == errno.ETIMEDOUT:
			return errno.EAGAIN
		case err != nil:
			return errno.EINTR // semop(2) is never restarted
		}
	}
}

// SemRemove is IPC_RMID.
func (ns *Namespace) SemRemove(c Caller, id int32) error {
	ns.sem.mu.Lock()
	defer ns.sem.mu.Unlock()
	s, slot, err := ns.sem.lookupLocked(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.p.owns(c.Creds()) {
		return errno.EPERM
	}
	s.gone = true
	for u := range s.undos {
		u.mu.Lock()
		for i, o := range u.sets {
			if o == s {
				u.sets = append(u.sets[:i], u.sets[i+1:]...)
				break
			}
		}
		u.mu.Unlock()
	}
	s.undos = nil
	ns.sem.removeLocked(slot)
	s.q.Notify(wait.In)
	return nil
}

// withSem runs fn on a set the caller may access with want.
func (ns *Namespace) withSem(c Caller, id int32, want uint32, fn func(*SemSet) error) error {
	s, err := ns.sem.find(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errno.EIDRM
	}
	if want != 0 && !s.p.allows(c.Creds(), want) {
		return errno.EACCES
	}
	return fn(s)
}

// SemSetPerm is IPC_SET.
func (ns *Namespace) SemSetPerm(c Caller, id int32, p SetPerm) error {
	return ns.withSem(c, id, 0, func(s *SemSet) error {
		if err := s.p.set(c.Creds(), p); err != nil {
			return err
		}
		s.ctime = now()
		return nil
	})
}

func (s *SemSet) info() SemInfo { return SemInfo{s.p, s.otime, s.ctime, len(s.vals)} }

// SemStat is IPC_STAT.
func (ns *Namespace) SemStat(c Caller, id int32) (i SemInfo, err error) {
	err = ns.withSem(c, id, permRead, func(s *SemSet) error { i = s.info(); return nil })
	return i, err
}

// SemStatSlot is SEM_STAT (any: SEM_STAT_ANY); it returns the set's id too.
func (ns *Namespace) SemStatSlot(c Caller, slot int32, any bool) (i SemInfo, id int32, err error) {
	s, id, err := ns.sem.bySlot(slot)
	if err != nil {
		return i, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !any && !s.p.allows(c.Creds(), permRead) {
		return i, 0, errno.EACCES
	}
	return s.info(), id, nil
}

// SemGetAll is GETALL.
func (ns *Namespace) SemGetAll(c Caller, id int32) (vals []uint16, err error) {
	err = ns.withSem(c, id, permRead, func(s *SemSet) error { vals = append(vals, s.vals...); return nil })
	return vals, err
}

// SemCount is the number of semaphores in a set, for SETALL.
func (ns *Namespace) SemCount(c Caller, id int32) (n int, err error) {
	err = ns.withSem(c, id, permWrite, func(s *SemSet) error { n = len(s.vals); return nil })
	return n, err
}

// clearUndoLocked forgets the adjustments of semaphore i (SETVAL, SETALL).
func (s *SemSet) clearUndoLocked(i int) {
	for _, a := range s.undos {
		a[i] = 0
	}
}

// SemSetAll is SETALL.
func (ns *Namespace) SemSetAll(c Caller, id int32, vals []uint16) error {
	return ns.withSem(c, id, permWrite, func(s *SemSet) error {
		if len(vals) != len(s.vals) {
			return errno.EIDRM
		}
		for _, v := range vals {
			if v > SemVMX {
				return errno.ERANGE
			}
		}
		copy(s.vals, vals)
		for i := range s.pids {
			s.pids[i] = c.ProcessID()
			s.clearUndoLocked(i)
		}
		s.ctime = now()
		s.q.Notify(wait.In)
		return nil
	})
}

// SemSetVal is SETVAL.
func (ns *Namespace) SemSetVal(c Caller, id int32, num int, v int32) error {
	if v < 0 || v > SemVMX {
		if _, err := ns.sem.find(id); err != nil {
			return err
		}
		return errno.ERANGE
	}
	return ns.withSem(c, id, permWrite, func(s *SemSet) error {
		if num < 0 || num >= len(s.vals) {
			return errno.EINVAL
		}
		s.vals[num] = uint16(v)
		s.pids[num] = c.ProcessID()
		s.clearUndoLocked(num)
		s.ctime = now()
		s.q.Notify(wait.In)
		return nil
	})
}

// SemQuery selects what SemGetOne reads.
type SemQuery int

// Values of semctl's GETVAL, GETPID, GETNCNT and GETZCNT.
const (
	SemVal SemQuery = iota
	SemPid
	SemNcnt
	SemZcnt
)

// SemGetOne reads one number of one semaphore.
func (ns *Namespace) SemGetOne(c Caller, id int32, num int, what SemQuery) (v int32, err error) {
	err = ns.withSem(c, id, permRead, func(s *SemSet) error {
		if num < 0 || num >= len(s.vals) {
			return errno.EINVAL
		}
		switch what {
		case SemVal:
			v = int32(s.vals[num])
		case SemPid:
			v = s.pids[num]
		case SemNcnt:
			v = s.ncnt[num]
		case SemZcnt:
			v = s.zcnt[num]
		}
		return nil
	})
	return v, err
}

// SemMaxSlot is the highest used index.
func (ns *Namespace) SemMaxSlot() int32 { return ns.sem.maxSlot() }

// SemUsage counts sets and semaphores (SEM_INFO).
func (ns *Namespace) SemUsage() (sets, sems int) {
	ns.sem.all(func(_ int32, s *SemSet) { sets++; sems += len(s.vals) })
	return sets, sems
}

// EachSem lists all sets for /proc/sysvipc/sem.
func (ns *Namespace) EachSem(fn func(id int32, i SemInfo)) {
	ns.sem.all(func(id int32, s *SemSet) {
		s.mu.Lock()
		i := s.info()
		s.mu.Unlock()
		fn(id, i)
	})
}

// Users is how many tasks share u.
func (u *Undo) Users() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.refs
}
