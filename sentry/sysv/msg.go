package sysv

import (
	"sync"
	"time"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/wait"
)

type message struct {
	typ  int64
	data []byte
}

// MsgQueue is a message queue (msgget(2)).
type MsgQueue struct {
	mu           sync.Mutex
	p            Perm
	msgs         []message
	bytes, limit uint64
	stime, rtime int64
	ctime        int64
	lspid, lrpid int32
	gone         bool
	q            wait.Queue // In: a message came; Out: room was made
}

func (m *MsgQueue) perm() *Perm { return &m.p }

// MsgInfo is what IPC_STAT reports.
type MsgInfo struct {
	Perm                Perm
	Stime, Rtime, Ctime int64
	Bytes, Num, Limit   uint64
	LSPid, LRPid        int32
}

// Flags of msgrcv(2).
const (
	msgNoError = 0o10000
	msgExcept  = 0o20000
	msgCopy    = 0o40000
)

// MsgGet is msgget(2).
func (ns *Namespace) MsgGet(c Caller, key int32, flags uint32) (int32, error) {
	return ns.msg.get(c, ns.userNS, key, flags, func(*MsgQueue) error { return nil }, func(p Perm) (*MsgQueue, error) {
		return &MsgQueue{p: p, limit: MsgMNB, ctime: now()}, nil
	})
}

// block waits for ev on m, whose lock is held.
func (m *MsgQueue) blockLocked(c Caller, ev wait.Events) error {
	e := wait.NewEntry(ev)
	m.q.Add(e)
	m.mu.Unlock()
	err := c.Block(e, time.Time{})
	m.q.Remove(e)
	m.mu.Lock()
	if m.gone {
		return errno.EIDRM
	}
	if err != nil {
		return errno.ERESTARTNOHAND
	}
	return nil
}

// MsgSend is msgsnd(2). data is kept.
func (ns *Namespace) MsgSend(c Caller, id int32, typ int64, data []byte, flags uint32) error {
	if id < 0 || typ < 1 || len(data) > MsgMax {
		return errno.EINVAL
	}
	m, err := ns.msg.find(id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.p.allows(c.Creds(), permWrite) {
		return errno.EACCES
	}
	for m.bytes+uint64(len(data)) > m.limit || uint64(len(m.msgs)) >= m.limit {
		if m.gone {
			return errno.EIDRM
		}
		if flags&ipcNoWait != 0 {
			return errno.EAGAIN
		}
		if err := m.blockLocked(c, wait.Out); err != nil {
			return err
		}
	}
	if m.gone {
		return errno.EIDRM
	}
	m.msgs = append(m.msgs, message{typ, data})
	m.bytes += uint64(len(data))
	m.lspid, m.stime = c.ProcessID(), now()
	m.q.Notify(wait.In)
	return nil
}

// pickLocked finds the message that msgrcv(2) with typ and flags wants.
func (m *MsgQueue) pickLocked(typ int64, flags uint32) int {
	best := -1
	for i, x := range m.msgs {
		switch {
		case flags&msgCopy != 0:
			if int64(i) == typ {
				return i
			}
		case typ == 0:
			return i
		case typ > 0 && flags&msgExcept != 0:
			if x.typ != typ {
				return i
			}
		case typ > 0:
			if x.typ == typ {
				return i
			}
		default:
			if (typ == -1<<63 || x.typ <= -typ) && (best < 0 || x.typ < m.msgs[best].typ) {
				best = i
			}
		}
	}
	return best
}

// MsgReceive is msgrcv(2); it returns the message's type and at most max bytes.
func (ns *Namespace) MsgReceive(c Caller, id int32, typ int64, max uint64, flags uint32) (int64, []byte, error) {
	if id < 0 || int64(max) < 0 || flags&msgCopy != 0 && (flags&msgExcept != 0 || flags&ipcNoWait == 0) {
		return 0, nil, errno.EINVAL
	}
	m, err := ns.msg.find(id)
	if err != nil {
		return 0, nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.p.allows(c.Creds(), permRead) {
		return 0, nil, errno.EACCES
	}
	for {
		if m.gone {
			return 0, nil, errno.EIDRM
		}
		if i := m.pickLocked(typ, flags); i >= 0 {
			x := m.msgs[i]
			if uint64(len(x.data)) > max {
				if flags&msgNoError == 0 {
					return 0, nil, errno.E2BIG
				}
			}
			if flags&msgCopy == 0 {
				m.msgs = append(m.msgs[:i], m.msgs[i+1:]...)
				m.bytes -= uint64(len(x.data))
				m.lrpid, m.rtime = c.ProcessID(), now()
				m.q.Notify(wait.Out)
			}
			return x.typ, x.data[:min(uint64(len(x.data)), max)], nil
		}
		if flags&ipcNoWait != 0 {
			return 0, nil, errno.ENOMSG
		}
		if err := m.blockLocked(c, wait.In); err != nil {
			return 0, nil, err
		}
	}
}

// MsgRemove is IPC_RMID.
func (ns *Namespace) MsgRemove(c Caller, id int32) error {
	ns.msg.mu.Lock()
	defer ns.msg.mu.Unlock()
	m, slot, err := ns.msg.lookupLocked(id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.p.owns(c.Creds()) {
		return errno.EPERM
	}
	m.gone, m.msgs = true, nil
	ns.msg.removeLocked(slot)
	m.q.Notify(wait.In | wait.Out)
	return nil
}

// MsgSetPerm is IPC_SET with the new msg_qbytes.
func (ns *Namespace) MsgSetPerm(c Caller, id int32, p SetPerm, limit uint64) error {
	m, err := ns.msg.find(id)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.p.owns(c.Creds()) {
		return errno.EPERM
	}
	if limit > MsgMNB && !c.Creds().HasCap(creds.CapSysResource, ns.userNS) {
		return errno.EPERM
	}
	if err := m.p.set(c.Creds(), p); err != nil {
		return err
	}
	m.limit, m.ctime = limit, now()
	m.q.Notify(wait.Out)
	return nil
}

func (m *MsgQueue) info() MsgInfo {
	return MsgInfo{m.p, m.stime, m.rtime, m.ctime, m.bytes, uint64(len(m.msgs)), m.limit, m.lspid, m.lrpid}
}

// MsgStat is IPC_STAT.
func (ns *Namespace) MsgStat(c Caller, id int32) (MsgInfo, error) {
	m, err := ns.msg.find(id)
	if err != nil {
		return MsgInfo{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.p.allows(c.Creds(), permRead) {
		return MsgInfo{}, errno.EACCES
	}
	return m.info(), nil
}

// MsgStatSlot is MSG_STAT (any: MSG_STAT_ANY).
func (ns *Namespace) MsgStatSlot(c Caller, slot int32, any bool) (MsgInfo, int32, error) {
	m, id, err := ns.msg.bySlot(slot)
	if err != nil {
		return MsgInfo{}, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !any && !m.p.allows(c.Creds(), permRead) {
		return MsgInfo{}, 0, errno.EACCES
	}
	return m.info(), id, nil
}

// MsgMaxSlot is the highest used index.
func (ns *Namespace) MsgMaxSlot() int32 { return ns.msg.maxSlot() }

// MsgUsage counts queues, messages and bytes (MSG_INFO).
func (ns *Namespace) MsgUsage() (queues, msgs int, bytes uint64) {
	ns.EachMsg(func(_ int32, i MsgInfo) { queues++; msgs += int(i.Num); bytes += i.Bytes })
	return queues, msgs, bytes
}

// EachMsg lists all queues for /proc/sysvipc/msg.
func (ns *Namespace) EachMsg(fn func(id int32, i MsgInfo)) {
	ns.msg.all(func(id int32, m *MsgQueue) {
		m.mu.Lock()
		i := m.info()
		m.mu.Unlock()
		fn(id, i)
	})
}
