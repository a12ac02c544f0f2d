package creds

import (
	"testing"

	"redoubt.dev/redoubt/sentry/errno"
)

func user(id uint32) *Credentials {
	k, g := KUID(id), KGID(id)
	return &Credentials{RUID: k, EUID: k, SUID: k, FSUID: k, RGID: g, EGID: g, SGID: g, FSGID: g, Bounding: AllCaps, UserNS: NewRootNS()}
}

func TestSetuidDropsCaps(t *testing.T) {
	r := NewRoot(NewRootNS())
	n, err := r.Setuid(1000)
	if err != nil || n.RUID != 1000 || n.SUID != 1000 || n.FSUID != 1000 || n.Permitted != 0 || n.Effective != 0 {
		t.Fatalf("%+v, %v", n, err)
	}
	if _, err := n.Setuid(0); err != errno.EPERM {
		t.Fatalf("back to root: %v", err)
	}
	k := r.Fork()
	k.KeepCaps = true
	n, _ = k.Setuid(1000)
	if n.Permitted != AllCaps || n.Effective != 0 {
		t.Fatalf("keepcaps: permitted %x effective %x", n.Permitted, n.Effective)
	}
	n, _ = r.Setresuid(NoID, 1000, NoID)
	if n.Permitted != AllCaps || n.Effective != 0 {
		t.Fatal("only the effective set goes with the effective id")
	}
	back, err := n.Setresuid(NoID, 0, NoID)
	if err != nil || back.Effective != AllCaps {
		t.Fatalf("back: %+v %v", back, err)
	}
}

func TestSetreuid(t *testing.T) {
	c := user(1000)
	c.SUID = 2000
	if _, err := c.Setreuid(2000, NoID); err != errno.EPERM {
		t.Fatalf("real id to saved id: %v", err)
	}
	n, err := c.Setreuid(NoID, 2000)
	if err != nil || n.EUID != 2000 || n.SUID != 2000 {
		t.Fatalf("%+v %v", n, err)
	}
}

func TestExec(t *testing.T) {
	root := KUID(0)
	n, secure, err := user(1000).Exec(Program{SetUID: &root})
	if err != nil || !secure || n.EUID != 0 || n.SUID != 0 || n.Effective != AllCaps {
		t.Fatalf("setuid root: %+v secure %v, %v", n, secure, err)
	}
	n, secure, _ = user(1000).Exec(Program{})
	if secure || n.Permitted != 0 {
		t.Fatalf("plain: %+v", n)
	}
	n, secure, _ = user(1000).Exec(Program{Caps: &FileCaps{Permitted: 1 << CapNetRaw, Effective: true}})
	if !secure || n.Permitted != 1<<CapNetRaw || n.Effective != 1<<CapNetRaw {
		t.Fatalf("file caps: %+v secure %v", n, secure)
	}
	c := user(1000)
	c.Bounding = 0
	if _, _, err := c.Exec(Program{Caps: &FileCaps{Permitted: 1 << CapNetRaw, Effective: true}}); err != errno.EPERM {
		t.Fatalf("bounded file caps: %v", err)
	}
	a := user(1000)
	a.Permitted, a.Inheritable, a.Ambient = 1<<CapKill, 1<<CapKill, 1<<CapKill
	n, _, _ = a.Exec(Program{})
	if n.Permitted != 1<<CapKill || n.Effective != 1<<CapKill || n.Ambient != 1<<CapKill {
		t.Fatalf("ambient: %+v", n)
	}
	r := NewRoot(NewRootNS())
	r.Bounding = 1 << CapChown
	n, _, _ = r.Exec(Program{})
	if n.Permitted != 1<<CapChown {
		t.Fatalf("root is bounded: %x", n.Permitted)
	}
}

func TestCapset(t *testing.T) {
	r := NewRoot(NewRootNS())
	n, err := r.Capset(0, 0, 1<<CapKill)
	if err != nil || n.Permitted != 1<<CapKill {
		t.Fatalf("%+v %v", n, err)
	}
	if _, err := n.Capset(0, 0, 1<<CapKill|1<<CapChown); err != errno.EPERM {
		t.Fatalf("raising: %v", err)
	}
	if _, err := n.Capset(1<<CapChown, 0, 1<<CapKill); err != errno.EPERM {
		t.Fatalf("effective beyond permitted: %v", err)
	}
}

func TestMaps(t *testing.T) {
	root := NewRootNS()
	rc := NewRoot(root)
	c := user(1000)
	c.UserNS = root
	ns, err := root.NewChild(c, 1)
	if err != nil {
		t.Fatal(err)
	}
	in := c.Enter(ns)
	if !in.HasCap(CapSysAdmin, ns) || in.HasCap(CapSysAdmin, root) || !c.HasCap(CapSysAdmin, ns) {
		t.Fatal("capabilities over the child are wrong")
	}
	if err := ns.SetMap(false, []IDMap{{0, 0, 10}}, in, in); err != errno.EPERM {
		t.Fatalf("mapping ids that are not one's own: %v", err)
	}
	if err := ns.SetMap(false, []IDMap{{0, 1000, 1}}, in, in); err != nil {
		t.Fatal(err)
	}
	if err := ns.SetMap(false, []IDMap{{0, 1000, 1}}, rc, rc); err != errno.EPERM {
		t.Fatalf("second map: %v", err)
	}
	if err := ns.SetMap(true, []IDMap{{0, 1000, 1}}, in, in); err != errno.EPERM {
		t.Fatalf("gid_map before setgroups is denied: %v", err)
	}
	if err := ns.SetSetgroups(false); err != nil {
		t.Fatal(err)
	}
	if err := ns.SetMap(true, []IDMap{{0, 1000, 1}}, in, in); err != nil {
		t.Fatal(err)
	}
	if k, ok := ns.KUID(0); !ok || k != 1000 {
		t.Fatalf("uid 0 is %d", k)
	}
	if _, ok := ns.KUID(5); ok {
		t.Fatal("uid 5 is mapped")
	}
	if ns.UID(1000) != 0 || ns.UID(0) != OverflowID {
		t.Fatal("wrong way back")
	}
	if ns.MaySetgroups() {
		t.Fatal("setgroups must stay denied")
	}
	big, _ := root.NewChild(rc, 2)
	for _, bad := range [][]IDMap{{}, {{0, 0, 0}}, {{0, 0, 10}, {5, 100, 10}}, {{0, 100, 10}, {50, 105, 10}}, {{0xfffffff0, 0, 0x20}}} {
		if err := big.SetMap(false, bad, rc, rc); err != errno.EINVAL {
			t.Errorf("%v: %v, Linux gives EINVAL", bad, err)
		}
	}
	if err := big.SetMap(false, []IDMap{{0, 100000, 65536}}, rc, rc); err != nil {
		t.Fatal(err)
	}
}
