package creds

import (
	"slices"

	"redoubt.dev/redoubt/sentry/errno"
)

// Bits of SecureBits (prctl PR_SET_SECUREBITS).
const (
	SecNoRoot              = 1 << 0
	SecNoRootLocked        = 1 << 1
	SecNoSetuidFixup       = 1 << 2
	SecNoSetuidFixupLocked = 1 << 3
	SecKeepCaps            = 1 << 4
	SecKeepCapsLocked      = 1 << 5
	SecNoAmbient           = 1 << 6
	SecNoAmbientLocked     = 1 << 7
	SecAll                 = 1<<8 - 1
)

// root is uid 0 of the credentials' own user namespace.
func (c *Credentials) rootUID() KUID {
	k, ok := c.UserNS.KUID(0)
	if !ok {
		return NoID
	}
	return k
}

// fixup adjusts capabilities after uids changed from o to c (capabilities(7),
// "Effect of user ID changes"; linux: cap_emulate_setxuid).
func (c *Credentials) fixup(o *Credentials) {
	if c.SecureBits&SecNoSetuidFixup != 0 {
		return
	}
	root := c.rootUID()
	had := o.RUID == root || o.EUID == root || o.SUID == root
	has := c.RUID == root || c.EUID == root || c.SUID == root
	if had && !has {
		if !c.KeepCaps {
			c.Permitted, c.Effective = 0, 0
		}
		c.Ambient = 0
	}
	if o.EUID == root && c.EUID != root {
		c.Effective = 0
	}
	if o.EUID != root && c.EUID == root {
		c.Effective = c.Permitted
	}
}

// fsCaps are the capabilities that follow the file-system uid.
const fsCaps = 1<<CapChown | 1<<CapMknod | 1<<CapDacOverride | 1<<CapDacReadSearch | 1<<CapFowner |
	1<<CapFsetid | 1<<CapLinuxImmutable | 1<<CapMacOverride

// id maps a guest uid argument; NoID stays "unchanged".
func (c *Credentials) uid(u uint32) (KUID, bool, error) {
	if u == NoID {
		return 0, false, nil
	}
	k, ok := c.UserNS.KUID(u)
	if !ok {
		return 0, false, errno.EINVAL
	}
	return k, true, nil
}

func (c *Credentials) gid(g uint32) (KGID, bool, error) {
	if g == NoID {
		return 0, false, nil
	}
	k, ok := c.UserNS.KGID(g)
	if !ok {
		return 0, false, errno.EINVAL
	}
	return k, true, nil
}

// Setuid is setuid(2).
func (c *Credentials) Setuid(u uint32) (*Credentials, error) {
	k, ok, err := c.uid(u)
	if err != nil || !ok {
		return nil, errno.EINVAL
	}
	n := c.Fork()
	switch {
	case c.Capable(CapSetuid):
		n.RUID, n.SUID = k, k
	case k != c.RUID && k != c.SUID:
		return nil, errno.EPERM
	}
	n.EUID, n.FSUID = k, k
	n.fixup(c)
	return n, nil
}

// Setreuid is setreuid(2).
func (c *Credentials) Setreuid(ru, eu uint32) (*Credentials, error) {
	r, hasR, err := c.uid(ru)
	if err != nil {
		return nil, err
	}
	e, hasE, err := c.uid(eu)
	if err != nil {
		return nil, err
	}
	n := c.Fork()
	priv := c.Capable(CapSetuid)
	if hasR {
		n.RUID = r
		if r != c.RUID && r != c.EUID && !priv {
			return nil, errno.EPERM
		}
	}
	if hasE {
		n.EUID = e
		if e != c.RUID && e != c.EUID && e != c.SUID && !priv {
			return nil, errno.EPERM
		}
	}
	if hasR || hasE && n.EUID != c.RUID {
		n.SUID = n.EUID
	}
	n.FSUID = n.EUID
	n.fixup(c)
	return n, nil
}

// Setresuid is setresuid(2).
func (c *Credentials) Setresuid(ru, eu, su uint32) (*Credentials, error) {
	n := c.Fork()
	priv := c.Capable(CapSetuid)
	for _, x := range []struct {
		arg uint32
		dst *KUID
	}{{ru, &n.RUID}, {eu, &n.EUID}, {su, &n.SUID}} {
		k, ok, err := c.uid(x.arg)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if !priv && k != c.RUID && k != c.EUID && k != c.SUID {
			return nil, errno.EPERM
		}
		*x.dst = k
	}
	n.FSUID = n.EUID
	n.fixup(c)
	return n, nil
}

// Setfsuid is setfsuid(2): nil if nothing changes.
func (c *Credentials) Setfsuid(u uint32) *Credentials {
	k, ok, err := c.uid(u)
	if err != nil || !ok || k == c.FSUID {
		return nil
	}
	if k != c.RUID && k != c.EUID && k != c.SUID && !c.Capable(CapSetuid) {
		return nil
	}
	n := c.Fork()
	n.FSUID = k
	if c.SecureBits&SecNoSetuidFixup == 0 {
		root := c.rootUID()
		if c.FSUID == root && k != root {
			n.Effective &^= fsCaps
		}
		if c.FSUID != root && k == root {
			n.Effective |= n.Permitted & fsCaps
		}
	}
	return n
}

// Setgid is setgid(2).
func (c *Credentials) Setgid(g uint32) (*Credentials, error) {
	k, ok, err := c.gid(g)
	if err != nil || !ok {
		return nil, errno.EINVAL
	}
	n := c.Fork()
	switch {
	case c.Capable(CapSetgid):
		n.RGID, n.SGID = k, k
	case k != c.RGID && k != c.SGID:
		return nil, errno.EPERM
	}
	n.EGID, n.FSGID = k, k
	return n, nil
}

// Setregid is setregid(2).
func (c *Credentials) Setregid(rg, eg uint32) (*Credentials, error) {
	r, hasR, err := c.gid(rg)
	if err != nil {
		return nil, err
	}
	e, hasE, err := c.gid(eg)
	if err != nil {
		return nil, err
	}
	n := c.Fork()
	priv := c.Capable(CapSetgid)
	if hasR {
		n.RGID = r
		if r != c.RGID && r != c.EGID && !priv {
			return nil, errno.EPERM
		}
	}
	if hasE {
		n.EGID = e
		if e != c.RGID && e != c.EGID && e != c.SGID && !priv {
			return nil, errno.EPERM
		}
	}
	if hasR || hasE && n.EGID != c.RGID {
		n.SGID = n.EGID
	}
	n.FSGID = n.EGID
	return n, nil
}

// Setresgid is setresgid(2).
func (c *Credentials) Setresgid(rg, eg, sg uint32) (*Credentials, error) {
	n := c.Fork()
	priv := c.Capable(CapSetgid)
	for _, x := range []struct {
		arg uint32
		dst *KGID
	}{{rg, &n.RGID}, {eg, &n.EGID}, {sg, &n.SGID}} {
		k, ok, err := c.gid(x.arg)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if !priv && k != c.RGID && k != c.EGID && k != c.SGID {
			return nil, errno.EPERM
		}
		*x.dst = k
	}
	n.FSGID = n.EGID
	return n, nil
}

// Setfsgid is setfsgid(2): nil if nothing changes.
func (c *Credentials) Setfsgid(g uint32) *Credentials {
	k, ok, err := c.gid(g)
	if err != nil || !ok || k == c.FSGID {
		return nil
	}
	if k != c.RGID && k != c.EGID && k != c.SGID && !c.Capable(CapSetgid) {
		return nil
	}
	n := c.Fork()
	n.FSGID = k
	return n
}

// Setgroups is setgroups(2) with ids of the user namespace.
func (c *Credentials) Setgroups(groups []uint32) (*Credentials, error) {
	if !c.Capable(CapSetgid) || !c.UserNS.MaySetgroups() {
		return nil, errno.EPERM
	}
	if len(groups) > 65536 {
		return nil, errno.EINVAL
	}
	n := c.Fork()
	n.Groups = make([]KGID, 0, len(groups))
	for _, g := range groups {
		k, ok := c.UserNS.KGID(g)
		if !ok {
			return nil, errno.EINVAL
		}
		n.Groups = append(n.Groups, k)
	}
	slices.Sort(n.Groups) // as groups_sort, which getgroups(2) shows
	return n, nil
}

// Capset is capset(2) on oneself (linux: cap_capset).
func (c *Credentials) Capset(eff, inh, perm CapSet) (*Credentials, error) {
	eff, inh, perm = eff&AllCaps, inh&AllCaps, perm&AllCaps
	if inh&^(c.Inheritable|c.Permitted) != 0 && !c.Capable(CapSetpcap) {
		return nil, errno.EPERM
	}
	if inh&^(c.Inheritable|c.Bounding) != 0 || perm&^c.Permitted != 0 || eff&^perm != 0 {
		return nil, errno.EPERM
	}
	n := c.Fork()
	n.Effective, n.Inheritable, n.Permitted = eff, inh, perm
	n.Ambient &= perm & inh
	return n, nil
}

// FileCaps are the capabilities of an executable (security.capability).
type FileCaps struct {
	Permitted, Inheritable CapSet
	Effective              bool
	RootID                 KUID
}

// Program says what an executable asks for.
type Program struct {
	SetUID *KUID
	SetGID *KGID
	Caps   *FileCaps
}

// Exec returns the credentials after execve(2) of p and whether the program
// must be run securely (AT_SECURE). EPERM: file capabilities that cannot be
// granted (linux: cap_bprm_creds_from_file).
func (c *Credentials) Exec(p Program) (n *Credentials, secure bool, err error) {
	n = c.Fork()
	if p.SetUID != nil {
		n.EUID = *p.SetUID
	}
	if p.SetGID != nil {
		n.EGID = *p.SetGID
	}
	root := n.rootUID()
	perm := CapSet(0)
	fileEff := false
	hasCaps := false
	if p.Caps != nil {
		hasCaps = true
		perm = p.Caps.Permitted&c.Bounding | p.Caps.Inheritable&c.Inheritable
		if p.Caps.Effective {
			fileEff = true
			if p.Caps.Permitted&^perm != 0 {
				return nil, false, errno.EPERM
			}
		}
	}
	if c.SecureBits&SecNoRoot == 0 && !(hasCaps && n.RUID != root && n.EUID == root) {
		if n.EUID == root || n.RUID == root {
			perm = c.Bounding | c.Inheritable
		}
		if n.EUID == root {
			fileEff = true
		}
	}
	setid := n.EUID != c.RUID && p.SetUID != nil || n.EGID != c.RGID && p.SetGID != nil
	isSet := n.EUID != c.EUID || n.EGID != c.EGID
	if isSet || hasCaps || setid {
		n.Ambient = 0
	}
	n.Permitted = perm | n.Ambient
	if fileEff {
		n.Effective = n.Permitted
	} else {
		n.Effective = n.Ambient
	}
	n.SUID, n.FSUID = n.EUID, n.EUID
	n.SGID, n.FSGID = n.EGID, n.EGID
	n.KeepCaps = false
	n.SecureBits &^= SecKeepCaps
	if isSet || setid {
		secure = true
	}
	if c.RUID != root && (fileEff || perm&^n.Ambient != 0) && hasCaps {
		secure = true
	}
	if n.EUID != n.RUID || n.EGID != n.RGID {
		secure = true
	}
	return n, secure, nil
}
