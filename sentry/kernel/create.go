package kernel

import (
	"time"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/fdtable"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/loader"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/vfs"
)

// CreateArgs say how a process made from outside starts: the first of a
// container, or one of runsc exec.
type CreateArgs struct {
	// Filename is the program's path in the container; Argv and Envv as usual.
	Filename   string
	Argv, Envv []string
	Creds      *creds.Credentials
	// FDs is taken over.
	FDs    *fdtable.Table
	Limits *limits.Set
	// MountNS, Root and Cwd: references are taken over.
	MountNS   *vfs.Namespace
	Root, Cwd vfs.Path
	Umask     uint32
	// Namespaces; nil means the root one. Init makes the process number 1 of
	// PIDNS (or its reaper if it has none yet).
	PIDNS    *PIDNamespace
	UTS      *UTSNamespace
	IPC      *IPCNamespace
	Net      *NetNamespace
	Cgroup   *CgroupNamespace
	Time     *TimeNamespace
	TTY      TTY // becomes the controlling terminal
	Contain  string
	VDSO     *loader.VDSO
	OOMScore int32
	// Mortal lets signals of its own namespace end process number 1, as they
	// would any other process (runsc do).
	Mortal bool
	// Filters is the container's system-call filter, or nil.
	Setup func(t *Task) error
}

// NewPIDNS returns a child PID namespace for a container.
func (k *Kernel) NewPIDNS(parent *PIDNamespace, uns *creds.UserNamespace) *PIDNamespace {
	return newPIDNamespace(k, parent, uns)
}

// NewUTS returns a UTS namespace for a container.
func (k *Kernel) NewUTS(host, domain string, uns *creds.UserNamespace) *UTSNamespace {
	if domain == "" {
		domain = "(none)"
	}
	return &UTSNamespace{ino: k.NewInode(), userNS: uns, host: host, domain: domain}
}

// NewIPC returns an IPC namespace for a container.
func (k *Kernel) NewIPC(uns *creds.UserNamespace) *IPCNamespace {
	return newIPCNamespace(k.NewInode(), uns)
}

// NewNet returns a network namespace whose stack is s.
func (k *Kernel) NewNet(uns *creds.UserNamespace, s any) *NetNamespace {
	return &NetNamespace{ino: k.NewInode(), userNS: uns, Stack: s}
}

// SetVDSO sets the vDSO that programs get.
func (k *Kernel) SetVDSO(v *loader.VDSO) { k.vdso = v }

// CreateProcess makes a process and loads its program; Start lets it run.
func (k *Kernel) CreateProcess(a CreateArgs) (*ThreadGroup, error) {
	if k.killed.Load() {
		return nil, errno.ESRCH
	}
	ns := a.PIDNS
	if ns == nil {
		ns = k.ts.root
	}
	if a.Limits == nil {
		a.Limits = limits.Default()
	}
	if a.FDs == nil {
		a.FDs = fdtable.New()
	}
	proxy := &nsProxy{mnt: a.MountNS, uts: a.UTS, ipc: a.IPC, net: a.Net, cgroup: a.Cgroup, time: a.Time, pidKids: ns}
	if proxy.uts == nil {
		proxy.uts = k.uts
	}
	if proxy.ipc == nil {
		proxy.ipc = k.ipc
	}
	if proxy.net == nil {
		proxy.net = k.netNS
	}
	if proxy.cgroup == nil {
		proxy.cgroup = k.cgroupNS
	}
	if proxy.time == nil {
		proxy.time = k.timeNS
	}
	proxy.timeKids = proxy.time
	proxy.time.used.Store(true)

	tg := &ThreadGroup{k: k, limits: a.Limits, containerID: a.Contain, startTime: time.Now(), exitSignal: sigCHLD}
	tg.handlers = &SignalHandlers{refs: 1}
	tg.oomAdj = a.OOMScore
	t := k.newTask(tg)
	t.cred.Store(a.Creds)
	t.ns.Store(proxy)
	t.fds.Store(a.FDs)
	t.fs.Store(NewFSContext(a.Root, a.Cwd, a.Umask))
	uc := k.user(a.Creds.RUID)
	uc.procs.Add(1)
	t.ucount.Store(uc)
	t.SetName(baseName(a.Filename))

	k.ts.mu.Lock()
	p, err := ns.allocPIDLocked(nil)
	if err == nil {
		t.pid.Store(p)
		tg.pid = p
		if ns.reaper == nil {
			ns.reaper = tg
			tg.unkillable = !a.Mortal
		} else {
			tg.parent = nil
		}
		k.attachLocked(t, p, true)
		s := k.newSessionLocked(tg)
		if a.TTY != nil {
			s.tty, s.fg = a.TTY, tg.pgrp
		}
	}
	k.ts.mu.Unlock()
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*ThreadGroup, error) {
		t.neverRan(127 << 8)
		return nil, err
	}
	if a.Setup != nil {
		if err := a.Setup(t); err != nil {
			return fail(err)
		}
	}
	if err := t.Exec(ExecArgs{Path: a.Filename, Argv: a.Argv, Envv: a.Envv}); err != nil {
		return fail(err)
	}
	return tg, nil
}

// Start lets the first thread of a created process run.
func (tg *ThreadGroup) Start() {
	t := tg.Leader()
	tg.k.ts.mu.Lock()
	tg.k.ts.live++
	tg.k.ts.mu.Unlock()
	go t.run()
}

// Abandon undoes CreateProcess for a process that was never started.
func (tg *ThreadGroup) Abandon() { tg.Leader().neverRan(uint32(sigKILL)) }

// neverRan ends a task whose goroutine was never started.
func (t *Task) neverRan(status uint32) {
	t.tg.sigMu.Lock()
	t.tg.groupExitLocked(status)
	t.tg.sigMu.Unlock()
	t.k.ts.mu.Lock()
	t.k.ts.live++
	t.k.ts.mu.Unlock()
	t.cpu.start(t.k)
	t.exit()
}

func baseName(p string) string {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == '/' {
			return p[i+1:]
		}
	}
	return p
}

// newTask returns a task of tg that is nowhere registered yet.
func (k *Kernel) newTask(tg *ThreadGroup) *Task {
	t := &Task{k: k, tg: tg, wakeC: make(chan struct{}, 1)}
	t.altStack.Flags = signal.SSDisable
	t.timerSlack.Store(50000)
	t.startNs = monotonic()
	t.sched.init(k)
	return t
}

// attachLocked enters t with identifier p in its group and everywhere else.
func (k *Kernel) attachLocked(t *Task, p *PID, leader bool) {
	tg := t.tg
	p.task = t
	if leader {
		p.tg = tg
		tg.leader = t
		for n := p.ns; n != nil; n = n.parent {
			n.procs++
		}
	}
	tg.sigMu.Lock()
	tg.tasks = append(tg.tasks[:len(tg.tasks):len(tg.tasks)], t)
	tg.live++
	tg.publishLocked()
	tg.sigMu.Unlock()
	k.forks.Add(1)
}

// publishLocked shows the list of threads to holders of sigMu alone; both
// locks are held.
func (tg *ThreadGroup) publishLocked() {
	l := tg.tasks
	tg.threadList.Store(&l)
	tg.main.Store(tg.leader)
}

// CreateSpace returns an empty address space.
func (k *Kernel) newSpace() (*mm.Space, error) { return mm.New(k.args.Platform, k.args.Memory) }
