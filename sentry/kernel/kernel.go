// Package kernel is the process model of the sentry: tasks, processes,
// sessions and namespaces, how they start, run, get signals, wait and end.
//
// A Task is one thread of user code and one goroutine; only that goroutine
// runs the task's system calls. A ThreadGroup is a process. A Kernel is one
// sandbox. System calls and file systems are above: boot hands the dispatch
// function to New.
//
// Lock order: TaskSet.mu (the tree, identifiers, sessions), then
// ThreadGroup.sigMu (signals and stops of one process), then
// SignalHandlers.mu. What other goroutines may read of a task is atomic or
// under one of them; everything else belongs to the task's goroutine.
//
// A task lives from clone.go or create.go, through run.go, to exit.go, and is
// forgotten when wait.go has reaped it.
package kernel

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/futex"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/loader"
	"redoubt.dev/redoubt/sentry/lock"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Release is what uname(2) shows. Programs and libraries compare it with the
// version a feature appeared in; 6.12 is the kernel whose calls the table has.
const (
	Release = "6.12.0-redoubt"
	Version = "#1 SMP PREEMPT_DYNAMIC Redoubt"
)

// Args is what a Kernel is made of.
type Args struct {
	Platform platform.Platform
	Memory   *pages.Memory
	VFS      *vfs.System
	// UserNS is the root user namespace; nil makes one.
	UserNS *creds.UserNamespace
	// Hostname and Domainname are those of the root UTS namespace.
	Hostname, Domainname string
	// CPUs and MemTotal are what guests are shown.
	CPUs     int
	MemTotal uint64
	// Dispatch runs one system call (sentry/syscalls).
	Dispatch func(t *Task, nr uint64, args arch.Args) (uint64, error)
	// Tracer logs system calls while tracing is on; may be nil.
	Tracer Tracer
	// OnPanic is told the last words of a sandbox that must end; boot passes
	// them on and exits. nil panics again.
	OnPanic func(words string)
	// PtyRoot and the like are any values boot wants file systems to find.
	Net any
}

// Tracer formats system calls for the strace log.
type Tracer interface {
	Enter(t *Task, nr uint64, args arch.Args)
	Exit(t *Task, nr uint64, args arch.Args, ret uint64, err error)
}

// TaskSet is the process tree.
type TaskSet struct {
	mu lock.RWMutex[lock.TaskSetMu]
	// root is the root PID namespace.
	root *PIDNamespace
	// live counts tasks whose goroutine has not ended.
	live int
	// zero is notified when live becomes zero.
	zero wait.Queue
}

// Kernel is one sandbox.
type Kernel struct {
	args     Args
	ts       TaskSet
	futexes  futex.Table
	userNS   *creds.UserNamespace
	uts      *UTSNamespace
	ipc      *IPCNamespace
	netNS    *NetNamespace
	cgroupNS *CgroupNamespace
	timeNS   *TimeNamespace

	bootTime   time.Time
	bootOffset int64
	inode      atomic.Uint64
	trace      atomic.Bool
	forks      atomic.Uint64
	runnable   atomic.Int32

	killOnce sync.Once
	killed   atomic.Bool
	reason   atomic.Pointer[string]

	pause  pauseState
	ticker ticker
	load   loadAvg
	vdso   *loader.VDSO

	users userCounts

	// Limits the cgroup hook enforces on forks; nil means none.
	forkHook atomic.Pointer[ForkHook]
}

// ForkHook is asked before a task is made and told when it is gone
// (the pids controller).
type ForkHook struct {
	Charge   func(t *Task) error
	Uncharge func(t *Task)
}

// SetForkHook installs h.
func (k *Kernel) SetForkHook(h *ForkHook) { k.forkHook.Store(h) }

// New returns a kernel without processes.
func New(a Args) (*Kernel, error) {
	k := &Kernel{args: a, userNS: a.UserNS, bootTime: time.Now(), bootOffset: bootOffset()}
	k.inode.Store(4026532000)
	if k.userNS == nil {
		k.userNS = creds.NewRootNS()
	}
	if k.args.CPUs <= 0 {
		k.args.CPUs = 1
	}
	k.ts.root = newPIDNamespace(k, nil, k.userNS)
	k.ts.root.ino = 4026531836
	k.uts = &UTSNamespace{ino: 4026531838, userNS: k.userNS}
	k.uts.host, k.uts.domain = a.Hostname, a.Domainname
	if k.uts.domain == "" {
		k.uts.domain = "(none)"
	}
	k.ipc = newIPCNamespace(4026531839, k.userNS)
	k.netNS = &NetNamespace{ino: 4026531840, userNS: k.userNS, Stack: a.Net}
	k.cgroupNS = &CgroupNamespace{ino: 4026531835, userNS: k.userNS}
	k.timeNS = &TimeNamespace{ino: 4026531834, userNS: k.userNS}
	k.pause.init()
	return k, nil
}

// SetDispatch installs the system-call dispatcher (for those who must make the
// kernel first).
func (k *Kernel) SetDispatch(fn func(t *Task, nr uint64, args arch.Args) (uint64, error)) {
	k.args.Dispatch = fn
}

// SetTracer installs the strace formatter; call before any task starts.
func (k *Kernel) SetTracer(tr Tracer) { k.args.Tracer = tr }

// SetTrace switches strace logging of every task on or off.
func (k *Kernel) SetTrace(on bool) { k.trace.Store(on && k.args.Tracer != nil) }

// Platform is how user code runs.
func (k *Kernel) Platform() platform.Platform { return k.args.Platform }

// Memory is the backing of anonymous memory.
func (k *Kernel) Memory() *pages.Memory { return k.args.Memory }

// VFS is the file-system layer.
func (k *Kernel) VFS() *vfs.System { return k.args.VFS }

// RootUserNS is the initial user namespace.
func (k *Kernel) RootUserNS() *creds.UserNamespace { return k.userNS }

// RootPIDNS is the initial PID namespace.
func (k *Kernel) RootPIDNS() *PIDNamespace { return k.ts.root }

// RootUTS, RootIPC, RootNet, RootCgroup and RootTime are the initial namespaces.
func (k *Kernel) RootUTS() *UTSNamespace { return k.uts }

// RootIPC is the initial IPC namespace.
func (k *Kernel) RootIPC() *IPCNamespace { return k.ipc }

// RootNet is the initial network namespace.
func (k *Kernel) RootNet() *NetNamespace { return k.netNS }

// RootCgroup is the initial cgroup namespace.
func (k *Kernel) RootCgroup() *CgroupNamespace { return k.cgroupNS }

// RootTime is the initial time namespace.
func (k *Kernel) RootTime() *TimeNamespace { return k.timeNS }

// Futexes is the table of futex waiters.
func (k *Kernel) Futexes() *futex.Table { return &k.futexes }

// CPUs is the number of processors guests see.
func (k *Kernel) CPUs() int { return k.args.CPUs }

// MemTotal is the memory size guests see.
func (k *Kernel) MemTotal() uint64 { return k.args.MemTotal }

// BootTime is when the sandbox started.
func (k *Kernel) BootTime() time.Time { return k.bootTime }

// Uptime is the time since BootTime.
func (k *Kernel) Uptime() time.Duration { return time.Since(k.bootTime) }

// Forks counts tasks ever made (/proc/stat).
func (k *Kernel) Forks() uint64 { return k.forks.Load() }

// Runnable counts tasks that are not blocked (/proc/loadavg).
func (k *Kernel) Runnable() int { return int(k.runnable.Load()) }

// NewInode returns a number for a namespace or another nameless object.
func (k *Kernel) NewInode() uint64 { return k.inode.Add(1) }

// Kill ends every process, and says why; the first reason stays.
func (k *Kernel) Kill(reason string) {
	k.killOnce.Do(func() {
		k.reason.Store(&reason)
		k.killed.Store(true)
	})
	k.ts.mu.RLock()
	var all []*ThreadGroup
	for _, p := range k.ts.root.pids {
		if p.tg != nil {
			all = append(all, p.tg)
		}
	}
	k.ts.mu.RUnlock()
	for _, tg := range all {
		tg.kill(9)
	}
	k.Unpause()
}

// KillReason is what Kill was told, or "".
func (k *Kernel) KillReason() string {
	if p := k.reason.Load(); p != nil {
		return *p
	}
	return ""
}

// WaitAll returns when no task is left.
func (k *Kernel) WaitAll() {
	e := wait.NewEntry(wait.All)
	k.ts.zero.Add(e)
	defer k.ts.zero.Remove(e)
	for {
		k.ts.mu.RLock()
		n := k.ts.live
		k.ts.mu.RUnlock()
		if n == 0 {
			return
		}
		<-e.C
	}
}

// Panic ends the sandbox because the sentry broke: what says where. It is for
// goroutines of the sentry that recover a panic.
func (k *Kernel) Panic(what string, v any) {
	words := fmt.Sprintf("sentry panic in %s: %v", what, v)
	klog.Errorf("%s\n%s", words, debug.Stack())
	if k.args.OnPanic == nil {
		panic(words)
	}
	k.args.OnPanic(words)
}
