// Package creds has user ids, capabilities and user namespaces
// (credentials(7), capabilities(7), user_namespaces(7)).
//
// A *Credentials is immutable once a task carries it; a change makes a copy
// with Fork. Ids inside Credentials and inodes are kernel ids (of the root
// user namespace); UserNamespace maps them at the edge.
package creds

// KUID and KGID are ids in the root user namespace.
type (
	KUID uint32
	KGID uint32
)

// NoID is (uid_t)-1: "do not change", or unmapped.
const NoID = 0xffffffff

// OverflowID is shown for ids without a mapping.
const OverflowID = 65534

// Cap is a capability number of capabilities(7).
type Cap uint8

// Capabilities of Linux 6.x.
const (
	CapChown Cap = iota
	CapDacOverride
	CapDacReadSearch
	CapFowner
	CapFsetid
	CapKill
	CapSetgid
	CapSetuid
	CapSetpcap
	CapLinuxImmutable
	CapNetBindService
	CapNetBroadcast
	CapNetAdmin
	CapNetRaw
	CapIpcLock
	CapIpcOwner
	CapSysModule
	CapSysRawio
	CapSysChroot
	CapSysPtrace
	CapSysPacct
	CapSysAdmin
	CapSysBoot
	CapSysNice
	CapSysResource
	CapSysTime
	CapSysTtyConfig
	CapMknod
	CapLease
	CapAuditWrite
	CapAuditControl
	CapSetfcap
	CapMacOverride
	CapMacAdmin
	CapSyslog
	CapWakeAlarm
	CapBlockSuspend
	CapAuditRead
	CapPerfmon
	CapBpf
	CapCheckpointRestore
	CapLast = CapCheckpointRestore
)

// CapSet is a set of capabilities, one bit each.
type CapSet uint64

// AllCaps has every capability.
const AllCaps CapSet = 1<<(CapLast+1) - 1

// Has says whether c is in s.
func (s CapSet) Has(c Cap) bool { return s>>c&1 != 0 }

// Credentials are what permission checks look at.
type Credentials struct {
	RUID, EUID, SUID, FSUID KUID
	RGID, EGID, SGID, FSGID KGID
	Groups                  []KGID

	Permitted, Inheritable, Effective, Bounding, Ambient CapSet
	SecureBits                                           uint32
	NoNewPrivs                                           bool
	KeepCaps                                             bool

	UserNS *UserNamespace
}

// NewRoot returns root's credentials in ns with every capability.
func NewRoot(ns *UserNamespace) *Credentials {
	return &Credentials{Permitted: AllCaps, Effective: AllCaps, Bounding: AllCaps, UserNS: ns}
}

// Fork returns a copy to change.
func (c *Credentials) Fork() *Credentials { n := *c; return &n }

// InGroup says whether g is the effective or a supplementary group.
func (c *Credentials) InGroup(g KGID) bool {
	if c.FSGID == g {
		return true
	}
	for _, x := range c.Groups {
		if x == g {
			return true
		}
	}
	return false
}

// HasCap says whether c has cap over objects owned by ns (linux:
// security/commoncap.c cap_capable): effective in ns or an ancestor, or owner
// of ns seen from its parent.
func (c *Credentials) HasCap(cap Cap, ns *UserNamespace) bool {
	for n := ns; ; n = n.Parent {
		if n == c.UserNS {
			return c.Effective.Has(cap)
		}
		if n == nil || n.Parent == nil {
			return false
		}
		if n.Parent == c.UserNS && n.Owner == c.EUID {
			return true
		}
	}
}

// Capable is HasCap over the credentials' own user namespace.
func (c *Credentials) Capable(cap Cap) bool { return c.Effective.Has(cap) }
