package boot

import (
	"errors"
	"fmt"
	"os"
	ossignal "os/signal"
	"sync"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/devpts"
	"redoubt.dev/redoubt/fsimpl/hostfd"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/fdtable"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// container is one OCI container in the sandbox: a mount namespace, a PID
// namespace and the processes that were started from outside.
type container struct {
	s       *server
	id      string
	spec    *specs.Spec
	b       *mounter
	keepEnv bool
	// child: a further container of the sandbox, which ends without ending it.
	child    bool
	exitFile int
	recorded chan struct{} // closed when a further container's status is in its file

	userns *creds.UserNamespace
	ctx    kctx.Ctx // its root, able to do anything: userNamespace

	pidns *kernel.PIDNamespace
	uts   *kernel.UTSNamespace
	ipc   *kernel.IPCNamespace
	net   *kernel.NetNamespace

	mu     sync.Mutex
	state  string // created, running, stopped; paused is the kernel's
	init   *process
	procs  map[int32]*process // by number in pidns; those runsc started
	filter *seccomp.Program   // the profile, or nil
}

// process is one that runsc started.
type process struct {
	tg      *kernel.ThreadGroup
	pid     int32
	console *devpts.Console
	owned   bool          // the host terminal was made for this process
	done    chan struct{} // closed when status is set
	status  ExitStatus
}

const (
	stateCreated = "created"
	stateRunning = "running"
	statePaused  = "paused"
	stateStopped = "stopped"
)

// newContainer mounts everything and loads the first process, which does not
// run yet.
func (s *server) newContainer(a *CreateArgs, fds []int) (_ *container, err error) {
	c := &container{s: s, id: a.ID, spec: a.Spec, keepEnv: a.KeepEnv, state: stateCreated, procs: make(map[int32]*process),
		child: s.root != nil, exitFile: -1, recorded: make(chan struct{})}
	if err := c.userNamespace(a.Share); err != nil {
		return nil, err
	}
	if err := c.namespaces(a.Share); err != nil {
		return nil, err
	}
	if a.ExitFile >= 0 && a.ExitFile < len(fds) {
		c.exitFile = fds[a.ExitFile]
	}
	if l := a.Spec.Linux; l != nil {
		c.update(l.Resources)
	}
	if l := a.Spec.Linux; l != nil && l.Seccomp != nil && a.Flags.OCISeccomp {
		f, err := CompileProfile(l.Seccomp, syscallNumber)
		if err != nil {
			return nil, fmt.Errorf("compiling the seccomp profile: %w", err)
		}
		if c.filter, err = checkFilter(f); err != nil {
			return nil, fmt.Errorf("checking the seccomp profile: %w", err)
		}
	}
	c.b = &mounter{id: c.id, sys: s.sys, ctx: c.ctx, userns: c.userns, fds: fds, shared: a.Flags.FileAccess == "shared",
		pidns: c.pidns, onDeath: func() { c.goferDied() }}
	defer func() {
		if err != nil && c.child {
			if c.init != nil {
				c.init.tg.Abandon()
			}
			c.release()
		}
	}()
	if err := c.b.makeRoot(&a.Root, a.Mounts); err != nil {
		return nil, err
	}
	if err := c.b.mountAll(a.Mounts); err != nil {
		return nil, err
	}
	if err := c.devices(); err != nil {
		return nil, err
	}
	if l := a.Spec.Linux; l != nil {
		if err := c.sysctls(l.Sysctl); err != nil {
			return nil, err
		}
	}
	p, err := c.newProcess(a.Spec.Process, &a.Stdio, fds, true)
	if err != nil {
		return nil, err
	}
	c.init = p
	if l := a.Spec.Linux; l != nil {
		if err := c.b.hide(l); err != nil {
			return nil, err
		}
	}
	if a.Root.ReadOnly {
		if err := c.b.remountReadOnly("/"); err != nil {
			return nil, fmt.Errorf("making the root read-only: %w", err)
		}
	}
	// The guest has copies of its own: ours would keep pipes from ending.
	for _, i := range append(append([]int{}, a.Stdio.Files...), a.Stdio.Extra...) {
		if i >= 0 && i < len(fds) {
			unix.Close(fds[i])
		}
	}
	return c, nil
}

// namespaces makes the namespaces the configuration lists, except those it
// shares with another container of the sandbox. What is not listed is the
// sandbox's own, which takes the place of the host's: without a PID namespace
// all processes of all containers are seen.
func (c *container) namespaces(share map[string]string) error {
	k := c.s.k
	c.pidns = k.RootPIDNS()
	if c.keepEnv || c.spec.Linux == nil {
		return nil
	}
	for _, ns := range c.spec.Linux.Namespaces {
		var other *container
		if id := share[string(ns.Type)]; id != "" {
			var err error
			if other, err = c.s.container(id); err != nil {
				return fmt.Errorf("sharing its %s namespace: %w", ns.Type, err)
			}
		}
		switch ns.Type {
		case specs.PIDNamespace:
			if other != nil {
				c.pidns = other.pidns
			} else {
				c.pidns = k.NewPIDNS(k.RootPIDNS(), c.userns)
			}
		case specs.UTSNamespace:
			if other != nil {
				c.uts = other.uts
			} else if c.child || c.userns != k.RootUserNS() {
				c.uts = k.NewUTS(c.spec.Hostname, c.spec.Domainname, c.userns)
			}
		case specs.IPCNamespace:
			if other != nil {
				c.ipc = other.ipc
			} else if c.child || c.userns != k.RootUserNS() {
				c.ipc = k.NewIPC(c.userns)
			}
		}
	}
	return nil
}

// release gives up the mounts and the place of a container that is no more:
// its files go, and its gofer ends, when the last process lets go of them.
func (c *container) release() {
	if c.exitFile >= 0 {
		unix.Close(c.exitFile)
		c.exitFile = -1
	}
	c.b.release()
	c.s.cgroups.Drop(c.id)
}

func (c *container) goferDied() {
	const why = "the gofer, which serves the container's files, is gone"
	if !c.child {
		c.s.die(why)
		return
	}
	// Its id may be another's by now.
	if o, err := c.s.container(c.id); err != nil || o != c {
		return
	}
	klog.Errorf("container %s: %s", c.id, why)
	c.destroy()
}

// destroy ends every process of a further container.
func (c *container) destroy() {
	c.notStarted(int32(unix.SIGKILL))
	defer c.s.k.UnpauseContainer(c.id) // the dead need not wait
	for _, tg := range c.s.k.RootPIDNS().ThreadGroups() {
		if tg.ContainerID() == c.id {
			tg.SendSignalFrom(int32(unix.SIGKILL))
		}
	}
}

// devices makes the nodes of linux.devices.
func (c *container) devices() error {
	if c.spec.Linux == nil {
		return nil
	}
	for _, d := range c.spec.Linux.Devices {
		typ := map[string]uint32{"c": unix.S_IFCHR, "u": unix.S_IFCHR, "b": unix.S_IFBLK, "p": unix.S_IFIFO}[d.Type]
		if typ == 0 {
			return fmt.Errorf("device %s has unknown type %q", d.Path, d.Type)
		}
		if ok, _ := c.b.exists(d.Path); ok {
			continue
		}
		mode := uint32(0o666)
		if d.FileMode != nil {
			mode = uint32(*d.FileMode) & 0o7777
		}
		if err := c.b.ensureParent(d.Path); err != nil {
			return fmt.Errorf("making device %s: %w", d.Path, err)
		}
		err := c.s.sys.MknodAt(c.ctx, c.b.op(d.Path), typ|mode, vfs.Dev{Major: uint32(d.Major), Minor: uint32(d.Minor)})
		if err != nil {
			return fmt.Errorf("making device %s: %w", d.Path, err)
		}
		set := vfs.SetStat{Mask: vfs.SetMode | vfs.SetUID | vfs.SetGID, Mode: mode}
		set.UID, set.GID = c.ctx.Creds().FSUID, c.ctx.Creds().FSGID
		ok := true
		if d.UID != nil {
			set.UID, ok = c.userns.KUID(*d.UID)
		}
		if d.GID != nil && ok {
			set.GID, ok = c.userns.KGID(*d.GID)
		}
		if !ok {
			return fmt.Errorf("device %s: its owner has no id in the user namespace", d.Path)
		}
		if err := c.s.sys.SetStatAt(c.ctx, c.b.op(d.Path), set); err != nil {
			return fmt.Errorf("setting the owner of device %s: %w", d.Path, err)
		}
	}
	return nil
}

// sysctls writes linux.sysctl through the container's /proc/sys.
func (c *container) sysctls(m map[string]string) error {
	for key, val := range m {
		path := "/proc/sys/"
		for _, r := range key {
			if r == '.' {
				r = '/'
			}
			path += string(r)
		}
		f, err := c.s.sys.OpenAt(c.ctx, c.b.op(path), unix.O_WRONLY, 0)
		if err == nil {
			_, err = f.Write(c.ctx, usermem.Bytes([]byte(val)))
			f.DecRef(c.ctx)
		}
		if err == errno.ENOENT {
			klog.Stub("sysctl " + key + ": not kept")
			continue
		}
		if err != nil {
			return fmt.Errorf("setting sysctl %s: %w", key, err)
		}
	}
	return nil
}

// readFile reads a small file of the container, as root.
func (c *container) readFile(path string) string {
	f, err := c.s.sys.OpenAt(c.ctx, c.b.op(path), unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.DecRef(c.ctx)
	b := make([]byte, 256<<10)
	n := 0
	for n < len(b) {
		k, err := f.Read(c.ctx, usermem.Bytes(b[n:]))
		if err != nil || k == 0 {
			break
		}
		n += int(k)
	}
	return string(b[:n])
}

// newProcess builds a process of the container up to the point where it could
// run. init says that it is the container's first.
func (c *container) newProcess(p *specs.Process, io *Stdio, fds []int, init bool) (*process, error) {
	return c.newProcessOf(p.Args[0], p, io, fds, init)
}

// newProcessOf is newProcess with a program other than args[0].
func (c *container) newProcessOf(program string, p *specs.Process, io *Stdio, fds []int, init bool) (_ *process, err error) {
	k := c.s.k
	cr, err := processCreds(p, c.userns)
	if err != nil {
		return nil, err
	}
	ctx := kctx.Background(cr)
	lim, err := processLimits(p)
	if err != nil {
		return nil, err
	}
	if c.keepEnv {
		lim.Set(unix.RLIMIT_NOFILE, unix.Rlimit{Cur: 1024, Max: 1 << 20})
	}
	env := append([]string(nil), p.Env...)
	if _, ok := lookupEnv(env, "HOME"); !ok {
		env = append(env, "HOME="+homeOf(c.readFile("/etc/passwd"), p.User.UID))
	}
	if _, ok := lookupEnv(env, "TERM"); !ok && io.Terminal {
		env = append(env, "TERM=xterm")
	}

	cwd, err := c.enterDir(ctx, p.Cwd, init)
	if err != nil {
		return nil, err
	}
	file, err := c.findCommand(ctx, cwd, program, env)
	if err != nil {
		cwd.DecRef()
		return nil, err
	}

	pr := &process{done: make(chan struct{})}
	table := fdtable.New()
	tty, err := c.stdio(ctx, pr, table, io, fds)
	if err != nil {
		cwd.DecRef()
		table.DecRef(ctx)
		return nil, err
	}
	umask := uint32(0o022)
	if p.User.Umask != nil {
		umask = *p.User.Umask
	}
	c.b.ns.IncRef()
	args := kernel.CreateArgs{
		Filename: file, Argv: p.Args, Envv: env, Creds: cr, FDs: table, Limits: lim,
		MountNS: c.b.ns, Root: c.b.root.IncRef(), Cwd: cwd, Umask: umask, PIDNS: c.pidns,
		UTS: c.uts, IPC: c.ipc, Net: c.net, TTY: tty, Contain: c.id, Mortal: c.keepEnv,
		Setup: func(t *kernel.Task) error { return c.setup(t) },
	}
	if p.OOMScoreAdj != nil {
		args.OOMScore = int32(*p.OOMScoreAdj)
	}
	pr.tg, err = k.CreateProcess(args)
	if err != nil {
		if pr.console != nil {
			pr.console.Close()
		}
		return nil, execError(program, err)
	}
	pr.pid = pr.tg.Leader().PID().In(c.pidns)
	if init && pr.console != nil {
		if err := c.bindConsole(pr); err != nil {
			return nil, err
		}
	}
	return pr, nil
}

// execError words why a program cannot run the way engines look for.
func execError(name string, err error) error {
	if e, ok := err.(errno.Errno); ok {
		return fmt.Errorf("exec: %q: %s", name, unix.Errno(e).Error())
	}
	return fmt.Errorf("exec: %q: %w", name, err)
}

// enterDir resolves the working directory. The first process's is made if it
// is missing, as every runtime does.
func (c *container) enterDir(ctx kctx.Ctx, path string, create bool) (vfs.Path, error) {
	op := c.b.op(path)
	op.Flags = vfs.OpDirectory
	p, err := c.s.sys.Walk(ctx, op)
	if err == errno.ENOENT && create {
		if err = c.b.ensurePoint(path, false); err == nil {
			p, err = c.s.sys.Walk(ctx, op)
		}
	}
	if err == nil {
		if err = c.s.sys.AccessAt(ctx, op, ctx.Creds(), 1); err != nil {
			p.DecRef()
		}
	}
	if err != nil {
		return p, fmt.Errorf("chdir to cwd (%q) set in config.json failed: %s", path, errText(err))
	}
	return p, nil
}

func errText(err error) string {
	if e, ok := err.(errno.Errno); ok {
		return unix.Errno(e).Error()
	}
	return err.Error()
}

// findCommand searches the container for a command the way execvp(3) does.
func (c *container) findCommand(ctx kctx.Ctx, cwd vfs.Path, name string, env []string) (string, error) {
	if name == "" {
		return "", errors.New(`exec: "": no command`)
	}
	paths := commandPaths(name, env)
	denied := false
	for _, path := range paths {
		op := vfs.Op{Sys: c.s.sys, NS: c.b.ns, Root: c.b.root, Start: cwd, Path: path}
		st, err := c.s.sys.StatAt(ctx, op)
		if err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			err = errno.EISDIR
		}
		if err == nil {
			err = c.s.sys.AccessAt(ctx, op, ctx.Creds(), 1)
		}
		if err == nil {
			return path, nil
		}
		if len(paths) == 1 && path == name {
			return "", execError(name, err)
		}
		denied = denied || err == errno.EACCES
	}
	if denied {
		return "", execError(name, errno.EACCES)
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}

// stdio fills the descriptor table. It returns the controlling terminal if
// there is one.
func (c *container) stdio(ctx kctx.Ctx, pr *process, table *fdtable.Table, io *Stdio, fds []int) (kernel.TTY, error) {
	take := func(i int) (int, error) {
		if i < 0 || i >= len(fds) {
			return -1, fmt.Errorf("descriptor %d of %d is missing", i, len(fds))
		}
		return unix.FcntlInt(uintptr(fds[i]), unix.F_DUPFD_CLOEXEC, 0)
	}
	install := func(f *vfs.File, fd int32) error {
		err := table.InstallAt(ctx, f, fd, false, limits.Infinity)
		if err != nil {
			f.DecRef(ctx)
		}
		return err
	}
	var tty kernel.TTY
	if io.Terminal {
		fd, err := take(io.TTY)
		if err != nil {
			return nil, err
		}
		pts, err := c.s.sys.Walk(c.ctx, c.b.op("/dev/pts"))
		if err != nil {
			return nil, fmt.Errorf("finding /dev/pts for the terminal: %w", err)
		}
		defer pts.DecRef()
		super, ok := pts.Dentry.Super().(*devpts.Super)
		if !ok {
			return nil, errors.New("finding /dev/pts for the terminal: no devpts is mounted there")
		}
		console, slave, err := super.NewConsole(ctx, pts, fd)
		if err != nil {
			return nil, fmt.Errorf("making the terminal: %w", err)
		}
		if io.Rows != 0 {
			console.Resize(io.Rows, io.Cols)
		}
		pr.console, pr.owned = console, io.Owned
		for i := int32(0); i < 3; i++ {
			slave.IncRef()
			if err := install(slave, i); err != nil {
				return nil, err
			}
		}
		slave.DecRef(ctx)
		tty = console.TTY()
	}
	for i, idx := range io.Files {
		var f *vfs.File
		if idx < 0 {
			var err error
			if f, err = c.s.sys.OpenAt(c.ctx, c.b.op("/dev/null"), unix.O_RDWR, 0); err != nil {
				return nil, fmt.Errorf("opening /dev/null for descriptor %d: %w", i, err)
			}
		} else {
			fd, err := take(idx)
			if err != nil {
				return nil, err
			}
			if f, err = hostfd.New(ctx, c.s.sys, fd); err != nil {
				return nil, fmt.Errorf("taking over descriptor %d: %w", i, err)
			}
		}
		if err := install(f, int32(i)); err != nil {
			return nil, err
		}
	}
	for i, idx := range io.Extra {
		fd, err := take(idx)
		if err != nil {
			return nil, err
		}
		f, err := hostfd.New(ctx, c.s.sys, fd)
		if err != nil {
			return nil, fmt.Errorf("taking over descriptor %d: %w", 3+i, err)
		}
		if err := install(f, int32(3+i)); err != nil {
			return nil, err
		}
	}
	return tty, nil
}

// followSize takes over the size of a terminal that an engine holds. The first
// process's is the controlling terminal of this host process, which therefore
// gets SIGWINCH; others are looked at now and then.
func (c *container) followSize(p *process) {
	if p == c.init && !c.child {
		ch := make(chan os.Signal, 1)
		ossignal.Notify(ch, unix.SIGWINCH)
		for {
			select {
			case <-ch:
				p.console.CheckSize()
			case <-p.done:
				return
			}
		}
	}
	t := time.NewTicker(300 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			p.console.CheckSize()
		case <-p.done:
			return
		}
	}
}

// run lets a process go and watches for its end.
func (c *container) run(p *process) {
	if p.console != nil && p.owned {
		go c.followSize(p)
	}
	c.mu.Lock()
	c.procs[p.pid] = p
	c.mu.Unlock()
	p.tg.Start()
	go func() {
		st := waitProcess(p.tg)
		if p.console != nil {
			p.console.Close()
		}
		p.status = ExitStatus{Status: st, Reason: c.s.k.KillReason()}
		close(p.done)
		if p != c.init {
			// Whoever asked for the process collects its status soon.
			time.AfterFunc(10*time.Minute, func() {
				c.mu.Lock()
				if c.procs[p.pid] == p {
					delete(c.procs, p.pid)
				}
				c.mu.Unlock()
			})
		}
	}()
}

func (c *container) start(r ProcessRef) error {
	c.mu.Lock()
	if c.state != stateCreated {
		defer c.mu.Unlock()
		return fmt.Errorf("cannot start a container in the %s state", c.state)
	}
	c.state = stateRunning
	c.mu.Unlock()
	if h := c.spec.Hooks; h != nil {
		for i := range h.StartContainer {
			if err := c.runHook(&h.StartContainer[i], r.State); err != nil {
				c.mu.Lock()
				c.state = stateStopped
				c.init.status = ExitStatus{Status: 1 << 8}
				c.mu.Unlock()
				close(c.init.done)
				go func() {
					c.init.tg.Abandon()
					c.s.containerEnded(c)
				}()
				return fmt.Errorf("running startContainer hook #%d (%s): %w", i, h.StartContainer[i].Path, err)
			}
		}
	}
	c.run(c.init)
	go func() {
		<-c.init.done
		c.mu.Lock()
		c.state = stateStopped
		c.mu.Unlock()
		c.s.containerEnded(c)
	}()
	return nil
}

// runHook runs a startContainer hook: a program of the container's own files,
// in its namespaces, as its root.
func (c *container) runHook(h *specs.Hook, state string) error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	// A pipe takes 64 KiB without a reader: states are shorter.
	_, err := unix.Write(pipe[1], []byte(state[:min(len(state), 60<<10)]))
	unix.Close(pipe[1])
	defer unix.Close(pipe[0])
	if err != nil {
		return err
	}
	args := h.Args
	if len(args) == 0 {
		args = []string{h.Path}
	}
	spec := &specs.Process{Args: args, Env: h.Env, Cwd: "/", Capabilities: c.spec.Process.Capabilities}
	p, err := c.newProcessOf(h.Path, spec, &Stdio{Files: []int{0, -1, -1}}, []int{pipe[0]}, false)
	if err != nil {
		return err
	}
	c.run(p)
	var timeout <-chan time.Time
	if h.Timeout != nil {
		timeout = time.After(time.Duration(*h.Timeout) * time.Second)
	}
	select {
	case <-p.done:
	case <-timeout:
		p.tg.SendSignalFrom(int32(unix.SIGKILL))
		return fmt.Errorf("no end after %d s", *h.Timeout)
	}
	if code := p.status.Code(); code != 0 {
		return fmt.Errorf("exit status %d", code)
	}
	return nil
}

func (c *container) status() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stateRunning && c.s.k.ContainerPaused(c.id) {
		return statePaused
	}
	return c.state
}

// exec starts one more process in the container.
func (c *container) exec(a *ExecArgs, fds []int) (any, error) {
	defer closeAll(fds)
	if st := c.status(); st == stateStopped {
		return nil, errors.New("container not running")
	}
	p, err := c.newProcess(a.Process, &a.Stdio, fds, false)
	if err != nil {
		return nil, err
	}
	c.run(p)
	return ProcessRef{ID: c.id, PID: p.pid}, nil
}

// find returns the process a request means: the first one for 0.
func (c *container) find(r ProcessRef) *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.PID == 0 {
		return c.init
	}
	return c.procs[r.PID]
}

func (c *container) wait(r ProcessRef) (ExitStatus, error) {
	p := c.find(r)
	if p == nil {
		return ExitStatus{}, fmt.Errorf("process %d was not started by runsc", r.PID)
	}
	<-p.done
	if p == c.init && c.child {
		<-c.recorded // whoever hears of the end may look for the file
	}
	if p != c.init {
		c.mu.Lock()
		if c.procs[p.pid] == p {
			delete(c.procs, p.pid)
		}
		c.mu.Unlock()
	}
	return p.status, nil
}

func (c *container) signal(r ProcessRef) error {
	if r.Sig < 0 || r.Sig > 64 {
		return fmt.Errorf("unknown signal %d", r.Sig)
	}
	if r.Sig == int32(unix.SIGKILL) && (r.All || r.PID == 0) {
		defer c.s.k.UnpauseContainer(c.id) // as a frozen cgroup, which lets go of the dying
	}
	if r.All {
		for _, tg := range c.pidns.ThreadGroups() {
			if tg.ContainerID() == c.id {
				tg.SendSignalFrom(r.Sig)
			}
		}
		c.notStarted(r.Sig)
		return nil
	}
	tg := (*kernel.ThreadGroup)(nil)
	if p := c.find(r); p != nil {
		tg = p.tg
	} else {
		tg = c.pidns.ThreadGroup(r.PID)
	}
	if tg == nil {
		return errors.New("process already finished")
	}
	if c.notStarted(r.Sig) {
		return nil
	}
	if c.status() == stateStopped {
		return errors.New("container not running")
	}
	if r.Sig == 0 {
		return nil
	}
	if err := tg.SendSignalFrom(r.Sig); err != nil {
		if err == errno.ESRCH {
			return errors.New("process already finished")
		}
		return errors.New(errText(err))
	}
	return nil
}

// notStarted ends a container that was created and never started, if the
// signal would have ended it.
func (c *container) notStarted(sig int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateCreated {
		return false
	}
	if sig == int32(unix.SIGKILL) || sig == int32(unix.SIGTERM) {
		c.state = stateStopped
		c.init.status = ExitStatus{Status: uint32(sig)}
		close(c.init.done)
		go func() {
			c.init.tg.Abandon()
			c.s.containerEnded(c)
		}()
	}
	return true
}

func (c *container) resize(r ProcessRef) error {
	if p := c.find(r); p != nil && p.console != nil {
		p.console.Resize(r.Rows, r.Cols)
	}
	return nil
}

func (c *container) pause(ProcessRef) error  { c.s.k.PauseContainer(c.id); return nil }
func (c *container) resume(ProcessRef) error { c.s.k.UnpauseContainer(c.id); return nil }
