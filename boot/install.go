package boot

import (
	"fmt"
	"sort"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/cgroupfs"
	"redoubt.dev/redoubt/fsimpl/devfs"
	"redoubt.dev/redoubt/fsimpl/devpts"
	"redoubt.dev/redoubt/fsimpl/goferfs"
	"redoubt.dev/redoubt/fsimpl/mqueue"
	"redoubt.dev/redoubt/fsimpl/overlayfs"
	"redoubt.dev/redoubt/fsimpl/pipefs"
	"redoubt.dev/redoubt/fsimpl/procfs"
	"redoubt.dev/redoubt/fsimpl/sysfs"
	"redoubt.dev/redoubt/fsimpl/tmpfs"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/socket/inet"
	"redoubt.dev/redoubt/sentry/socket/netlink"
	unixsock "redoubt.dev/redoubt/sentry/socket/unix"
	"redoubt.dev/redoubt/sentry/syscalls"
	"redoubt.dev/redoubt/vfs"
)

// install registers the file systems, devices and system calls with the
// kernel: it is the one place that knows them all.
func (s *server) install(a *CreateArgs) error {
	mem := s.k.Memory()
	s.cgroups = &cgroupfs.Type{K: s.k}
	tmp := tmpfs.NewType(s.sys, mem)
	tmp.DefaultSize = s.host.memTotal / 2 // as tmpfs(5)
	for _, t := range []vfs.FSType{
		goferfs.New(s.sys),
		tmp,
		tmpfs.NewNamedType(s.sys, mem, "ramfs"),
		overlayfs.New(s.sys),
		&devfs.Type{Tmpfs: tmpfs.NewNamedType(s.sys, mem, "devtmpfs")},
		&procfs.Type{K: s.k, Host: procfs.HostInfo{CPUInfo: s.host.cpuinfo, CPUs: s.host.cpus}},
		&sysfs.Type{K: s.k, Host: s.host.sysfs},
		&mqueue.Type{K: s.k},
		s.cgroups,
		&devpts.Type{K: s.k, Sys: s.sys},
	} {
		s.sys.RegisterType(t)
	}
	pipefs.Register(s.sys)
	devfs.RegisterDevices(s.sys, mem)
	devpts.RegisterDevices(s.sys)
	if a.Flags.Network == "host" {
		klog.Warningf("--network=host: guests have only a loopback device")
		klog.Stub("--network=host: guests have only a loopback device")
	}
	socket.Register(unix.AF_UNIX, unixsock.New(s.sys))
	registerNetFiles()
	inetFiles{s.k}.register()
	netlink.Register()
	inet.Register()
	s.k.SetDispatch(syscalls.Dispatch)
	s.k.SetTracer(&syscalls.Tracer{Only: callNames(a.Flags.StraceSyscalls)})
	s.k.SetTrace(a.Flags.Strace)
	return nil
}

// cgroupLimits are what the root of the sandbox's cgroup tree shows.
func cgroupLimits(r *specs.LinuxResources) (l cgroupfs.Limits) {
	if r.Memory != nil && r.Memory.Limit != nil && *r.Memory.Limit > 0 {
		l.Memory = uint64(*r.Memory.Limit)
	}
	if r.CPU != nil && r.CPU.Quota != nil && *r.CPU.Quota > 0 {
		l.CPUQuota, l.CPUPeriod = *r.CPU.Quota, 100000
		if r.CPU.Period != nil && *r.CPU.Period > 0 {
			l.CPUPeriod = int64(*r.CPU.Period)
		}
	}
	if r.Pids != nil && r.Pids.Limit != nil && *r.Pids.Limit > 0 {
		l.Pids = *r.Pids.Limit
	}
	return l
}

// waitProcess waits for the end of a process, and for the host to have what it
// changed: whoever hears of the end may look.
func waitProcess(tg *kernel.ThreadGroup) uint32 {
	st := tg.WaitExited()
	goferfs.Settle()
	return st
}

// setup is called on a new process before its program is loaded.
func (c *container) setup(t *kernel.Task) error {
	if c.filter == nil {
		return nil
	}
	return t.InstallFilter(c.filter)
}

// checkFilter hands a compiled profile to the guest's filter engine.
func checkFilter(code []unix.SockFilter) (*seccomp.Program, error) {
	insns := make([]seccomp.Insn, len(code))
	for i, c := range code {
		insns[i] = seccomp.Insn{Code: c.Code, JT: c.Jt, JF: c.Jf, K: c.K}
	}
	return seccomp.Check(insns)
}

func syscallNumber(name string) (uint32, bool) {
	if r := syscalls.ByName(name); r != nil {
		return uint32(r.Nr), true
	}
	return 0, false
}

// Syscalls is the table behind `runsc syscalls`.
func Syscalls() []SyscallRow {
	var l []SyscallRow
	for _, r := range syscalls.Table() {
		l = append(l, SyscallRow{Number: int(r.Nr), Name: r.Name, Level: r.Level.String(), Note: r.Note})
	}
	return l
}

// callNames reads a list of system calls to log; empty means all.
func callNames(list string) map[string]bool {
	if list == "" {
		return nil
	}
	m := make(map[string]bool)
	for _, n := range strings.Split(list, ",") {
		m[strings.TrimSpace(n)] = true
	}
	return m
}

// strace switches the logging of calls on ("all") or off while the sandbox
// runs; which calls was said with --strace-syscalls.
func (s *server) strace(calls string) error {
	if !klog.On(klog.Info) {
		klog.SetLevel(klog.Info)
	}
	s.k.SetTrace(calls != "" && calls != "off")
	return nil
}

// update changes limits the sentry keeps itself.
func (c *container) update(r *specs.LinuxResources) {
	if r != nil {
		c.s.cgroups.SetLimits(c.id, cgroupLimits(r))
	}
}

// bindConsole makes /dev/console the first process's terminal.
func (c *container) bindConsole(p *process) error {
	if err := c.b.ensurePoint("/dev/console", true); err != nil {
		return fmt.Errorf("making /dev/console: %w", err)
	}
	if err := c.b.bind("/dev/pts/0", "/dev/console"); err != nil {
		return fmt.Errorf("binding /dev/console: %w", err)
	}
	return nil
}

func (c *container) mounts() string { return c.readFile("/proc/1/mountinfo") }

// ps lists the container's processes.
func (c *container) ps() []ProcessInfo {
	l := []ProcessInfo{}
	for _, tg := range c.pidns.ThreadGroups() {
		if tg.ContainerID() != c.id {
			continue
		}
		t := tg.Leader()
		if t == nil {
			continue
		}
		r := tg.Resources()
		p := ProcessInfo{PID: t.PID().In(c.pidns), UID: uint32(t.Creds().EUID), Cmd: t.Name(), TTY: "?",
			Threads: len(tg.Tasks()), State: string(rune(t.State())),
			STime: tg.StartTime().Format("15:04"),
			Time:  time.Duration(r.UserNs + r.SysNs).Round(10 * time.Millisecond).String()}
		if cmd := c.readFile(fmt.Sprintf("/proc/%d/cmdline", p.PID)); cmd != "" {
			p.Cmd = strings.TrimRight(strings.ReplaceAll(cmd, "\x00", " "), " ")
		}
		if pp := tg.Parent(); pp != nil {
			p.PPID = pp.PID().In(c.pidns)
		}
		if _, _, tty, _ := tg.SessionInfo(c.pidns); tty != nil {
			major, minor := tty.TTYDev()
			if major == 136 {
				p.TTY = fmt.Sprintf("pts/%d", minor)
			}
		}
		l = append(l, p)
	}
	sort.Slice(l, func(i, j int) bool { return l[i].PID < l[j].PID })
	return l
}

func (c *container) events() Events {
	var e Events
	for _, tg := range c.pidns.ThreadGroups() {
		if tg.ContainerID() != c.id {
			continue
		}
		r := tg.Resources()
		e.CPU.Usage.Total += uint64(r.UserNs + r.SysNs)
		e.Pids.Current += uint64(len(tg.Tasks()))
	}
	e.Memory.Usage.Usage = c.s.k.Memory().Usage()
	return e
}

// tasks describes every task of the sandbox, with the call it is in.
func (s *server) tasks() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%7s %7s %s %-16s %12s  %s\n", "PID", "TID", "S", "NAME", "CALLS", "LAST CALL")
	for _, tg := range s.k.RootPIDNS().ThreadGroups() {
		for _, t := range tg.Tasks() {
			nr, n := t.Call()
			fmt.Fprintf(&b, "%7d %7d %c %-16s %12d  %s\n", tg.PID().Root(), t.PID().Root(), t.State(), t.Name(), n, callName(nr))
		}
	}
	return b.String()
}

func callName(nr int64) string {
	if nr < 0 {
		return "user code"
	}
	if r := syscalls.Lookup(uint64(nr)); r != nil {
		return r.Name
	}
	return fmt.Sprintf("call %d", nr)
}
