package sysv

import (
	"fmt"
	"sync"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/pages"
)

// Shm is a shared memory segment (shmget(2)). It is a memmap.Mappable; each
// area that maps it counts as an attachment.
type Shm struct {
	*mm.SharedAnon
	ns *Namespace
	id int32

	mu           sync.Mutex
	p            Perm
	size         uint64 // as asked for
	mapped       uint64 // bytes in areas
	atime, dtime int64
	ctime        int64
	cpid, lpid   int32
	dest         bool // removed; goes with its last attachment
	locked       bool
}

func (s *Shm) perm() *Perm { return &s.p }

// ShmInfo is what IPC_STAT reports.
type ShmInfo struct {
	Perm                Perm
	Size                uint64
	Atime, Dtime, Ctime int64
	CPid, LPid          int32
	Attached            uint64
	Dest, Locked        bool
}

// Mode bits that shmctl(2) shows beside the permission.
const (
	ShmDest   = 0o1000
	ShmLocked = 0o2000
)

func pageUp(n uint64) uint64 { return (n + 4095) &^ 4095 }

// ShmGet is shmget(2).
func (ns *Namespace) ShmGet(c Caller, mem *pages.Memory, key int32, size uint64, flags uint32) (int32, error) {
	var made *Shm
	id, err := ns.shm.get(c, ns.userNS, key, flags, func(s *Shm) error {
		if size > s.size {
			return errno.EINVAL
		}
		return nil
	}, func(p Perm) (*Shm, error) {
		if size < ShmMin || size > ShmMax || pageUp(size) > 1<<46 {
			return nil, errno.EINVAL
		}
		o, err := mm.NewSharedAnon(mem, pageUp(size), fmt.Sprintf("/SYSV%08x (deleted)", uint32(key)), 0)
		if err != nil {
			return nil, errno.ENOMEM
		}
		made = &Shm{SharedAnon: o, ns: ns, p: p, size: size, ctime: now(), cpid: c.ProcessID()}
		return made, nil
	})
	if made != nil && err == nil {
		made.id = id
	}
	return id, err
}

// AddMapping implements memmap.Mappable.
func (s *Shm) AddMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) error {
	if err := s.SharedAnon.AddMapping(m, ar, off, writable); err != nil {
		return err
	}
	s.mu.Lock()
	s.mapped += ar.Len()
	s.mu.Unlock()
	return nil
}

// RemoveMapping implements memmap.Mappable.
func (s *Shm) RemoveMapping(m memmap.Mapping, ar memmap.Range, off uint64, writable bool) {
	s.SharedAnon.RemoveMapping(m, ar, off, writable)
	s.mu.Lock()
	s.mapped -= ar.Len()
	s.dtime = now()
	last := s.dest && s.mapped == 0
	s.mu.Unlock()
	if last {
		s.ns.shmDrop(s)
	}
}

// shmDrop forgets a removed segment that nothing maps any more.
func (ns *Namespace) shmDrop(s *Shm) {
	ns.shm.mu.Lock()
	o, slot, err := ns.shm.lookupLocked(s.id)
	found := err == nil && o == s
	if found {
		s.mu.Lock()
		found = s.dest && s.mapped == 0
		s.mu.Unlock()
	}
	if found {
		ns.shm.removeLocked(slot)
	}
	ns.shm.mu.Unlock()
	if found {
		s.Release()
	}
}

// ShmAttach finds a segment for shmat(2) and checks the access: exec and
// write beside read.
func (ns *Namespace) ShmAttach(c Caller, id int32, write, exec bool) (*Shm, uint64, error) {
	s, err := ns.shm.find(id)
	if err != nil {
		return nil, 0, err
	}
	want := uint32(permRead)
	if write {
		want |= permWrite
	}
	if exec {
		want |= 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.p.allows(c.Creds(), want) {
		return nil, 0, errno.EACCES
	}
	return s, pageUp(s.size), nil
}

// Touched notes an attachment or detachment by c.
func (s *Shm) Touched(c Caller, attach bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lpid = c.ProcessID()
	if attach {
		s.atime = now()
	} else {
		s.dtime = now()
	}
}

// ShmRemove is IPC_RMID.
func (ns *Namespace) ShmRemove(c Caller, id int32) error {
	ns.shm.mu.Lock()
	s, slot, err := ns.shm.lookupLocked(id)
	if err != nil {
		ns.shm.mu.Unlock()
		return err
	}
	s.mu.Lock()
	if !s.p.owns(c.Creds()) {
		s.mu.Unlock()
		ns.shm.mu.Unlock()
		return errno.EPERM
	}
	s.dest = true
	s.ctime = now()
	free := s.mapped == 0
	if free {
		ns.shm.removeLocked(slot)
	} else {
		ns.shm.hideKeyLocked(slot)
	}
	s.mu.Unlock()
	ns.shm.mu.Unlock()
	if free {
		s.Release()
	}
	return nil
}

// ShmSetPerm is IPC_SET.
func (ns *Namespace) ShmSetPerm(c Caller, id int32, p SetPerm) error {
	s, err := ns.shm.find(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.p.set(c.Creds(), p); err != nil {
		return err
	}
	s.ctime = now()
	return nil
}

// ShmLock is SHM_LOCK and SHM_UNLOCK, for owners and CAP_IPC_LOCK.
func (ns *Namespace) ShmLock(c Caller, id int32, lock bool) error {
	s, err := ns.shm.find(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if cr := c.Creds(); cr.EUID != s.p.UID && cr.EUID != s.p.CUID && !cr.HasCap(creds.CapIpcLock, ns.userNS) {
		return errno.EPERM
	}
	s.locked = lock
	return nil
}

func (s *Shm) info() ShmInfo {
	size := pageUp(s.size)
	return ShmInfo{s.p, s.size, s.atime, s.dtime, s.ctime, s.cpid, s.lpid, (s.mapped + size - 1) / size, s.dest, s.locked}
}

// ShmStat is IPC_STAT.
func (ns *Namespace) ShmStat(c Caller, id int32) (ShmInfo, error) {
	s, err := ns.shm.find(id)
	if err != nil {
		return ShmInfo{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.p.allows(c.Creds(), permRead) {
		return ShmInfo{}, errno.EACCES
	}
	return s.info(), nil
}

// ShmStatSlot is SHM_STAT (any: SHM_STAT_ANY).
func (ns *Namespace) ShmStatSlot(c Caller, slot int32, any bool) (ShmInfo, int32, error) {
	s, id, err := ns.shm.bySlot(slot)
	if err != nil {
		return ShmInfo{}, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !any && !s.p.allows(c.Creds(), permRead) {
		return ShmInfo{}, 0, errno.EACCES
	}
	return s.info(), id, nil
}

// ShmMaxSlot is the highest used index.
func (ns *Namespace) ShmMaxSlot() int32 { return ns.shm.maxSlot() }

// ShmUsage counts segments and their pages (SHM_INFO).
func (ns *Namespace) ShmUsage() (segments int, npages uint64) {
	ns.EachShm(func(_ int32, i ShmInfo) { segments++; npages += pageUp(i.Size) / 4096 })
	return segments, npages
}

// EachShm lists all segments for /proc/sysvipc/shm.
func (ns *Namespace) EachShm(fn func(id int32, i ShmInfo)) {
	ns.shm.all(func(id int32, s *Shm) {
		s.mu.Lock()
		i := s.info()
		s.mu.Unlock()
		fn(id, i)
	})
}
