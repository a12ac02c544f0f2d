package boot

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot/hostfilter"
	"redoubt.dev/redoubt/fsimpl/cgroupfs"
	"redoubt.dev/redoubt/fsimpl/hostfd"
	"redoubt.dev/redoubt/fsimpl/sysfs"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/loader"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/platform/systrap"
	"redoubt.dev/redoubt/sentry/socket/inet"
	"redoubt.dev/redoubt/vfs"
)

// machine is the kernel and what it stands on.
type machine struct {
	plat platform.Platform
	k    *kernel.Kernel
	sys  *vfs.System
	ctx  kctx.Ctx // root in the sandbox, for work done for no task
	host hostFacts
	// cgroups keeps the limits that the sentry enforces itself.
	cgroups *cgroupfs.Type

	inFlight sync.WaitGroup // requests being answered
	ended    chan struct{}  // closed when the root container ended
	endOnce  sync.Once

	// starterDone is closed when the connection the sandbox was made with has
	// been told the end, or is gone.
	starterDone chan struct{}
	starterOnce sync.Once
}

// hostFacts is what is read of the host before it is given up.
type hostFacts struct {
	cpuinfo  string
	thp      string
	sysfs    sysfs.HostInfo
	memTotal uint64
	cpus     int
	// mem is made early because its read-only descriptor is opened through
	// /proc/self/fd.
	mem *pages.Memory
}

// readHost collects facts that need files or calls the filter forbids.
func readHost() (h hostFacts, err error) {
	if h.mem, err = pages.NewMemory("redoubt-memory"); err != nil {
		return h, fmt.Errorf("making guest memory: %w", err)
	}
	systrap.ReadHost()
	systrap.ReadHost()
	b, _ := os.ReadFile("/proc/cpuinfo")
	h.cpuinfo = string(b)
	b, _ = os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	h.thp = string(b)
	h.sysfs = sysfs.ReadHost()
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		h.memTotal = si.Totalram * uint64(si.Unit)
	}
	h.cpus = runtime.NumCPU()
	return h, nil
}

// limit narrows the facts to what the container may use.
func (h *hostFacts) limit(l *specs.Linux) {
	if l == nil || l.Resources == nil {
		return
	}
	if m := l.Resources.Memory; m != nil && m.Limit != nil && *m.Limit > 0 {
		h.memTotal = min(h.memTotal, uint64(*m.Limit))
	}
	if c := l.Resources.CPU; c != nil && c.Quota != nil && *c.Quota > 0 {
		period := int64(100000)
		if c.Period != nil && *c.Period > 0 {
			period = int64(*c.Period)
		}
		h.cpus = max(1, min(h.cpus, int((*c.Quota+period-1)/period)))
	}
}

// platformCalls are the host calls the platform needs beyond the table.
func platformCalls() []hostfilter.Rule {
	var l []hostfilter.Rule
	for _, c := range systrap.HostSyscalls {
		l = append(l, hostfilter.Rule{Nr: uint32(c.Nr), Name: fmt.Sprintf("call%d", c.Nr), Reason: c.Why})
	}
	return l
}

// newServer does what must come before the host filter: the platform's zygote
// is an exec, the console may become the controlling terminal.
func newServer(a *CreateArgs, fds []int, host hostFacts) (*server, error) {
	s := &server{containers: map[string]*container{}, exitFile: -1}
	s.ended, s.starterDone = make(chan struct{}), make(chan struct{})
	s.host = host
	s.host.limit(a.Spec.Linux)
	if a.ExitFile >= 0 && a.ExitFile < len(fds) {
		s.exitFile = fds[a.ExitFile]
	}
	if a.Log >= 0 && a.Log < len(fds) {
		klog.SetOutput(os.NewFile(uintptr(fds[a.Log]), "log"))
	}
	if a.Flags.Debug || a.Flags.Strace {
		klog.SetLevel(klog.Debug)
	}
	if a.Stdio.Terminal && a.Stdio.Owned && a.Stdio.TTY < len(fds) {
		// Resizing it then sends us SIGWINCH.
		_ = unix.IoctlSetInt(fds[a.Stdio.TTY], unix.TIOCSCTTY, 0)
	}
	p, err := systrap.New(systrap.Options{})
	if err != nil {
		return nil, fmt.Errorf("starting the systrap platform: %w", err)
	}
	s.plat = p
	if err := hostfd.Start(); err != nil {
		return nil, fmt.Errorf("starting the poller: %w", err)
	}
	return s, nil
}

// createRoot builds the kernel and the first container.
func (s *server) createRoot(a *CreateArgs, fds []int) error {
	var err error
	s.sys = vfs.NewSystem()
	userNS := creds.NewRootNS()
	s.ctx = kctx.Background(creds.NewRoot(userNS))
	s.k, err = kernel.New(kernel.Args{
		Platform: s.plat, Memory: s.host.mem, VFS: s.sys, UserNS: userNS,
		Hostname: a.Spec.Hostname, Domainname: a.Spec.Domainname,
		CPUs: s.host.cpus, MemTotal: s.host.memTotal,
		OnPanic: s.broke,
	})
	if err != nil {
		return fmt.Errorf("making the kernel: %w", err)
	}
	inet.StartUp(s.k.RootNet())
	var base uint64
	if h, ok := s.plat.(platform.VDSOKeeper); ok {
		base = h.HostVDSO()
	}
	vdso, err := loader.NewVDSO(s.host.mem, base)
	if err != nil {
		return err
	}
	s.k.SetVDSO(vdso)
	if p := a.Spec.Process; p != nil {
		setTitle("runsc-boot " + a.ID + " " + strings.Join(p.Args, " "))
	}
	if err := s.install(a); err != nil {
		return err
	}
	c, err := s.newContainer(a, fds)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.containers[a.ID], s.root = c, c
	s.mu.Unlock()
	return nil
}

// containerEnded is called once a container's first process is gone.
func (s *server) containerEnded(c *container) {
	if !c.child {
		s.endOnce.Do(func() { close(s.ended) })
		return
	}
	c.destroy()
	s.record(c.exitFile, c.init.status)
	close(c.recorded)
}

// waitRoot waits for the end of the first container, lets its waiters know, and
// returns its status for this process to end with.
func (s *server) waitRoot() int {
	<-s.ended
	st := s.root.init.status
	s.recordExit(st)
	// A foreground runsc may not have come to ask yet.
	select {
	case <-s.starterDone:
	case <-time.After(2 * time.Second):
	}
	answered := make(chan struct{})
	go func() { s.inFlight.Wait(); close(answered) }()
	select {
	case <-answered:
	case <-time.After(200 * time.Millisecond):
	}
	return st.Code()
}

// die ends every process in the sandbox, and the sandbox even if they do not
// end.
func (s *server) die(why string) {
	if s.k == nil {
		fmt.Fprintf(os.Stderr, "runsc-boot: %s\n", why)
		os.Exit(128)
	}
	s.k.Kill(why)
	if s.root != nil {
		s.root.notStarted(int32(unix.SIGKILL))
	}
	select {
	case <-s.ended:
		time.Sleep(300 * time.Millisecond) // waitRoot ends the process before that
	case <-time.After(2 * time.Second):
	}
	s.lastWords(why)
}

// broke is called with the last words of a sentry that cannot go on.
func (s *server) broke(words string) {
	s.lastWords(words + "\n" + string(debug.Stack()))
}

func (s *server) lastWords(words string) {
	fmt.Fprintf(os.Stderr, "runsc-boot: %s\n", words)
	first, _, _ := strings.Cut(words, "\n")
	s.recordExit(ExitStatus{Status: 134 << 8, Reason: first})
	os.Exit(134)
}
