package kernel

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/fdtable"
	"redoubt.dev/redoubt/sentry/futex"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/lock"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Task is one thread of user code.
type Task struct {
	// Immutable. (pid and tg change only in de_thread of execve(2), under
	// TaskSet.mu, while the other threads are gone.)
	k  *Kernel
	tg *ThreadGroup

	// pid is this thread's identifier; under TaskSet.mu, read by the owner freely.
	pid atomic.Pointer[PID]

	// Owned by the task goroutine.
	regs         arch.Regs
	th           platform.Thread
	space        *mm.Space // same as mmPtr, without the load
	restartFn    func() (uint64, error)
	futexW       futex.Waiter
	timer        *time.Timer
	robustList   uint64
	robustLen    uint64
	clearTID     uint64
	altStack     signal.Stack
	vfork        *vforkWait
	rseq         rseqState
	ioBuf        usermem.Buf
	scratch      [256]byte
	exitCleanups []func()
	startNs      int64
	trapNo       uint64
	errCode      uint64
	cr2          uint64
	exitCode     uint32
	exitCoded    bool

	// Read by others.
	mmPtr    atomic.Pointer[mm.Space]
	fds      atomic.Pointer[fdtable.Table]
	fs       atomic.Pointer[FSContext]
	cred     atomic.Pointer[creds.Credentials]
	ns       atomic.Pointer[nsProxy]
	seccomp  atomic.Pointer[seccomp.Filters]
	strict   atomic.Bool // the filter is SECCOMP_MODE_STRICT's
	name     atomic.Pointer[string]
	call     atomic.Uint64 // count of calls << 16 | number of the last one
	state    atomic.Int32  // one of the run states
	work     atomic.Uint32
	sysWork  atomic.Uint32
	traced   atomic.Bool
	thPtr    atomic.Pointer[platform.Thread]
	ucount   atomic.Pointer[userCount]
	inSwitch atomic.Bool
	entries  atomic.Uint32 // returns from user code, modulo 2^32
	wakeC    chan struct{}

	cpu     cpuTime
	sched   schedState
	persona atomic.Uint32

	// Under tg.sigMu.
	mask        signal.Set // written by the owner only, so it may read it freely
	savedMask   signal.Set // to go back to, if work has workRestoreMask
	pending     signal.Queue
	sigWait     signal.Set // sigtimedwait(2) in progress for these
	stopPending bool
	stopped     bool
	killed      bool
	exiting     bool
	dead        bool // goroutine gone
	retrap      bool // attached while stopped: tell the tracer
	pdeathsig   int32

	// Under TaskSet.mu.
	exitState  exitState
	exitStatus uint32
	trace      traceState

	// nnp and friends that prctl(2) keeps per thread.
	timerSlack atomic.Uint64
}

type exitState uint8

const (
	exitNone exitState = iota
	exitZombie
	exitReaped
)

// Run states for /proc/pid/stat.
const (
	stateRunning int32 = iota
	stateSleeping
	stateDiskSleep
	stateStopped
	stateTraced
	stateZombie
	stateDead
)

// nsProxy is the namespaces of a task besides its own PID's and user's.
type nsProxy struct {
	mnt      *vfs.Namespace
	uts      *UTSNamespace
	ipc      *IPCNamespace
	net      *NetNamespace
	cgroup   *CgroupNamespace
	time     *TimeNamespace
	timeKids *TimeNamespace
	pidKids  *PIDNamespace
}

// ThreadGroup is a process.
type ThreadGroup struct {
	// Immutable.
	k *Kernel
	// limits are shared by the tasks; the pointer never changes.
	limits *limits.Set
	// ContainerID says which container of the sandbox it belongs to.
	containerID string
	startTime   time.Time

	// Under TaskSet.mu.
	pid          *PID
	leader       *Task
	tasks        []*Task
	live         int
	parent       *ThreadGroup
	parentTask   *Task // for __WNOTHREAD and PR_SET_PDEATHSIG
	children     tgList
	sibling      tgLinks
	pgrp         *ProcessGroup
	noTTY        TTY // given up with TIOCNOTTY
	pgLinks      tgLinks
	exitSignal   int32
	subreaper    bool
	hasSubreaper bool
	execed       bool // may not be moved to another process group by its parent
	reaped       bool
	tracees      []*Task
	childRes     Resources // of waited-for children
	deadRes      Resources // of dead threads
	oomAdj       int32
	exitingTasks int
	exitInfo     atomic.Pointer[exitRecord]
	exitedQ      wait.Queue

	// ChildQ is notified when a child (or tracee) changes state.
	childQ wait.Queue

	// Signals and stops.
	sigMu       lock.Mutex[lock.SignalMu]
	handlers    *SignalHandlers // replaced at execve under sigMu
	pending     signal.Queue
	exiting     bool
	exitStatus  uint32 // wait status of exit_group
	stop        stopState
	killedHard  bool // by SIGKILL: not even PTRACE_EVENT_EXIT waits
	unkillable  bool // init of a PID namespace
	execing     *Task
	signalfdQ   wait.Queue // notified at every new signal (signalfd)
	wantedByFds atomic.Int32
	contNotify  atomic.Bool
	membarriers atomic.Uint32
	noTHP       atomic.Bool
	// threadList and main are copies of tasks and leader for holders of sigMu
	// only; they change under both locks.
	threadList atomic.Pointer[[]*Task]
	main       atomic.Pointer[Task]

	timers timerSet

	cgroup atomic.Value // Cgroup, once it was moved
	io     ioCounts
}

// SignalHandlers are the actions of a process, or of several with
// CLONE_SIGHAND.
type SignalHandlers struct {
	mu      sync.Mutex
	refs    int
	actions [signal.Max + 1]signal.Action
}

func (h *SignalHandlers) fork() *SignalHandlers {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &SignalHandlers{actions: h.actions, refs: 1}
}

func (h *SignalHandlers) get(sig int32) signal.Action {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.actions[sig]
}

// Kernel is the sandbox t runs in.
func (t *Task) Kernel() *Kernel { return t.k }

// ThreadGroup is the process t belongs to.
func (t *Task) ThreadGroup() *ThreadGroup { return t.tg }

// Regs are the user registers; only for the task goroutine.
func (t *Task) Regs() *arch.Regs { return &t.regs }

// MM is the address space, nil once the task has exited.
func (t *Task) MM() *mm.Space { return t.mmPtr.Load() }

// Mem is the address space for copies; only for the task goroutine.
func (t *Task) Mem() usermem.IO { return t.space }

// CopyIn fills dst from user memory.
func (t *Task) CopyIn(addr uint64, dst []byte) error {
	if _, err := t.space.CopyIn(addr, dst); err != nil {
		return errno.EFAULT
	}
	return nil
}

// CopyOut writes src to user memory.
func (t *Task) CopyOut(addr uint64, src []byte) error {
	if _, err := t.space.CopyOut(addr, src); err != nil {
		return errno.EFAULT
	}
	return nil
}

// CopyInString reads a string of at most max bytes with its NUL.
func (t *Task) CopyInString(addr uint64, max int) (string, error) {
	return usermem.CopyInString(t.space, addr, max)
}

// FDs is the descriptor table, nil once the task has exited.
func (t *Task) FDs() *fdtable.Table { return t.fds.Load() }

// File returns the open file of a descriptor with a reference.
func (t *Task) File(fd int32) (*vfs.File, error) {
	f, err := t.fds.Load().Get(fd)
	return f, err
}

// GetFile is File.
func (t *Task) GetFile(fd int32) (*vfs.File, error) { return t.File(fd) }

// InstallFile gives f, whose reference it takes over, the lowest free
// descriptor.
func (t *Task) InstallFile(f *vfs.File, cloexec bool) (int32, error) {
	fd, err := t.fds.Load().Install(t, f, 0, cloexec, t.Limit(unix.RLIMIT_NOFILE))
	return fd, err
}

// FS is the root, working directory and umask; nil once the task has exited.
func (t *Task) FS() *FSContext { return t.fs.Load() }

// Creds implements kctx.Ctx.
func (t *Task) Creds() *creds.Credentials { return t.cred.Load() }

// SetCreds replaces the credentials; only by the task itself.
func (t *Task) SetCreds(c *creds.Credentials) { t.cred.Store(c) }

// UserNS is the user namespace of the task's credentials.
func (t *Task) UserNS() *creds.UserNamespace { return t.Creds().UserNS }

// PID is the task's identifier.
func (t *Task) PID() *PID { return t.pid.Load() }

// PIDNamespace is the namespace t lives in.
func (t *Task) PIDNamespace() *PIDNamespace { return t.pid.Load().ns }

// MountNS is the mount namespace; nil once the task has exited.
func (t *Task) MountNS() *vfs.Namespace {
	if n := t.ns.Load(); n != nil {
		return n.mnt
	}
	return nil
}

// UTS is the UTS namespace.
func (t *Task) UTS() *UTSNamespace {
	if n := t.ns.Load(); n != nil {
		return n.uts
	}
	return nil
}

// IPC is the IPC namespace.
func (t *Task) IPC() *IPCNamespace {
	if n := t.ns.Load(); n != nil {
		return n.ipc
	}
	return nil
}

// NetNS is the network namespace.
func (t *Task) NetNS() *NetNamespace {
	if n := t.ns.Load(); n != nil {
		return n.net
	}
	return nil
}

// CgroupNS is the cgroup namespace.
func (t *Task) CgroupNS() *CgroupNamespace {
	if n := t.ns.Load(); n != nil {
		return n.cgroup
	}
	return nil
}

// TimeNS is the time namespace, TimeNSForChildren that of future children.
func (t *Task) TimeNS() *TimeNamespace {
	if n := t.ns.Load(); n != nil {
		return n.time
	}
	return nil
}

// TimeNSForChildren is the time namespace of children to come.
func (t *Task) TimeNSForChildren() *TimeNamespace {
	if n := t.ns.Load(); n != nil {
		return n.timeKids
	}
	return nil
}

// PIDNSForChildren is the PID namespace of children to come.
func (t *Task) PIDNSForChildren() *PIDNamespace {
	if n := t.ns.Load(); n != nil {
		return n.pidKids
	}
	return nil
}

// TID is the thread id in the task's own PID namespace.
func (t *Task) TID() int32 { p := t.pid.Load(); return p.nums[p.ns.level] }

// TIDIn is the thread id seen from ns, or 0.
func (t *Task) TIDIn(ns *PIDNamespace) int32 { return t.pid.Load().In(ns) }

// PIDIn is the process id seen from ns, or 0.
func (tg *ThreadGroup) PIDIn(ns *PIDNamespace) int32 {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.pid.In(ns)
}

// TGID is the process id in the task's own PID namespace.
func (t *Task) TGID() int32 {
	// tg.pid never changes while a task of the group runs: de_thread keeps it.
	p := t.tg.pid
	return p.nums[p.ns.level]
}

// ThreadID implements kctx.Ctx: the id in the root namespace.
func (t *Task) ThreadID() int32 { return t.pid.Load().nums[0] }

// ProcessID implements kctx.Ctx.
func (t *Task) ProcessID() int32 { return t.tg.pid.nums[0] }

// PID is the process's identifier.
func (tg *ThreadGroup) PID() *PID { return tg.pid }

// Kernel is the sandbox.
func (tg *ThreadGroup) Kernel() *Kernel { return tg.k }

// ContainerID is the container the process belongs to.
func (tg *ThreadGroup) ContainerID() string { return tg.containerID }

// StartTime is when the process was made.
func (tg *ThreadGroup) StartTime() time.Time { return tg.startTime }

// Limits are the resource limits.
func (tg *ThreadGroup) Limits() *limits.Set { return tg.limits }

// Leader is the thread with the process's id; a zombie if it exited first.
func (tg *ThreadGroup) Leader() *Task {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.leader
}

// Tasks are the threads that were not reaped yet.
func (tg *ThreadGroup) Tasks() []*Task {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return append([]*Task(nil), tg.tasks...)
}

// Parent is the parent process, nil for the first of a container.
func (tg *ThreadGroup) Parent() *ThreadGroup {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.parent
}

// ParentPID is the parent's id seen from t's namespace, 0 if it is outside.
func (t *Task) ParentPID() int32 {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	if t.tg.parent == nil {
		return 0
	}
	return t.tg.parent.pid.In(t.pid.Load().ns)
}

// Children are the child processes.
func (tg *ThreadGroup) Children() []*ThreadGroup {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	var l []*ThreadGroup
	for c := tg.children.head; c != nil; c = c.sibling.next {
		l = append(l, c)
	}
	return l
}

// OOMScoreAdj is /proc/pid/oom_score_adj.
func (tg *ThreadGroup) OOMScoreAdj() int32 { return atomic.LoadInt32(&tg.oomAdj) }

// SetOOMScoreAdj changes it.
func (tg *ThreadGroup) SetOOMScoreAdj(v int32) { atomic.StoreInt32(&tg.oomAdj, v) }

// Name is the command name (comm), at most 15 bytes.
func (t *Task) Name() string { return *t.name.Load() }

// SetName changes it.
func (t *Task) SetName(s string) {
	if len(s) > 15 {
		s = s[:15]
	}
	t.name.Store(&s)
}

// Limit implements limits.Source.
func (t *Task) Limit(resource int) uint64 { return t.tg.limits.Cur(resource) }

// Personality is personality(2)'s value.
func (t *Task) Personality() uint32 { return t.persona.Load() }

// SetPersonality changes it and returns the old one.
func (t *Task) SetPersonality(v uint32) uint32 { return t.persona.Swap(v) }

// TimerSlack is PR_GET_TIMERSLACK in nanoseconds.
func (t *Task) TimerSlack() uint64 { return t.timerSlack.Load() }

// SetTimerSlack changes it.
func (t *Task) SetTimerSlack(ns uint64) { t.timerSlack.Store(ns) }

// CheckFileSize implements kctx.FileSizeLimiter.
func (t *Task) CheckFileSize(offset, count int64) (int64, error) {
	max := t.Limit(unix.RLIMIT_FSIZE)
	if max == limits.Infinity || uint64(offset)+uint64(count) <= max {
		return count, nil
	}
	if uint64(offset) >= max {
		t.SendSignal(signal.Kernel(int32(unix.SIGXFSZ)))
		return 0, errno.EFBIG
	}
	return int64(max) - offset, nil
}

// FutexWaiter is the task's own waiter, for waits on one word.
func (t *Task) FutexWaiter() *futex.Waiter { return &t.futexW }

// SetRobustList stores set_robust_list(2)'s head.
func (t *Task) SetRobustList(head, n uint64) { t.robustList, t.robustLen = head, n }

// RobustList is get_robust_list(2).
func (t *Task) RobustList() (head, n uint64) { return t.robustList, t.robustLen }

// SetClearTID stores set_tid_address(2)'s address.
func (t *Task) SetClearTID(addr uint64) { t.clearTID = addr }

// ClearTID is set_tid_address(2)'s address.
func (t *Task) ClearTID() uint64 { return t.clearTID }

// THPDisable is PR_GET_THP_DISABLE.
func (tg *ThreadGroup) THPDisable() bool { return tg.noTHP.Load() }

// SetTHPDisable is PR_SET_THP_DISABLE.
func (tg *ThreadGroup) SetTHPDisable(on bool) { tg.noTHP.Store(on) }

// SetRestart sets what restart_syscall(2) runs after ERESTARTBLOCK.
func (t *Task) SetRestart(fn func() (uint64, error)) { t.restartFn = fn }

// Restart runs and forgets what SetRestart stored (restart_syscall(2)).
func (t *Task) Restart() (uint64, error) {
	fn := t.restartFn
	t.restartFn = nil
	if fn == nil {
		return 0, errno.EINTR
	}
	return fn()
}

// AtExit runs fn on the task goroutine when the task exits (SEM_UNDO and the like).
func (t *Task) AtExit(fn func()) { t.exitCleanups = append(t.exitCleanups, fn) }

// Call is the number of the system call in progress, or -1, and how many
// calls t has made: a watchdog that sees the same pair twice found a slow one.
func (t *Task) Call() (nr int64, count uint64) {
	c := t.call.Load()
	if t.inSwitch.Load() {
		return -1, c >> 16
	}
	return int64(c & 0xffff), c >> 16
}

// State is the letter of /proc/pid/stat.
func (t *Task) State() byte {
	switch t.state.Load() {
	case stateRunning:
		return 'R'
	case stateDiskSleep:
		return 'D'
	case stateStopped:
		return 'T'
	case stateTraced:
		return 't'
	case stateZombie:
		return 'Z'
	case stateDead:
		return 'X'
	}
	return 'S'
}

// Exiting says whether the task is on its way out or gone.
func (t *Task) Exiting() bool {
	t.tg.sigMu.Lock()
	defer t.tg.sigMu.Unlock()
	return t.exiting
}

// tgList is a list of processes linked through one of their tgLinks.
type tgList struct{ head, tail *ThreadGroup }

type tgLinks struct{ next, prev *ThreadGroup }

func (l *tgList) addChild(tg *ThreadGroup) {
	tg.sibling = tgLinks{prev: l.tail}
	if l.tail != nil {
		l.tail.sibling.next = tg
	} else {
		l.head = tg
	}
	l.tail = tg
}

func (l *tgList) removeChild(tg *ThreadGroup) {
	s := &tg.sibling
	if s.prev != nil {
		s.prev.sibling.next = s.next
	} else {
		l.head = s.next
	}
	if s.next != nil {
		s.next.sibling.prev = s.prev
	} else {
		l.tail = s.prev
	}
	*s = tgLinks{}
}

func (l *tgList) addMember(tg *ThreadGroup) {
	tg.pgLinks = tgLinks{prev: l.tail}
	if l.tail != nil {
		l.tail.pgLinks.next = tg
	} else {
		l.head = tg
	}
	l.tail = tg
}

func (l *tgList) removeMember(tg *ThreadGroup) {
	s := &tg.pgLinks
	if s.prev != nil {
		s.prev.pgLinks.next = s.next
	} else {
		l.head = s.next
	}
	if s.next != nil {
		s.next.pgLinks.prev = s.prev
	} else {
		l.tail = s.prev
	}
	*s = tgLinks{}
}

// Buf returns a buffer over user memory for the current system call; it is
// reused by the next.
func (t *Task) Buf(addr, n uint64) *usermem.Buf {
	t.ioBuf.SetUser(t.space, addr, n)
	return &t.ioBuf
}
