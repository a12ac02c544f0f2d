package kernel

import (
	"golang.org/x/sys/unix"

	"sync"
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/creds"
)

// UTSNamespace has the host and domain name (uts_namespaces(7)).
type UTSNamespace struct {
	ino    uint64
	userNS *creds.UserNamespace

	mu           sync.Mutex
	host, domain string
}

// Ino is the inode number of /proc/pid/ns/uts.
func (n *UTSNamespace) Ino() uint64 { return n.ino }

// UserNS owns the namespace.
func (n *UTSNamespace) UserNS() *creds.UserNamespace { return n.userNS }

// Names returns the host and domain name.
func (n *UTSNamespace) Names() (host, domain string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.host, n.domain
}

// SetHost changes the host name.
func (n *UTSNamespace) SetHost(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host = s
}

// SetDomain changes the domain name.
func (n *UTSNamespace) SetDomain(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.domain = s
}

func (k *Kernel) cloneUTS(n *UTSNamespace, uns *creds.UserNamespace) *UTSNamespace {
	h, d := n.Names()
	return &UTSNamespace{ino: k.NewInode(), userNS: uns, host: h, domain: d}
}

// IPCNamespace scopes System V IPC and POSIX message queues (ipc_namespaces(7)).
type IPCNamespace struct {
	ino    uint64
	userNS *creds.UserNamespace

	// Shm, Sem and Msg are the System V tables of sentry/syscalls' families;
	// MQ is the mqueue file system's. Each is made by its owner on first use.
	mu    sync.Mutex
	slots map[string]any
}

func newIPCNamespace(ino uint64, uns *creds.UserNamespace) *IPCNamespace {
	return &IPCNamespace{ino: ino, userNS: uns, slots: make(map[string]any)}
}

// Ino is the inode number of /proc/pid/ns/ipc.
func (n *IPCNamespace) Ino() uint64 { return n.ino }

// UserNS owns the namespace.
func (n *IPCNamespace) UserNS() *creds.UserNamespace { return n.userNS }

// Slot returns the object called name, making it with mk first.
func (n *IPCNamespace) Slot(name string, mk func() any) any {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.slots[name]
	if v == nil {
		v = mk()
		n.slots[name] = v
	}
	return v
}

// NetNamespace carries the network stack of its tasks (network_namespaces(7)).
type NetNamespace struct {
	ino    uint64
	userNS *creds.UserNamespace
	mu     sync.Mutex
	// Stack belongs to sentry/socket; nil in a new namespace until it is used.
	Stack any
	// New makes a stack with only a loopback device, when one is needed.
	slots map[string]any
}

// Ino is the inode number of /proc/pid/ns/net.
func (n *NetNamespace) Ino() uint64 { return n.ino }

// UserNS owns the namespace.
func (n *NetNamespace) UserNS() *creds.UserNamespace { return n.userNS }

// Slot returns the object called name, making it with mk first (abstract
// socket names, the stack of a namespace unshared later).
func (n *NetNamespace) Slot(name string, mk func() any) any {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.slots == nil {
		n.slots = make(map[string]any)
	}
	v := n.slots[name]
	if v == nil {
		v = mk()
		n.slots[name] = v
	}
	return v
}

// CgroupNamespace is the root of what its tasks see of cgroups
// (cgroup_namespaces(7)).
type CgroupNamespace struct {
	ino    uint64
	userNS *creds.UserNamespace
	// Root is the path, from the sandbox's root cgroup, shown as "/".
	Root string
}

// Ino is the inode number of /proc/pid/ns/cgroup.
func (n *CgroupNamespace) Ino() uint64 { return n.ino }

// UserNS owns the namespace.
func (n *CgroupNamespace) UserNS() *creds.UserNamespace { return n.userNS }

// TimeNamespace shifts the monotonic and boot-time clocks (time_namespaces(7)).
type TimeNamespace struct {
	ino    uint64
	userNS *creds.UserNamespace
	// MonotonicNs and BoottimeNs are added to the clocks; frozen once a task
	// lives in the namespace.
	MonotonicNs, BoottimeNs atomic.Int64
	used                    atomic.Bool
}

// Ino is the inode number of /proc/pid/ns/time.
func (n *TimeNamespace) Ino() uint64 { return n.ino }

// UserNS owns the namespace.
func (n *TimeNamespace) UserNS() *creds.UserNamespace { return n.userNS }

// Used says whether a task lives or lived in it, so offsets are final.
func (n *TimeNamespace) Used() bool { return n.used.Load() }

// userCounts counts what RLIMIT_NPROC and RLIMIT_SIGPENDING limit per user,
// and files in messages, which RLIMIT_NOFILE limits.
type userCounts struct {
	mu sync.Mutex
	m  map[creds.KUID]*userCount
}

type userCount struct {
	procs, signals, inFlight atomic.Int64
}

// SignalDone gives a queued signal back (signal.Owner).
func (u *userCount) SignalDone() { u.signals.Add(-1) }

// FilesInFlight is for sockets that carry files (linux: net/core/scm.c
// too_many_unix_fds).
func (t *Task) FilesInFlight() (count *atomic.Int64, tooMany bool) {
	u := t.ucount.Load()
	if u == nil {
		u = t.k.user(t.Creds().RUID)
	}
	cr := t.Creds()
	return &u.inFlight, uint64(u.inFlight.Load()) > t.tg.limits.Cur(unix.RLIMIT_NOFILE) &&
		!cr.Capable(creds.CapSysResource) && !cr.Capable(creds.CapSysAdmin)
}

func (k *Kernel) user(id creds.KUID) *userCount {
	k.users.mu.Lock()
	defer k.users.mu.Unlock()
	u := k.users.m[id]
	if u == nil {
		if k.users.m == nil {
			k.users.m = make(map[creds.KUID]*userCount)
		}
		u = &userCount{}
		k.users.m[id] = u
	}
	return u
}
