package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// sandbox is a sandbox being made by this process: its two helpers and what
// will be sent to them.
type sandbox struct {
	boot, gofer *child
	// ctl is the connection to the sandbox: boot's own, or another's that
	// this container joins.
	ctl      *boot.Conn
	fds      []int // the create message's descriptors
	own      []int // those to close here once sent
	args     boot.CreateArgs
	mounts   []boot.GoferMount
	goferFDs []int
}

// spawnSandbox starts both helpers at once. Standard error of the sandbox
// process is where its last words go.
func spawnSandbox(cfg *config, stderr int) (*sandbox, error) {
	raiseLimits()
	s := &sandbox{}
	var err error
	if s.boot, err = spawn(cfg, "boot", stderr, true); err != nil {
		return nil, err
	}
	if s.gofer, err = spawn(cfg, "gofer", stderr, true); err != nil {
		s.boot.kill()
		return nil, err
	}
	s.ctl = s.boot.conn
	s.args.Listen, s.args.ExitFile, s.args.Life, s.args.Log = -1, -1, -1, -1
	s.args.Flags = cfg.bootFlags()
	return s, nil
}

// raiseLimits lifts limits of the caller that would bind the sandbox as a
// whole: the guest's limits are kept by the sentry. A user may not, and runs
// with what there is.
func raiseLimits() {
	for _, l := range []struct {
		res int
		max uint64
	}{{unix.RLIMIT_NOFILE, 1 << 20}, {unix.RLIMIT_FSIZE, unix.RLIM_INFINITY}, {unix.RLIMIT_AS, unix.RLIM_INFINITY},
		{unix.RLIMIT_DATA, unix.RLIM_INFINITY}, {unix.RLIMIT_STACK, 8 << 20}, {unix.RLIMIT_CPU, unix.RLIM_INFINITY}} {
		var cur unix.Rlimit
		if unix.Getrlimit(l.res, &cur) == nil && cur.Cur < l.max {
			if cur.Max < l.max && unix.Setrlimit(l.res, &unix.Rlimit{Cur: l.max, Max: l.max}) == nil {
				continue
			}
			unix.Setrlimit(l.res, &unix.Rlimit{Cur: min(l.max, cur.Max), Max: cur.Max})
		}
	}
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

// pass adds a descriptor to the create message. own says that it is closed
// here after sending.
func (s *sandbox) pass(fd int, own bool) int {
	s.fds = append(s.fds, fd)
	if own {
		s.own = append(s.own, fd)
	}
	return len(s.fds) - 1
}

// serve makes the connections of a mount the gofer serves.
func (s *sandbox) serve(m *boot.Mount, hostUDS string) error {
	var pairs [2][2]int
	for i, typ := range []int{unix.SOCK_STREAM, unix.SOCK_SEQPACKET} { // gofer/wire: 9P, lane
		p, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("making the connection of mount %s: %w", m.Dest, err)
		}
		pairs[i] = p
	}
	m.Gofer = true
	m.Conn, m.Donate = s.pass(pairs[0][0], true), s.pass(pairs[1][0], true)
	n := len(s.goferFDs)
	s.goferFDs = append(s.goferFDs, pairs[0][1], pairs[1][1])
	s.mounts = append(s.mounts, boot.GoferMount{Source: m.Source, ReadOnly: m.ReadOnly || m.Overlay, Conn: n, Donate: n + 1, HostUDS: hostUDS})
	return nil
}

// create sends everything and waits until the container exists.
func (s *sandbox) create(cfg *config) error {
	life, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making the gofer's life line: %w", err)
	}
	s.args.Life = s.pass(life[0], true)
	s.goferFDs = append(s.goferFDs, life[1])
	g := boot.GoferArgs{Mounts: s.mounts, Life: len(s.goferFDs) - 1, Log: -1, Debug: cfg.debug,
		HostUDS: cfg.hostUDS != "none", Unconfined: cfg.unconfined}
	m := &boot.Message{Op: "serve", Args: mustJSON(g)}
	err = s.gofer.conn.Send(m, s.goferFDs...)
	for _, fd := range s.goferFDs {
		unix.Close(fd)
	}
	if err != nil {
		return s.explain(fmt.Errorf("sending the gofer its mounts: %w", err))
	}
	err = s.ctl.Call("create", &s.args, nil, s.fds...)
	for _, fd := range s.own {
		unix.Close(fd)
	}
	s.own = nil
	if err != nil {
		return s.explain(err)
	}
	return nil
}

// explain says how a helper died if an error of talking to it came from that.
func (s *sandbox) explain(err error) error {
	if !isDisconnect(err) {
		return err
	}
	ended := func(c *child) (syscall.WaitStatus, bool) {
		var ws syscall.WaitStatus
		pid, werr := syscall.Wait4(c.pid, &ws, syscall.WNOHANG, nil)
		if werr != nil || pid != c.pid {
			return ws, false
		}
		c.pid = 0
		return ws, true
	}
	for range 20 {
		if s.boot.pid > 0 {
			if ws, ok := ended(s.boot); ok {
				if g, ok := ended(s.gofer); ok && g != 0 {
					return &diedError{"gofer", g}
				}
				return &diedError{"sandbox", ws}
			}
		}
		unix.Poll(nil, 5)
	}
	if s.ctl != s.boot.conn {
		return fmt.Errorf("the sandbox that the container is in has ended: %w", err)
	}
	return err
}

func (s *sandbox) kill() {
	if s == nil {
		return
	}
	s.boot.kill()
	s.gofer.kill()
	if s.ctl != nil && s.ctl != s.boot.conn {
		s.ctl.Close() // a container made in another's sandbox ends with it
		s.ctl = s.boot.conn
	}
}

// waitResult waits for the end of the first process and returns its status.
func (s *sandbox) waitResult() (boot.ExitStatus, error) {
	var st boot.ExitStatus
	if err := s.ctl.Call("wait", boot.ProcessRef{ID: s.args.ID}, &st); err != nil {
		err = s.explain(err)
		var d *diedError
		if errors.As(err, &d) && d.ws.Signaled() {
			// To whoever waits, the container was killed.
			err = &exitError{code: 128 + int(d.ws.Signal()), msg: d.Error()}
		}
		return st, err
	}
	return st, nil
}

// forward hands the signals runsc gets to the guest, until the returned
// function is called. SIGCHLD, SIGURG (Go's own) and SIGWINCH are not among
// them.
func forward(send func(sig int32)) func() {
	ch := make(chan os.Signal, 32)
	signal.Notify(ch)
	go func() {
		for s := range ch {
			sig, ok := s.(syscall.Signal)
			switch {
			case !ok || sig == syscall.SIGCHLD || sig == syscall.SIGURG || sig == syscall.SIGPIPE:
			default:
				send(int32(sig))
			}
		}
	}()
	return func() { signal.Stop(ch) }
}

// createOpts are the flags create and run share.
type createOpts struct {
	bundle        string
	pidFile       string
	consoleSocket string
	pidfdSocket   string
	preserveFDs   int
	detach        bool
	keep          bool
	foreground    bool // run without --detach: the caller's terminal may be used
}

func (o *createOpts) flags(fs *flagSet) {
	fs.str(&o.bundle, "bundle b", ".", "directory with config.json")
	fs.str(&o.pidFile, "pid-file", "", "file to write the sandbox's process id to")
	fs.str(&o.consoleSocket, "console-socket", "", "unix socket that receives the terminal's master")
	fs.str(&o.pidfdSocket, "pidfd-socket", "", "unix socket that receives a pidfd of the sandbox")
	fs.num(&o.preserveFDs, "preserve-fds", 0, "how many descriptors after 2 to hand to the process")
	fs.ignoredBool("no-pivot", "the root is never a host mount")
	fs.ignoredBool("no-new-keyring", "sandboxes have no host keyring")
	fs.ignoredStr("user-log", "no such log")
}

// createContainer does what create and run have in common. On error nothing is
// left.
func createContainer(cfg *config, id string, o *createOpts) (c *container, s *sandbox, err error) {
	bundle, err := filepath.Abs(o.bundle)
	if err != nil {
		return nil, nil, fmt.Errorf("finding the bundle: %w", err)
	}
	if _, err := os.Stat(filepath.Join(bundle, "config.json")); err != nil {
		_, _, _, err := loadBundle(bundle)
		return nil, nil, err
	}
	if c, err = newContainer(cfg, id); err != nil {
		return nil, nil, err
	}
	var spec *specs.Spec
	defer func() {
		if err != nil {
			if words := tail(filepath.Join(c.dir, sandboxLog)); words != "" && helperDied(err) {
				err = fmt.Errorf("%w\n%s", err, words)
			}
			s.kill()
			removeCgroups(c.Cgroups)
			c.remove()
			if spec != nil && spec.Hooks != nil && s != nil {
				runHooks(spec.Hooks.Poststop, c.ociState(statusStopped), "poststop")
			}
		}
	}()
	stderr, err := cfg.openLog(id, "boot")
	if err != nil {
		return c, nil, err
	}
	if stderr < 0 {
		stderr, err = unix.Open(filepath.Join(c.dir, sandboxLog), unix.O_CREAT|unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return c, nil, fmt.Errorf("making the sandbox's log: %w", err)
		}
	}
	defer unix.Close(stderr)
	if s, err = spawnSandbox(cfg, stderr); err != nil {
		return c, nil, err
	}
	loaded, raw, bundle, err := loadBundle(o.bundle)
	if err != nil {
		return c, s, err
	}
	if loaded.Process == nil {
		return c, s, errors.New("the configuration has no process")
	}
	spec = loaded
	c.Bundle, c.Rootfs, c.Annotations = bundle, spec.Root.Path, spec.Annotations
	c.Created, c.Owner = now(), strconv.Itoa(os.Geteuid())
	c.Status, c.Creator = statusCreating, procOf(os.Getpid())
	c.Sandbox, c.Gofer = procOf(s.boot.pid), procOf(s.gofer.pid)
	c.Terminal, c.Flags, c.SystemdCg = spec.Process.Terminal, cfg.bootFlags(), cfg.systemdCgroup
	if err := os.WriteFile(filepath.Join(c.dir, specFile), raw, 0o600); err != nil {
		return c, s, fmt.Errorf("keeping the configuration: %w", err)
	}
	if err := c.save(); err != nil {
		return c, s, err
	}
	if !cfg.ignoreCgroups {
		if err := c.placeInCgroup(cfg, spec); err != nil {
			return c, s, err
		}
	}
	if spec.Process.OOMScoreAdj != nil {
		// Not allowed to a user who wants less than there is; the guest sees
		// its value all the same.
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", s.boot.pid), []byte(strconv.Itoa(*spec.Process.OOMScoreAdj)), 0o644)
	}
	if err := s.prepare(cfg, id, spec, bundle); err != nil {
		return c, s, err
	}
	if err := c.join(cfg, s, spec); err != nil {
		return c, s, err
	}
	if err := c.passFiles(s); err != nil {
		return c, s, err
	}
	master, err := s.passStdio(o, spec.Process)
	if err != nil {
		return c, s, err
	}
	if err := s.create(cfg); err != nil {
		return c, s, err
	}
	if err := c.startProxy(s, spec); err != nil {
		return c, s, err
	}
	if master >= 0 {
		err := sendFD(o.consoleSocket, master, ptsName(master))
		unix.Close(master)
		if err != nil {
			return c, s, err
		}
	}
	if h := spec.Hooks; h != nil {
		st := c.ociState(statusCreating)
		for _, stage := range []struct {
			name  string
			hooks []specs.Hook
		}{{"prestart", h.Prestart}, {"createRuntime", h.CreateRuntime}, {"createContainer", h.CreateContainer}} { //nolint:staticcheck // prestart is still called by engines
			if err := runHooks(stage.hooks, st, stage.name); err != nil {
				return c, s, err
			}
		}
	}
	// After the hooks, because they may have made the interfaces.
	if path := netnsPath(spec, s.boot.pid); path != "" && c.Within == "" && cfg.network == "sandbox" && !cfg.unconfined {
		if err := s.connectNetwork(path, usesDockerDNS(spec)); err != nil {
			return c, s, err
		}
	}
	c.Status = statusCreated
	if err := c.save(); err != nil {
		return c, s, err
	}
	if o.pidFile != "" {
		if err := writeAtomic(o.pidFile, []byte(strconv.Itoa(s.boot.pid)), 0o644); err != nil {
			return c, s, err
		}
	}
	if o.pidfdSocket != "" {
		fd, err := unix.PidfdOpen(s.boot.pid, 0)
		if err != nil {
			return c, s, fmt.Errorf("opening the sandbox's pidfd: %w", err)
		}
		err = sendFD(o.pidfdSocket, fd, "pidfd")
		unix.Close(fd)
		if err != nil {
			return c, s, err
		}
	}
	// From here on the sandbox does not end with us.
	if !s.args.Attached { // (a proxy is released the same way)
		if err := s.boot.conn.Call("release", nil, nil); err != nil {
			return c, s, s.explain(err)
		}
	}
	return c, s, nil
}

// connectNetwork gives the sandbox the interfaces of a network namespace.
func (s *sandbox) connectNetwork(path string, dns bool) error {
	n, fds, err := readNetwork(path, dns)
	if err != nil {
		return err
	}
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	if len(fds) == 0 {
		return nil // loopback only: the stack has its own
	}
	if err := s.ctl.Call("network", n, nil, fds...); err != nil {
		return s.explain(err)
	}
	return nil
}

// prepare turns the configuration into mounts and connections.
func (s *sandbox) prepare(cfg *config, id string, spec *specs.Spec, bundle string) error {
	ov, _ := parseOverlay(cfg.overlay)
	root, mounts, err := boot.Plan(spec, bundle, boot.PlanOptions{OverlayRoot: ov.root, OverlayAll: ov.all})
	if err != nil {
		return err
	}
	if err := s.serve(&root, cfg.hostUDS); err != nil {
		return err
	}
	for i := range mounts {
		if mounts[i].Type == "bind" {
			if err := s.serve(&mounts[i], cfg.hostUDS); err != nil {
				return err
			}
		}
	}
	s.args.ID, s.args.Spec, s.args.Root, s.args.Mounts = id, spec, root, mounts
	return nil
}

// passFiles gives the sandbox the two files of the state directory it works
// on: the socket it listens on, and where it writes how it ended.
func (c *container) passFiles(s *sandbox) error {
	dir, err := unix.Open(c.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the state of %q: %w", c.ID, err)
	}
	defer unix.Close(dir)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("making the control socket: %w", err)
	}
	addr := &unix.SockaddrUnix{Name: "/proc/self/fd/" + strconv.Itoa(dir) + "/" + socketFile}
	unix.Unlinkat(dir, socketFile, 0)
	if err := unix.Bind(fd, addr); err != nil {
		unix.Close(fd)
		return fmt.Errorf("binding the control socket: %w", err)
	}
	if err := unix.Listen(fd, 128); err != nil {
		unix.Close(fd)
		return fmt.Errorf("listening on the control socket: %w", err)
	}
	if c.Within != "" {
		unix.Close(fd) // the sandbox has a socket already
	} else {
		s.args.Listen = s.pass(fd, true)
	}
	exit, err := unix.Open(filepath.Join(c.dir, exitFile), unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("making the exit file: %w", err)
	}
	s.args.ExitFile = s.pass(exit, true)
	return nil
}

// passStdio decides what the first process's descriptors are. It returns the
// master of a terminal made for an engine, or -1.
func (s *sandbox) passStdio(o *createOpts, p *specs.Process) (master int, err error) {
	switch {
	case p.Terminal && o.consoleSocket != "":
		master, tty, err := newPTY(p.ConsoleSize)
		if err != nil {
			return -1, err
		}
		s.args.Stdio = terminalStdio(s.pass(tty, true), tty)
		s.args.Stdio.Owned = true
		return master, s.passExtra(o.preserveFDs)
	case p.Terminal && !o.foreground:
		return -1, errors.New("cannot allocate tty if runsc will detach without setting console socket")
	case p.Terminal && isTerminal(0):
		s.args.Stdio = terminalStdio(s.pass(0, false), 0)
		return -1, s.passExtra(o.preserveFDs)
	case p.Terminal:
		return -1, errors.New("cannot allocate tty: standard input is not a terminal, and there is no --console-socket")
	case o.consoleSocket != "":
		return -1, errors.New("cannot use console socket if runsc will not allocate tty (process.terminal is false)")
	}
	s.args.Stdio.Files = s.passPlain()
	return -1, s.passExtra(o.preserveFDs)
}

// passPlain hands over descriptors 0 to 2 as they are; a closed one is -1.
func (s *sandbox) passPlain() []int {
	var l []int
	for fd := 0; fd < 3; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			l = append(l, -1)
			continue
		}
		l = append(l, s.pass(fd, false))
	}
	return l
}

func (s *sandbox) passExtra(n int) error {
	for fd := 3; fd < 3+n; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return fmt.Errorf("--preserve-fds=%d: descriptor %d is not open", n, fd)
		}
		s.args.Stdio.Extra = append(s.args.Stdio.Extra, s.pass(fd, false))
	}
	return nil
}
