package kernel

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/vfs"
)

const unshareKnown = cloneNS | unix.CLONE_THREAD | unix.CLONE_FS | unix.CLONE_SIGHAND | unix.CLONE_VM |
	unix.CLONE_FILES | unix.CLONE_SYSVSEM

// Unshare is unshare(2).
func (t *Task) Unshare(fl uint64) error {
	if fl&^uint64(unshareKnown) != 0 {
		return errno.EINVAL
	}
	if fl&unix.CLONE_NEWUSER != 0 {
		fl |= unix.CLONE_THREAD | unix.CLONE_FS
	}
	if fl&unix.CLONE_VM != 0 {
		fl |= unix.CLONE_SIGHAND
	}
	if fl&unix.CLONE_SIGHAND != 0 {
		fl |= unix.CLONE_THREAD
	}
	if fl&unix.CLONE_NEWNS != 0 {
		fl |= unix.CLONE_FS
	}
	if fl&unix.CLONE_THREAD != 0 && len(t.tg.Tasks()) > 1 {
		return errno.EINVAL
	}
	if fl&unix.CLONE_VM != 0 && t.space.Users() > 1 {
		return errno.EINVAL
	}
	cred := t.Creds()
	if fl&unix.CLONE_NEWUSER != 0 {
		uns, err := cred.UserNS.NewChild(cred, t.k.NewInode())
		if err != nil {
			return err
		}
		cred = cred.Enter(uns)
	}
	if fl&(cloneNS&^unix.CLONE_NEWUSER) != 0 && !cred.Capable(creds.CapSysAdmin) {
		return errno.EPERM
	}
	fs := t.fs.Load()
	oldFS := fs
	if fl&unix.CLONE_FS != 0 && fs.Shared() {
		fs = fs.Fork()
	}
	if fl&(cloneNS&^unix.CLONE_NEWUSER) != 0 {
		old := t.ns.Load()
		saved := old.timeKids
		n, err := t.forkNamespaces(fl, cred, fs)
		if err != nil {
			if fs != oldFS {
				fs.DecRef()
			}
			return err
		}
		// forkNamespaces moves a child into timeKids; unshare does not.
		if n != old {
			n.time = old.time
			if fl&unix.CLONE_NEWTIME == 0 {
				n.timeKids = saved
			}
		}
		t.ns.Store(n)
		old.mnt.DecRef()
	}
	if fs != oldFS {
		t.fs.Store(fs)
		oldFS.DecRef()
	}
	if fl&unix.CLONE_FILES != 0 {
		if f := t.fds.Load(); f.Shared() {
			t.fds.Store(f.Fork())
			f.DecRef(t)
		}
	}
	t.SetCreds(cred)
	return nil
}

// SetNS is setns(2) with a namespace object.
func (t *Task) SetNS(ns any) error {
	cred := t.Creds()
	n := *t.ns.Load()
	admin := func(owner *creds.UserNamespace) error {
		if !cred.HasCap(creds.CapSysAdmin, owner) || !cred.Capable(creds.CapSysAdmin) {
			return errno.EPERM
		}
		return nil
	}
	switch x := ns.(type) {
	case *UTSNamespace:
		if err := admin(x.userNS); err != nil {
			return err
		}
		n.uts = x
	case *IPCNamespace:
		if err := admin(x.userNS); err != nil {
			return err
		}
		n.ipc = x
	case *NetNamespace:
		if err := admin(x.userNS); err != nil {
			return err
		}
		n.net = x
	case *CgroupNamespace:
		if err := admin(x.userNS); err != nil {
			return err
		}
		n.cgroup = x
	case *PIDNamespace:
		if err := admin(x.userNS); err != nil {
			return err
		}
		if !x.InOrBelow(t.PIDNamespace()) {
			return errno.EINVAL
		}
		n.pidKids = x
	case *TimeNamespace:
		if err := admin(x.userNS); err != nil {
			return err
		}
		if len(t.tg.Tasks()) > 1 {
			return errno.EUSERS
		}
		x.used.Store(true)
		n.time, n.timeKids = x, x
	case *creds.UserNamespace:
		if x == cred.UserNS || len(t.tg.Tasks()) > 1 || t.fs.Load().Shared() {
			return errno.EINVAL
		}
		if !cred.HasCap(creds.CapSysAdmin, x) {
			return errno.EPERM
		}
		t.SetCreds(cred.Enter(x))
		return nil
	case *vfs.Namespace:
		if err := admin(x.UserNS()); err != nil {
			return err
		}
		if !cred.Capable(creds.CapSysChroot) {
			return errno.EPERM
		}
		fs := t.fs.Load()
		if fs.Shared() {
			return errno.EINVAL
		}
		x.IncRef()
		n.mnt.DecRef()
		n.mnt = x
		fs.SetRoot(x.Root())
		fs.SetCwd(x.Root())
	default:
		return errno.EINVAL
	}
	t.ns.Store(&n)
	return nil
}

// SetNSOf is setns(2) with a pidfd: the namespaces in fl of a process.
func (t *Task) SetNSOf(p *PID, fl uint64) error {
	if fl&^uint64(cloneNS) != 0 {
		return errno.EINVAL
	}
	x := p.Task()
	if x == nil || x.ns.Load() == nil || x.MM() == nil {
		return errno.ESRCH
	}
	if err := t.MayTrace(x, false); err != nil {
		return err
	}
	n := x.ns.Load()
	if fl&unix.CLONE_NEWUSER != 0 {
		if err := t.SetNS(x.UserNS()); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		flag uint64
		ns   any
	}{
		{unix.CLONE_NEWUTS, n.uts}, {unix.CLONE_NEWIPC, n.ipc}, {unix.CLONE_NEWNET, n.net},
		{unix.CLONE_NEWCGROUP, n.cgroup}, {unix.CLONE_NEWPID, x.PIDNamespace()},
		{unix.CLONE_NEWTIME, n.time}, {unix.CLONE_NEWNS, n.mnt},
	} {
		if fl&s.flag != 0 {
			if err := t.SetNS(s.ns); err != nil {
				return err
			}
		}
	}
	return nil
}

// MayTrace is the check of ptrace(2) "Ptrace access mode checking": attach or
// (not attach) read.
func (t *Task) MayTrace(x *Task, attach bool) error {
	if x.tg == t.tg {
		return nil
	}
	c, xc := t.Creds(), x.Creds()
	same := c.RUID == xc.EUID && c.RUID == xc.SUID && c.RUID == xc.RUID &&
		c.RGID == xc.EGID && c.RGID == xc.SGID && c.RGID == xc.RGID
	if !attach {
		same = c.FSUID == xc.EUID && c.FSUID == xc.SUID && c.FSUID == xc.RUID &&
			c.FSGID == xc.EGID && c.FSGID == xc.SGID && c.FSGID == xc.RGID
	}
	priv := c.HasCap(creds.CapSysPtrace, xc.UserNS)
	if !same && !priv {
		return errno.EPERM
	}
	if m := x.MM(); m != nil && m.Dumpable() != 1 && !priv {
		return errno.EPERM
	}
	if c.UserNS == xc.UserNS && xc.Permitted&^c.Permitted == 0 || priv {
		return nil
	}
	return errno.EPERM
}

// Dumpable is PR_GET_DUMPABLE of the process, 0 if it has no memory any more.
func (tg *ThreadGroup) Dumpable() int32 {
	for _, t := range tg.Tasks() {
		if m := t.MM(); m != nil {
			return int32(m.Dumpable())
		}
	}
	return 0
}
