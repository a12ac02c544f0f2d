package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
)

var idRows = []Row{
	{102, "getuid", sysGetuid, "", Full, ""},
	{104, "getgid", sysGetgid, "", Full, ""},
	{105, "setuid", sysSetuid, "uint", Full, ""},
	{106, "setgid", sysSetgid, "uint", Full, ""},
	{107, "geteuid", sysGeteuid, "", Full, ""},
	{108, "getegid", sysGetegid, "", Full, ""},
	{113, "setreuid", sysSetreuid, "int,int", Full, ""},
	{114, "setregid", sysSetregid, "int,int", Full, ""},
	{115, "getgroups", sysGetgroups, "int,ptr", Full, ""},
	{116, "setgroups", sysSetgroups, "int,ptr", Full, ""},
	{117, "setresuid", sysSetresuid, "int,int,int", Full, ""},
	{118, "getresuid", sysGetresuid, "ptr,ptr,ptr", Full, ""},
	{119, "setresgid", sysSetresgid, "int,int,int", Full, ""},
	{120, "getresgid", sysGetresgid, "ptr,ptr,ptr", Full, ""},
	{122, "setfsuid", sysSetfsuid, "int", Full, ""},
	{123, "setfsgid", sysSetfsgid, "int", Full, ""},
	{125, "capget", sysCapget, "ptr,ptr", Full, ""},
	{126, "capset", sysCapset, "ptr,ptr", Full, ""},
}

// getuid(2).
func sysGetuid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	return uint64(c.UserNS.UID(c.RUID)), nil
}

// geteuid(2).
func sysGeteuid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	return uint64(c.UserNS.UID(c.EUID)), nil
}

// getgid(2).
func sysGetgid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	return uint64(c.UserNS.GID(c.RGID)), nil
}

// getegid(2).
func sysGetegid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	return uint64(c.UserNS.GID(c.EGID)), nil
}

// commit installs changed credentials; a change of the effective ids makes
// the process not dumpable, and forgets PR_SET_PDEATHSIG (prctl(2)).
func commit(t *kernel.Task, n *creds.Credentials, err error) (uint64, error) {
	if err != nil {
		return 0, err
	}
	t.CommitCreds(n)
	return 0, nil
}

// setuid(2).
func sysSetuid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Creds().Setuid(a.Uint(0))
	return commit(t, n, err)
}

// setgid(2).
func sysSetgid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Creds().Setgid(a.Uint(0))
	return commit(t, n, err)
}

// setreuid(2).
func sysSetreuid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Creds().Setreuid(a.Uint(0), a.Uint(1))
	return commit(t, n, err)
}

// setregid(2).
func sysSetregid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Creds().Setregid(a.Uint(0), a.Uint(1))
	return commit(t, n, err)
}

// setresuid(2).
func sysSetresuid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Creds().Setresuid(a.Uint(0), a.Uint(1), a.Uint(2))
	return commit(t, n, err)
}

// setresgid(2).
func sysSetresgid(t *kernel.Task, a arch.Args) (uint64, error) {
	n, err := t.Creds().Setresgid(a.Uint(0), a.Uint(1), a.Uint(2))
	return commit(t, n, err)
}

// setfsuid(2) returns the old id whatever happens.
func sysSetfsuid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	if n := c.Setfsuid(a.Uint(0)); n != nil {
		t.CommitCreds(n)
	}
	return uint64(c.UserNS.UID(c.FSUID)), nil
}

// setfsgid(2).
func sysSetfsgid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	if n := c.Setfsgid(a.Uint(0)); n != nil {
		t.CommitCreds(n)
	}
	return uint64(c.UserNS.GID(c.FSGID)), nil
}

func put3(t *kernel.Task, a arch.Args, v [3]uint32) (uint64, error) {
	for i := range v {
		if err := usermem.Put(t.Mem(), a.Ptr(i), &v[i]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// getresuid(2).
func sysGetresuid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	return put3(t, a, [3]uint32{c.UserNS.UID(c.RUID), c.UserNS.UID(c.EUID), c.UserNS.UID(c.SUID)})
}

// getresgid(2).
func sysGetresgid(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	return put3(t, a, [3]uint32{c.UserNS.GID(c.RGID), c.UserNS.GID(c.EGID), c.UserNS.GID(c.SGID)})
}

// getgroups(2).
func sysGetgroups(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	n := a.Int(0)
	if n < 0 {
		return 0, errno.EINVAL
	}
	if n == 0 {
		return uint64(len(c.Groups)), nil
	}
	if int(n) < len(c.Groups) {
		return 0, errno.EINVAL
	}
	l := make([]uint32, len(c.Groups))
	for i, g := range c.Groups {
		l[i] = c.UserNS.GID(g)
	}
	return uint64(len(l)), usermem.PutSlice(t.Mem(), a.Ptr(1), l)
}

// setgroups(2).
func sysSetgroups(t *kernel.Task, a arch.Args) (uint64, error) {
	n := a.Uint(0)
	c := t.Creds()
	if !c.Capable(creds.CapSetgid) || !c.UserNS.MaySetgroups() {
		return 0, errno.EPERM
	}
	if n > 65536 {
		return 0, errno.EINVAL
	}
	l := make([]uint32, n)
	if err := usermem.GetSlice(t.Mem(), a.Ptr(1), l); err != nil {
		return 0, err
	}
	nc, err := c.Setgroups(l)
	return commit(t, nc, err)
}

// capHeader checks the header of capget(2) and returns how many data words
// follow. An unknown version is answered with the preferred one.
func capHeader(t *kernel.Task, addr uint64) (h unix.CapUserHeader, words int, err error) {
	if err := usermem.Get(t.Mem(), addr, &h.Version); err != nil {
		return h, 0, err
	}
	switch h.Version {
	case unix.LINUX_CAPABILITY_VERSION_1:
		return h, 1, usermem.Get(t.Mem(), addr+4, &h.Pid)
	case unix.LINUX_CAPABILITY_VERSION_2, unix.LINUX_CAPABILITY_VERSION_3:
		return h, 2, usermem.Get(t.Mem(), addr+4, &h.Pid)
	}
	v := uint32(unix.LINUX_CAPABILITY_VERSION_3)
	if err := usermem.Put(t.Mem(), addr, &v); err != nil {
		return h, 0, err
	}
	return h, 0, errno.EINVAL
}

// capget(2).
func sysCapget(t *kernel.Task, a arch.Args) (uint64, error) {
	h, words, err := capHeader(t, a.Ptr(0))
	if err != nil {
		if err == errno.EINVAL && a.Ptr(1) == 0 {
			return 0, nil
		}
		return 0, err
	}
	if h.Pid < 0 {
		return 0, errno.EINVAL
	}
	x := t
	if h.Pid != 0 {
		if x = t.PIDNamespace().Task(h.Pid); x == nil {
			return 0, errno.ESRCH
		}
	}
	if a.Ptr(1) == 0 {
		return 0, nil
	}
	c := x.Creds()
	var d [2]unix.CapUserData
	for i := range d {
		s := 32 * i
		d[i] = unix.CapUserData{Effective: uint32(c.Effective >> s), Permitted: uint32(c.Permitted >> s), Inheritable: uint32(c.Inheritable >> s)}
	}
	return 0, usermem.PutSlice(t.Mem(), a.Ptr(1), d[:words])
}

// capset(2).
func sysCapset(t *kernel.Task, a arch.Args) (uint64, error) {
	h, words, err := capHeader(t, a.Ptr(0))
	if err != nil {
		return 0, err
	}
	if h.Pid != 0 && h.Pid != t.TID() {
		return 0, errno.EPERM
	}
	var d [2]unix.CapUserData
	if err := usermem.GetSlice(t.Mem(), a.Ptr(1), d[:words]); err != nil {
		return 0, err
	}
	set := func(lo, hi uint32) creds.CapSet { return creds.CapSet(lo) | creds.CapSet(hi)<<32 }
	n, err := t.Creds().Capset(set(d[0].Effective, d[1].Effective), set(d[0].Inheritable, d[1].Inheritable), set(d[0].Permitted, d[1].Permitted))
	return commit(t, n, err)
}
