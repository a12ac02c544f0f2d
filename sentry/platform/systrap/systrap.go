// Package systrap runs user code in host processes of its own and lets
// seccomp turn each of its system calls into a signal (see package platform
// for the interface).
//
// Each Space is a process forked from a zygote, a tiny program whose source is
// in stub/; each Thread is one thread of it. Its signal handler publishes
// registers and event on a page shared with the sentry, and waits there until
// the sentry says to go on: both sides spin for a bounded time and then sleep
// on a futex. A further thread, the leader, never runs user code: it makes
// the others.
//
// Threads with user code own no descriptors but a socket, and map memory for
// themselves: the sentry writes a batch of operations to a page the stub can
// only read, sends the descriptors on the socket, and code in stub/gate.S
// receives, maps and closes, in one stretch that user code cannot change. How
// it withstands a hostile process is argued there and in filter.go. What the
// stub reports is never believed for safety: an acknowledgement can be forged,
// and then the process only harms itself.
//
// Locks: Space.patchMu, Space.mu, Space.leadMu, Space.threads, zygote.mu in this
// order; zygote.forkMu and pool.mu are leaves.
package systrap

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/platform"
)

// Options configures New.
type Options struct {
	// PoolSize is how many forked processes are kept ready; 0 means 2.
	PoolSize int
	// NoPatch leaves the text of user code alone (see patch.go).
	NoPatch bool
}

// HostCall is a call the sentry makes for this package after New.
type HostCall struct {
	Nr  uintptr
	Why string
}

// HostSyscalls lists them for the sentry's own filter.
var HostSyscalls = []HostCall{
	{unix.SYS_FUTEX, "wait for a stub thread, and wake it"},
	{unix.SYS_SENDMSG, "pass descriptors to stubs over sockets made before or by socketpair"},
	{unix.SYS_READ, "reports of the zygote"},
	{unix.SYS_SOCKETPAIR, "AF_UNIX SOCK_SEQPACKET: one per stub process and per thread"},
	{unix.SYS_MEMFD_CREATE, "shared pages of a stub process"},
	{unix.SYS_FTRUNCATE, "their size"},
	{unix.SYS_MINCORE, "which pages of a thread that ended are to be cleared"},
	{unix.SYS_PPOLL, "wait for the end of a stub thread"},
	{unix.SYS_RECVFROM, "has a stub thread ended: is its socket closed"},
	{unix.SYS_MMAP, "MAP_SHARED of a thread's pages"},
	{unix.SYS_MUNMAP, "drop them"},
	{unix.SYS_IOCTL, "SIOCOUTQ: was every message received"},
	{unix.SYS_TGKILL, "interrupt a stub thread"},
	{unix.SYS_KILL, "end a stub process"},
	{unix.SYS_CLOSE, "sockets and memory of stubs that ended"},
}

// Platform implements platform.Platform.
type Platform struct {
	z       *zygote
	pool    *pool
	noPatch bool
	ncpu    int32
	// active counts threads whose task is not blocked: see spin.go.
	active atomic.Int32
	// xstate is what the host's signal frames hold, learnt from the first.
	xstate atomic.Pointer[xstate]
}

// New starts the zygote. It needs execveat(2) and clone(2), so it comes before
// the sentry's own filter, and descriptor 0 must be open.
func New(o Options) (platform.Platform, error) {
	if o.PoolSize == 0 {
		o.PoolSize = 2
	}
	if !hasFSGSBase() {
		return nil, errors.New("systrap: the host does not let user code set FS and GS (FSGSBASE: Linux 5.9 and a CPU since 2012)")
	}
	z, err := newZygote()
	if err != nil {
		return nil, err
	}
	p := &Platform{z: z, noPatch: o.NoPatch, ncpu: int32(runtime.NumCPU())}
	limitProcs()
	p.pool = newPool(p, o.PoolSize)
	if err := p.probe(); err != nil {
		p.Close()
		return nil, fmt.Errorf("probing the stub: %w", err)
	}
	return p, nil
}

// hasFSGSBase looks for HWCAP2_FSGSBASE, without which the stub's first trap
// would end in SIGILL. Where there is no auxiliary vector it is taken for there.
func hasFSGSBase() bool {
	const atHWCAP2, fsgsbase = 26, 2
	aux, err := unix.Auxv()
	if err != nil {
		return true
	}
	for _, a := range aux {
		if a[0] == atHWCAP2 {
			return a[1]&fsgsbase != 0
		}
	}
	return false
}

// limitProcs leaves half of the cores to user code. With as many Ps as cores,
// each goroutine that becomes runnable has the Go scheduler wake another thread
// to look for work, on the core that the stub is about to need; a ping-pong
// between two tasks took 60 us instead of 45 and half as much processor time
// again. GOMAXPROCS in the environment wins.
func limitProcs() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.NumCPU() + 1) / 2)
	}
}

// probe runs one thread up to its first trap, which shows that everything
// works here, and notes the format of the floating-point state.
func (p *Platform) probe() error {
	s, err := p.NewSpace()
	if err != nil {
		return err
	}
	defer s.Release()
	th, err := s.NewThread()
	if err != nil {
		return err
	}
	t := th.(*Thread)
	if !t.boot() {
		return fmt.Errorf("a stub thread did not start (error %d)", t.a.err)
	}
	return nil
}

// MaxAddr implements platform.Platform.
func (p *Platform) MaxAddr() uint64 { return maxAddr }

// NewSpace implements platform.Platform.
func (p *Platform) NewSpace() (platform.Space, error) {
	s, err := p.pool.get()
	if err != nil {
		return nil, err
	}
	return s, nil
}

// newSpace makes pr a space.
func newSpace(p *Platform, pr *proc) (*Space, error) {
	s := &Space{p: p, proc: pr}
	p.z.mu.Lock()
	defer p.z.mu.Unlock()
	if p.z.mu.dead {
		return nil, errZygote
	}
	p.z.mu.spaces[pr.pid] = s
	return s, nil
}

// Close implements platform.Platform. The zygote and the leaders end when
// their sockets are closed.
func (p *Platform) Close() error {
	p.z.mu.Lock()
	for pid := range p.z.mu.spaces {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	p.z.mu.Unlock()
	p.pool.close()
	return p.z.ctl.Close()
}
