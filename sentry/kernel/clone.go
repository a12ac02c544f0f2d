package kernel

import (
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// CloneArgs is what clone(2) and clone3(2) ask for.
type CloneArgs struct {
	Flags      uint64 // CLONE_*, without the exit signal
	ExitSignal int32
	Stack      uint64 // new stack pointer, 0 to keep
	TLS        uint64
	ParentTID  uint64
	ChildTID   uint64
	SetTID     []int32
	// PidFD makes the descriptor for CLONE_PIDFD (the pidfd file system is
	// above); it returns the number to store at PidFDAddr.
	PidFD     func(p *PID) (fd int32, undo func(), err error)
	PidFDAddr uint64
}

const (
	cloneNS = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET |
		unix.CLONE_NEWPID | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUSER | unix.CLONE_NEWTIME
)

// vforkWait is where a parent waits until its vfork child execs or exits.
type vforkWait struct {
	done bool // under the parent's sigMu
	tg   *ThreadGroup
	e    *wait.Entry
}

func (v *vforkWait) release() {
	v.tg.sigMu.Lock()
	v.done = true
	v.tg.sigMu.Unlock()
	select {
	case v.e.C <- struct{}{}:
	default:
	}
}

// Clone makes a new task and returns its id in the caller's namespace (linux:
// kernel/fork.c copy_process, whose order of checks it follows).
func (t *Task) Clone(a *CloneArgs) (int32, error) {
	fl := a.Flags
	switch {
	case fl&(unix.CLONE_NEWNS|unix.CLONE_FS) == unix.CLONE_NEWNS|unix.CLONE_FS,
		fl&(unix.CLONE_NEWUSER|unix.CLONE_FS) == unix.CLONE_NEWUSER|unix.CLONE_FS,
		fl&unix.CLONE_THREAD != 0 && fl&unix.CLONE_SIGHAND == 0,
		fl&unix.CLONE_SIGHAND != 0 && fl&unix.CLONE_VM == 0,
		fl&unix.CLONE_THREAD != 0 && fl&(unix.CLONE_NEWUSER|unix.CLONE_NEWPID) != 0,
		fl&unix.CLONE_THREAD != 0 && t.PIDNSForChildren() != t.PIDNamespace(),
		fl&(unix.CLONE_VM|unix.CLONE_NEWTIME) == unix.CLONE_VM|unix.CLONE_NEWTIME && fl&unix.CLONE_VFORK == 0,
		fl&unix.CLONE_SIGHAND != 0 && fl&unix.CLONE_CLEAR_SIGHAND != 0:
		return 0, errno.EINVAL
	}
	if fl&unix.CLONE_PARENT != 0 && t.tg.unkillable && t.TGID() == 1 {
		return 0, errno.EINVAL
	}
	k := t.k
	cred := t.Creds()
	if fl&unix.CLONE_NEWUSER != 0 {
		uns, err := cred.UserNS.NewChild(cred, k.NewInode())
		if err != nil {
			return 0, err
		}
		cred = cred.Enter(uns)
	}
	if fl&(cloneNS&^unix.CLONE_NEWUSER) != 0 && !cred.Capable(creds.CapSysAdmin) {
		return 0, errno.EPERM
	}
	uc := k.user(cred.RUID)
	if n := uc.procs.Load(); uint64(n) >= t.Limit(unix.RLIMIT_NPROC) && t.Limit(unix.RLIMIT_NPROC) != limits.Infinity &&
		cred.RUID != 0 && !cred.Capable(creds.CapSysResource) && !cred.Capable(creds.CapSysAdmin) {
		return 0, errno.EAGAIN
	}
	if h := k.forkHook.Load(); h != nil {
		if err := h.Charge(t); err != nil {
			return 0, err
		}
	}
	c, err := t.makeChild(a, cred)
	if err != nil {
		if h := k.forkHook.Load(); h != nil {
			h.Uncharge(t)
		}
		return 0, err
	}
	p := c.pid.Load()
	id := p.In(t.pid.Load().ns)
	if fl&unix.CLONE_PARENT_SETTID != 0 {
		usermem.Put(t.space, a.ParentTID, &id)
	}
	var vw *vforkWait
	if fl&unix.CLONE_VFORK != 0 {
		vw = &vforkWait{tg: t.tg, e: wait.NewEntry(wait.All)}
		c.vfork = vw
	}
	event := t.cloneEvent(a)
	t.traceClone(c, a, event)
	go c.run()
	if event != 0 {
		t.traceEvent(event, uint64(id))
	}
	if vw != nil {
		t.waitVfork(vw)
		t.traceEventIf(unix.PTRACE_EVENT_VFORK_DONE, uint64(id))
	}
	return id, nil
}

// waitVfork sleeps until the child lets go; only death interrupts it.
func (t *Task) waitVfork(v *vforkWait) {
	for {
		t.tg.sigMu.Lock()
		done := v.done || t.killed
		t.tg.sigMu.Unlock()
		if done {
			return
		}
		t.blockDeaf(v.e.C, noDeadline)
	}
}

// makeChild builds the new task and registers it.
func (t *Task) makeChild(a *CloneArgs, cred *creds.Credentials) (child *Task, err error) {
	k := t.k
	fl := a.Flags
	thread := fl&unix.CLONE_THREAD != 0
	var undo []func()
	defer func() {
		if err != nil {
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}()

	tg := t.tg
	if !thread {
		tg = &ThreadGroup{k: k, limits: t.tg.limits.Fork(), containerID: t.tg.containerID, startTime: time.Now(), exitSignal: a.ExitSignal}
		tg.oomAdj = t.tg.OOMScoreAdj()
		if g := t.tg.Cgroup(); g != nil {
			tg.SetCgroup(g)
		}
	}
	c := k.newTask(tg)
	c.regs = t.regs
	c.regs.Rax = 0
	c.regs.OrigRax = ^uint64(0)
	if a.Stack != 0 {
		c.regs.Rsp = a.Stack
	}
	if fl&unix.CLONE_SETTLS != 0 {
		if a.TLS >= k.args.Platform.MaxAddr() {
			return nil, errno.EPERM
		}
		c.regs.FsBase = a.TLS
	}
	c.name.Store(t.name.Load())
	c.cred.Store(cred)
	c.persona.Store(t.persona.Load())
	c.timerSlack.Store(t.timerSlack.Load())
	c.sched.inherit(&t.sched)
	if f := t.seccomp.Load(); f != nil {
		c.setFilters(f)
		c.strict.Store(t.strict.Load())
		undo = append(undo, func() { f.Listeners((*seccomp.Listener).Drop) })
	}
	c.call.Store(t.call.Load())

	// Memory and the thread that runs in it.
	if fl&unix.CLONE_VM != 0 {
		if !t.space.IncUsers() {
			return nil, errno.ENOMEM
		}
		c.space = t.space
		if fl&unix.CLONE_VFORK == 0 {
			c.altStack = signal.Stack{Flags: signal.SSDisable}
		} else {
			c.altStack = t.altStack
		}
	} else {
		s, err := t.space.Fork(t)
		if err != nil {
			return nil, err
		}
		c.space = s
		c.altStack = t.altStack
		c.rseq = t.rseq
	}
	undo = append(undo, func() { c.space.DecUsers(t) })
	c.mmPtr.Store(c.space)
	th, err := c.space.NewThread()
	if err != nil {
		return nil, errno.EAGAIN
	}
	undo = append(undo, th.Release)
	if err := th.SetFPState(t.th.FPState()); err != nil {
		return nil, errno.EAGAIN
	}
	c.setThread(th)

	if fl&unix.CLONE_FILES != 0 {
		f := t.fds.Load()
		f.IncRef()
		c.fds.Store(f)
	} else {
		c.fds.Store(t.fds.Load().Fork())
	}
	undo = append(undo, func() { c.fds.Load().DecRef(t) })
	fs := t.fs.Load()
	if fl&unix.CLONE_FS != 0 {
		fs.IncRef()
	} else {
		fs = fs.Fork()
	}
	c.fs.Store(fs)
	undo = append(undo, func() { c.fs.Load().DecRef() })

	proxy, err := t.forkNamespaces(fl, cred, fs)
	if err != nil {
		return nil, err
	}
	c.ns.Store(proxy)
	undo = append(undo, func() { proxy.mnt.DecRef() })

	if !thread {
		switch {
		case fl&unix.CLONE_SIGHAND != 0:
			h := t.tg.handlers
			h.mu.Lock()
			h.refs++
			h.mu.Unlock()
			tg.handlers = h
		default:
			tg.handlers = t.tg.handlers.fork()
			if fl&unix.CLONE_CLEAR_SIGHAND != 0 {
				for i := range tg.handlers.actions {
					if act := &tg.handlers.actions[i]; act.Handler > signal.Ignore {
						*act = signal.Action{}
					}
				}
			}
		}
	}
	c.mask = t.mask
	if t.work.Load()&workRestoreMask != 0 {
		c.mask = t.savedMask
	}
	if fl&unix.CLONE_CHILD_CLEARTID != 0 {
		c.clearTID = a.ChildTID
	}
	uc := k.user(cred.RUID)
	c.ucount.Store(uc)

	pidNS := proxy.pidKids
	if fl&unix.CLONE_NEWPID == 0 && thread {
		pidNS = t.PIDNamespace()
	}
	if len(a.SetTID) > 0 {
		if err := mayChoose(cred, pidNS, len(a.SetTID)); err != nil {
			return nil, err
		}
	}
	k.ts.mu.Lock()
	p, err := pidNS.allocPIDLocked(a.SetTID)
	k.ts.mu.Unlock()
	if err != nil {
		return nil, err
	}
	// Until something hangs on it the identifier is invisible; what copies to
	// user memory happens now, without locks.
	undo = append(undo, func() {
		k.ts.mu.Lock()
		p.releaseLocked()
		k.ts.mu.Unlock()
	})
	if fl&unix.CLONE_PIDFD != 0 && a.PidFD != nil {
		fd, undoFD, err := a.PidFD(p)
		if err != nil {
			return nil, err
		}
		undo = append(undo, undoFD)
		if err := usermem.Put(t.space, a.PidFDAddr, &fd); err != nil {
			return nil, err
		}
	}
	c.pid.Store(p)
	if fl&unix.CLONE_CHILD_SETTID != 0 {
		tid := p.nums[p.ns.level]
		usermem.Put(c.space, a.ChildTID, &tid)
	}
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	if err := t.cloneAllowedLocked(thread); err != nil {
		k.ts.mu.Unlock()
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
		undo = nil
		k.ts.mu.Lock()
		return nil, err
	}
	uc.procs.Add(1)
	if !thread {
		tg.ArmCPULimit()
		tg.pid = p
		tg.execed = false
		if pidNS.reaper == nil {
			pidNS.reaper = tg
			tg.unkillable = true
		}
		parent, parentTask := t.tg, t
		if fl&unix.CLONE_PARENT != 0 {
			parent, parentTask = t.tg.parent, t.tg.parentTask
			tg.exitSignal = t.tg.exitSignal
		}
		tg.parent, tg.parentTask = parent, parentTask
		tg.hasSubreaper = t.tg.hasSubreaper || t.tg.subreaper
		if parent != nil {
			parent.children.addChild(tg)
		}
		k.attachLocked(c, p, true)
		tg.joinLocked(t.tg.pgrp)
		tg.noTTY = t.tg.noTTY
	} else {
		k.attachLocked(c, p, false)
		t.tg.sigMu.Lock()
		if t.tg.stop.sig != 0 && (t.stopPending || t.stopped) {
			c.stopPending = true
			t.tg.stop.waiting++
			c.work.Or(workSignal)
		}
		t.tg.sigMu.Unlock()
	}
	k.ts.live++
	if k.pause.paused.Load() {
		c.work.Or(workPause)
	}
	if k.killed.Load() {
		c.tg.sigMu.Lock()
		c.tg.groupExitLocked(uint32(sigKILL))
		c.tg.sigMu.Unlock()
	}
	return c, nil
}

// cloneAllowedLocked refuses new tasks to a process that has a signal to see
// to first (a fork would lose it), or that is dying.
func (t *Task) cloneAllowedLocked(thread bool) error {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	if t.killed || t.tg.exiting {
		return errno.EINTR
	}
	if t.tg.execing != nil && thread {
		return errno.EAGAIN
	}
	if !thread && (t.pending.Pending()|t.tg.pending.Pending())&^t.mask != 0 && t.work.Load()&workSignal != 0 {
		return errno.ERESTARTNOINTR
	}
	return nil
}

// mayChoose is clone3's permission to set thread ids.
func mayChoose(c *creds.Credentials, ns *PIDNamespace, n int) error {
	if n > ns.level+1 {
		return errno.EINVAL
	}
	for i := 0; i < n; i++ {
		if !c.HasCap(creds.CapCheckpointRestore, ns.userNS) && !c.HasCap(creds.CapSysAdmin, ns.userNS) {
			return errno.EPERM
		}
		ns = ns.parent
	}
	return nil
}

// forkNamespaces returns the namespaces of a child (or of the task itself,
// for unshare) with a reference on the mount namespace; fs is moved into a new
// mount namespace.
func (t *Task) forkNamespaces(fl uint64, cred *creds.Credentials, fs *FSContext) (*nsProxy, error) {
	old := t.ns.Load()
	if fl&(cloneNS&^unix.CLONE_NEWUSER) == 0 && old.time == old.timeKids {
		old.mnt.IncRef()
		return old, nil
	}
	k := t.k
	n := *old
	if n.timeKids != n.time {
		n.time = n.timeKids
		n.time.used.Store(true)
	}
	if fl&unix.CLONE_NEWUTS != 0 {
		n.uts = k.cloneUTS(old.uts, cred.UserNS)
	}
	if fl&unix.CLONE_NEWIPC != 0 {
		n.ipc = k.NewIPC(cred.UserNS)
	}
	if fl&unix.CLONE_NEWNET != 0 {
		n.net = &NetNamespace{ino: k.NewInode(), userNS: cred.UserNS}
	}
	if fl&unix.CLONE_NEWCGROUP != 0 {
		n.cgroup = &CgroupNamespace{ino: k.NewInode(), userNS: cred.UserNS, Root: old.cgroup.Root}
	}
	if fl&unix.CLONE_NEWTIME != 0 {
		n.timeKids = &TimeNamespace{ino: k.NewInode(), userNS: cred.UserNS}
		n.timeKids.MonotonicNs.Store(n.time.MonotonicNs.Load())
		n.timeKids.BoottimeNs.Store(n.time.BoottimeNs.Load())
	}
	if fl&unix.CLONE_NEWPID != 0 {
		if old.pidKids.level >= 31 {
			return nil, errno.ENOSPC
		}
		n.pidKids = newPIDNamespace(k, old.pidKids, cred.UserNS)
	}
	if fl&unix.CLONE_NEWNS != 0 {
		mnt, err := cloneMounts(t, old.mnt, cred.UserNS, fs)
		if err != nil {
			return nil, err
		}
		n.mnt = mnt
	} else {
		n.mnt.IncRef()
	}
	return &n, nil
}

// cloneMounts copies a mount namespace and moves fs into the copy.
func cloneMounts(t *Task, ns *vfs.Namespace, uns *creds.UserNamespace, fs *FSContext) (*vfs.Namespace, error) {
	c, same := ns.Clone(t, uns)
	if fs != nil {
		root, cwd := fs.Root(), fs.Cwd()
		fs.SetRoot(same(root).IncRef())
		fs.SetCwd(same(cwd).IncRef())
		root.DecRef()
		cwd.DecRef()
	}
	return c, nil
}

func (t *Task) setThread(th platform.Thread) {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	t.th = th
	if th == nil {
		t.thPtr.Store(nil)
		return
	}
	t.thPtr.Store(&th)
}

// PlatformThread implements mm.ThreadSource.
func (t *Task) PlatformThread(s *mm.Space) platform.Thread {
	if s != t.space {
		return nil
	}
	return t.th
}
