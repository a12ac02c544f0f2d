// Package sysv is System V IPC: shared memory, semaphore sets and message
// queues of one IPC namespace (sysvipc(7)).
//
// A Registry holds one kind of object by key and id; Shm, SemSet and MsgQueue
// are the objects. The package knows no tasks: callers come as Caller.
//
// Locks: Registry.mu before an object's mu; both are leaves otherwise. An
// object that was removed says so in its base and wakes everybody.
package sysv

import (
	"sync"
	"time"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// Caller is who makes a call.
type Caller = kctx.Ctx

// Limits of Linux (include/uapi/linux/{ipc,sem,msg,shm}.h).
const (
	maxObjects = 32000
	idStep     = 32768 // ids are sequence*idStep + slot

	SemMSL = 32000 // semaphores in a set
	SemMNS = 1024000000
	SemOPM = 500
	SemVMX = 32767
	MsgMax = 8192
	MsgMNB = 16384
	ShmMax = ^uint64(0) - 1<<24
	ShmMin = 1
)

// Flags of the get calls.
const (
	ipcCreat  = 0o1000
	ipcExcl   = 0o2000
	ipcNoWait = 0o4000
	// KeyPrivate always makes a new object.
	KeyPrivate = 0
)

// Perm is who may do what with an object (struct ipc_perm).
type Perm struct {
	Key       int32
	UID, CUID creds.KUID
	GID, CGID creds.KGID
	Mode      uint32 // nine permission bits
	seq       uint32
	userNS    *creds.UserNamespace
}

// Access rights as in the owner's mode bits.
const (
	permRead  = 4
	permWrite = 2
)

func (p *Perm) allows(c *creds.Credentials, want uint32) bool {
	have := p.Mode
	switch {
	case c.EUID == p.UID || c.EUID == p.CUID:
		have >>= 6
	case inGroup(c, p.GID) || inGroup(c, p.CGID):
		have >>= 3
	}
	return want&^have&7 == 0 || c.HasCap(creds.CapIpcOwner, p.userNS)
}

func inGroup(c *creds.Credentials, g creds.KGID) bool {
	if c.EGID == g {
		return true
	}
	for _, x := range c.Groups {
		if x == g {
			return true
		}
	}
	return false
}

func (p *Perm) owns(c *creds.Credentials) bool {
	return c.EUID == p.UID || c.EUID == p.CUID || c.HasCap(creds.CapSysAdmin, p.userNS)
}

// SetPerm is the IPC_SET command's part that all kinds share.
type SetPerm struct {
	UID  creds.KUID
	GID  creds.KGID
	Mode uint32
}

func (p *Perm) set(c *creds.Credentials, s SetPerm) error {
	if !p.owns(c) {
		return errno.EPERM
	}
	p.UID, p.GID, p.Mode = s.UID, s.GID, s.Mode&0o777
	return nil
}

type object interface{ perm() *Perm }

// registry is the table of one kind of object.
type registry[T object] struct {
	mu    sync.Mutex
	slots []T
	used  []bool
	byKey map[int32]int
	seq   []uint32
	n     int
}

func (r *registry[T]) lookupLocked(id int32) (o T, slot int, err error) {
	slot = int(id) % idStep
	if id < 0 || slot >= len(r.slots) || !r.used[slot] || uint32(int(id)/idStep) != r.slots[slot].perm().seq {
		return o, 0, errno.EINVAL
	}
	return r.slots[slot], slot, nil
}

// find returns the object with an id.
func (r *registry[T]) find(id int32) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, _, err := r.lookupLocked(id)
	return o, err
}

// get is the common part of shmget, semget and msgget. check looks at an
// object that exists, mk makes one.
func (r *registry[T]) get(c Caller, ns *creds.UserNamespace, key int32, flags uint32, check func(T) error, mk func(Perm) (T, error)) (int32, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key != KeyPrivate {
		if slot, ok := r.byKey[key]; ok {
			o := r.slots[slot]
			if flags&(ipcCreat|ipcExcl) == ipcCreat|ipcExcl {
				return 0, errno.EEXIST
			}
			if err := check(o); err != nil {
				return 0, err
			}
			if f := flags & 0o777; !o.perm().allows(c.Creds(), (f>>6|f>>3|f)&7) {
				return 0, errno.EACCES
			}
			return r.idOf(slot), nil
		}
		if flags&ipcCreat == 0 {
			return 0, errno.ENOENT
		}
	}
	if r.n >= maxObjects {
		return 0, errno.ENOSPC
	}
	cr := c.Creds()
	p := Perm{Key: key, UID: cr.EUID, CUID: cr.EUID, GID: cr.EGID, CGID: cr.EGID, Mode: flags & 0o777, userNS: ns}
	slot := 0
	for slot < len(r.used) && r.used[slot] {
		slot++
	}
	if slot == len(r.used) {
		var zero T
		r.slots, r.used, r.seq = append(r.slots, zero), append(r.used, false), append(r.seq, 0)
	}
	p.seq = r.seq[slot]
	o, err := mk(p)
	if err != nil {
		return 0, err
	}
	r.slots[slot], r.used[slot] = o, true
	r.n++
	if key != KeyPrivate {
		if r.byKey == nil {
			r.byKey = map[int32]int{}
		}
		r.byKey[key] = slot
	}
	return r.idOf(slot), nil
}

func (r *registry[T]) idOf(slot int) int32 {
	return int32(r.slots[slot].perm().seq)*idStep + int32(slot)
}

// hideKey makes an object unreachable by key (shm marked for removal).
func (r *registry[T]) hideKeyLocked(slot int) {
	p := r.slots[slot].perm()
	if p.Key != KeyPrivate {
		delete(r.byKey, p.Key)
		p.Key = KeyPrivate
	}
}

func (r *registry[T]) removeLocked(slot int) {
	r.hideKeyLocked(slot)
	var zero T
	r.slots[slot], r.used[slot] = zero, false
	r.seq[slot] = (r.seq[slot] + 1) % 65535
	r.n--
}

// max returns the highest used slot, or 0.
func (r *registry[T]) maxSlot() int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.used) - 1; i >= 0; i-- {
		if r.used[i] {
			return int32(i)
		}
	}
	return 0
}

// bySlot is for the *_STAT commands, which name an index; it returns the id.
func (r *registry[T]) bySlot(slot int32) (o T, id int32, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slot < 0 || int(slot) >= len(r.used) || !r.used[slot] {
		return o, 0, errno.EINVAL
	}
	return r.slots[slot], r.idOf(int(slot)), nil
}

// all lists ids and objects for /proc/sysvipc.
func (r *registry[T]) all(fn func(id int32, o T)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, u := range r.used {
		if u {
			fn(r.idOf(i), r.slots[i])
		}
	}
}

// Namespace is the System V IPC of one IPC namespace.
type Namespace struct {
	userNS *creds.UserNamespace
	shm    registry[*Shm]
	sem    registry[*SemSet]
	msg    registry[*MsgQueue]
}

// New returns an empty namespace that ns owns.
func New(ns *creds.UserNamespace) *Namespace { return &Namespace{userNS: ns} }

func now() int64 { return time.Now().Unix() }

// Seq is the sequence number in the object's id.
func (p *Perm) Seq() uint32 { return p.seq }
