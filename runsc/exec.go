package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// execReady names the descriptor on which a detached exec tells the runsc that
// the engine called how it went.
const execReady = "_RUNSC_EXEC_READY"

type execOpts struct {
	process, pidFile, consoleSocket, cwd, user, pidfdSocket string
	internalPidFile                                         string
	env, caps, groups                                       list
	detach, tty, noNewPrivs, ignorePaused                   bool
	preserveFDs                                             int
}

func cmdExec(cfg *config, args []string) error {
	fs := newFlagSet("exec", "[flags] ID COMMAND [ARGUMENTS]  |  [flags] --process FILE ID")
	o := &execOpts{}
	fs.str(&o.process, "process p", "", "file with the process as in config.json")
	fs.str(&o.pidFile, "pid-file", "", "file to write the id of a host process to that ends as the process does")
	fs.str(&o.internalPidFile, "internal-pid-file", "", "file to write the process id inside to")
	fs.str(&o.consoleSocket, "console-socket", "", "unix socket that receives the terminal's master")
	fs.str(&o.pidfdSocket, "pidfd-socket", "", "unix socket that receives a pidfd")
	fs.str(&o.cwd, "cwd", "", "working directory")
	fs.str(&o.user, "user u", "", "UID[:GID]")
	fs.list(&o.env, "env e", "NAME=VALUE to set")
	fs.list(&o.caps, "cap c", "capability to add")
	fs.list(&o.groups, "additional-gids g", "additional group ids")
	fs.boolean(&o.detach, "detach d", false, "return once the process runs")
	fs.boolean(&o.tty, "tty t", false, "give it a terminal")
	fs.boolean(&o.noNewPrivs, "no-new-privs", false, "set no_new_privs")
	fs.boolean(&o.ignorePaused, "ignore-paused", false, "also in a paused container")
	fs.num(&o.preserveFDs, "preserve-fds", 0, "how many descriptors after 2 to hand over")
	fs.ignoredStr("apparmor process-label", "no such module inside")
	fs.ignoredStr("cgroup", "a process stays in its container's cgroup")
	fs.ignoredStr("exec-fd pass-fd", "no such hand-over")
	rest, err := fs.parse(args, false)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("exec: a container id is needed")
	}
	if o.process == "" && len(rest) < 2 {
		return errors.New("exec: a command or --process is needed")
	}
	if o.detach && os.Getenv(execReady) == "" {
		return detachExec(args)
	}
	err = execProcess(cfg, o, rest[0], rest[1:])
	if fd, aerr := strconv.Atoi(os.Getenv(execReady)); aerr == nil && err != nil {
		reportReady(fd, err)
	}
	return err
}

// detachExec leaves a second runsc behind that ends when the process does and
// with its status: engines wait for it and signal it as if it were the process.
func detachExec(args []string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	files := []uintptr{0, 1, 2}
	for fd := 3; fd < 256; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			for len(files) < fd {
				files = append(files, ^uintptr(0))
			}
			files = append(files, uintptr(fd))
		}
	}
	files = append(files, w.Fd())
	for i := 0; i < 3; i++ {
		if _, err := unix.FcntlInt(uintptr(i), unix.F_GETFD, 0); err != nil {
			files[i] = ^uintptr(0)
		}
	}
	argv := append([]string{os.Args[0]}, os.Args[1:]...)
	env := append(os.Environ(), execReady+"="+strconv.Itoa(len(files)-1))
	_, err = syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{Env: env, Files: files,
		Sys: &syscall.SysProcAttr{Setsid: true}})
	w.Close()
	if err != nil {
		return fmt.Errorf("starting the waiter: %w", err)
	}
	b, _ := io.ReadAll(r)
	var res struct {
		Code int
		Msg  string
	}
	if err := json.Unmarshal(b, &res); err != nil {
		return errors.New("the process's waiter died before the process ran")
	}
	if res.Msg != "" {
		return &exitError{code: res.Code, msg: res.Msg}
	}
	return nil
}

func reportReady(fd int, err error) {
	res := struct {
		Code int
		Msg  string
	}{}
	if err != nil {
		res.Code, res.Msg = 1, err.Error()
		var ee *exitError
		if errors.As(err, &ee) {
			res.Code = ee.code
		}
	}
	unix.Write(fd, mustJSON(res))
	unix.Close(fd)
}

// process builds what to run from the container's own process and the flags.
func (o *execOpts) build(spec *specs.Spec, argv []string) (*specs.Process, error) {
	if o.process != "" {
		var b []byte
		var err error
		if o.process == "-" {
			b, err = io.ReadAll(os.Stdin)
		} else {
			b, err = os.ReadFile(o.process)
		}
		if err != nil {
			return nil, fmt.Errorf("reading --process: %w", err)
		}
		p := new(specs.Process)
		if err := json.Unmarshal(b, p); err != nil {
			return nil, fmt.Errorf("parsing --process: %w", err)
		}
		p.Terminal = p.Terminal || o.tty
		return p, checkProcess(p)
	}
	p := *spec.Process
	p.Args, p.Terminal = argv, o.tty
	if o.cwd != "" {
		p.Cwd = o.cwd
	}
	p.Env = mergeEnv(p.Env, o.env)
	if o.user != "" {
		u, g, hasGroup := strings.Cut(o.user, ":")
		uid, err := strconv.ParseUint(u, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("--user=%s: want UID[:GID] as numbers", o.user)
		}
		p.User = specs.User{UID: uint32(uid), GID: p.User.GID}
		if hasGroup {
			gid, err := strconv.ParseUint(g, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("--user=%s: want UID[:GID] as numbers", o.user)
			}
			p.User.GID = uint32(gid)
		}
	}
	for _, l := range o.groups {
		for g := range strings.SplitSeq(l, ",") {
			gid, err := strconv.ParseUint(g, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("--additional-gids=%s: want numbers", l)
			}
			p.User.AdditionalGids = append(p.User.AdditionalGids, uint32(gid))
		}
	}
	if len(o.caps) > 0 {
		c := specs.LinuxCapabilities{}
		if p.Capabilities != nil {
			c = *p.Capabilities
		}
		for _, n := range o.caps {
			if !strings.HasPrefix(n, "CAP_") {
				n = "CAP_" + strings.ToUpper(n)
			}
			c.Bounding, c.Effective, c.Permitted = append(c.Bounding, n), append(c.Effective, n), append(c.Permitted, n)
		}
		p.Capabilities = &c
	}
	p.NoNewPrivileges = p.NoNewPrivileges || o.noNewPrivs
	return &p, checkProcess(&p)
}

func execProcess(cfg *config, o *execOpts, id string, argv []string) error {
	c, err := loadContainer(cfg, id, false)
	if err != nil {
		return err
	}
	spec, err := c.spec()
	if err != nil {
		return err
	}
	p, err := o.build(spec, argv)
	if err != nil {
		return err
	}
	switch st := c.status(); {
	case st == statusStopped:
		return errGone
	case st == statusPaused && !o.ignorePaused:
		return errors.New("cannot exec in a paused container (use --ignore-paused to override)")
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()

	s := &sandbox{boot: &child{conn: conn}}
	master, err := s.passStdio(&createOpts{consoleSocket: o.consoleSocket, preserveFDs: o.preserveFDs, foreground: !o.detach}, p)
	if err != nil {
		return err
	}
	var started boot.ProcessRef
	if p.Terminal && o.consoleSocket == "" {
		defer lendTerminal(func(rows, cols uint16) {
			conn.Notify("resize", boot.ProcessRef{ID: id, PID: started.PID, Rows: rows, Cols: cols})
		})()
	}
	err = conn.Call("exec", boot.ExecArgs{ID: id, Process: p, Stdio: s.args.Stdio}, &started, s.fds...)
	for _, fd := range s.own {
		unix.Close(fd)
	}
	if isDisconnect(err) {
		return errGone
	}
	if err != nil {
		return notFoundStatus(err)
	}
	if master >= 0 {
		err := sendFD(o.consoleSocket, master, ptsName(master))
		unix.Close(master)
		if err != nil {
			return err
		}
	}
	if o.internalPidFile != "" {
		if err := writeAtomic(o.internalPidFile, []byte(strconv.Itoa(int(started.PID))), 0o644); err != nil {
			return err
		}
	}
	if o.pidFile != "" {
		if err := writeAtomic(o.pidFile, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return err
		}
	}
	if o.pidfdSocket != "" {
		fd, err := unix.PidfdOpen(os.Getpid(), 0)
		if err == nil {
			err = sendFD(o.pidfdSocket, fd, "pidfd")
			unix.Close(fd)
		}
		if err != nil {
			return err
		}
	}
	unforward := forward(func(sig int32) {
		conn.Notify("signal", boot.ProcessRef{ID: id, PID: started.PID, Sig: sig})
	})
	defer unforward()
	if fd, err := strconv.Atoi(os.Getenv(execReady)); err == nil {
		// The guest has its copies; ours would keep pipes from ending.
		if null, err := unix.Open("/dev/null", unix.O_RDWR, 0); err == nil {
			for i := 0; i < 3; i++ {
				unix.Dup2(null, i)
			}
		}
		reportReady(fd, nil)
	}
	var st boot.ExitStatus
	err = conn.Call("wait", boot.ProcessRef{ID: id, PID: started.PID}, &st)
	if isDisconnect(err) {
		// The container ended under the process.
		return &exitError{code: 137}
	}
	if err != nil {
		return err
	}
	return exitWith(st)
}
