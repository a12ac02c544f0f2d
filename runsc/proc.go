package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// nobody is the host user a sandbox runs as when runsc is root: an id that
// owns nothing.
const nobody = 65534

// child is a helper process, with the control connection it reads as
// descriptor 3.
type child struct {
	pid  int
	conn *boot.Conn
}

// identityMap maps every id this process can name to itself.
func identityMap(path string) []syscall.SysProcIDMap {
	b, _ := os.ReadFile(path)
	var m []syscall.SysProcIDMap
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		inside, _ := strconv.Atoi(f[0])
		size, _ := strconv.Atoi(f[2])
		m = append(m, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
	}
	return m
}

// spawn starts `runsc NAME` in namespaces of its own. It is the first thing a
// command does, so that the helper's start-up overlaps with reading the bundle.
func spawn(cfg *config, name string, stderr int, session bool) (*child, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making the %s's control socket: %w", name, err)
	}
	defer unix.Close(pair[1])
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/null: %w", err)
	}
	defer unix.Close(null)

	sys := &syscall.SysProcAttr{Setsid: session}
	if !cfg.unconfined {
		sys.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET
		sys.Credential = &syscall.Credential{Uid: 0, Gid: 0}
	}
	argv := []string{"runsc-" + name, name}
	if cfg.unconfined {
		argv = append(argv, "--TESTONLY-unconfined")
	}
	if name == "boot" {
		argv = append(argv, strings.Repeat(" ", boot.TitleRoom))
	}
	attr := &syscall.ProcAttr{
		Env:   []string{"GOTRACEBACK=all"},
		Files: []uintptr{uintptr(null), uintptr(null), uintptr(stderr), uintptr(pair[1])},
		Sys:   sys,
	}
	start := func(uids, gids []syscall.SysProcIDMap, groups bool) (int, error) {
		if !cfg.unconfined {
			sys.UidMappings, sys.GidMappings = uids, gids
			sys.GidMappingsEnableSetgroups = groups
			sys.Credential.NoSetGroups = !groups
		}
		return syscall.ForkExec("/proc/self/exe", argv, attr)
	}
	one := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
	var pid int
	switch {
	case os.Geteuid() != 0:
		pid, err = start(one(os.Geteuid()), one(os.Getegid()), false)
	case name == "gofer":
		pid, err = start(identityMap("/proc/self/uid_map"), identityMap("/proc/self/gid_map"), true)
	default:
		pid, err = start(one(nobody), one(nobody), true)
		if err != nil {
			// nobody may not exist in the user namespace we are in, or may not
			// read this binary.
			pid, err = start(one(0), one(0), true)
		}
	}
	if err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	return &child{pid: pid, conn: boot.NewConn(pair[0])}, nil
}

// kill ends the helper and reaps it.
func (c *child) kill() {
	if c == nil || c.pid == 0 {
		return
	}
	syscall.Kill(c.pid, syscall.SIGKILL)
	c.wait()
	c.conn.Close()
}

// wait reaps the helper.
func (c *child) wait() (ws syscall.WaitStatus) {
	for {
		if _, err := syscall.Wait4(c.pid, &ws, 0, nil); err != syscall.EINTR {
			return ws
		}
	}
}

// proc names a host process so that a later one with the same pid is not
// taken for it.
type proc struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot: proc(5), field 22
}

func procOf(pid int) proc {
	p := proc{PID: pid}
	p.Start, _ = startTime(pid)
	return p
}

// startTime reads when a process was started, and whether it still runs (a
// zombie does not).
func startTime(pid int) (uint64, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return 0, false
	}
	f := strings.Fields(string(b[i+1:]))
	if len(f) < 20 {
		return 0, false
	}
	t, err := strconv.ParseUint(f[19], 10, 64)
	return t, err == nil && f[0] != "Z" && f[0] != "X"
}

func (p proc) alive() bool {
	if p.PID <= 0 {
		return false
	}
	t, ok := startTime(p.PID)
	return ok && t == p.Start
}

// signal sends sig to p, through a pidfd so that it cannot hit another.
func (p proc) signal(sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !p.alive() {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// waitGone waits until p is dead or the time is up.
func (p proc) waitGone(ms int) bool {
	if !p.alive() {
		return true
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	if !p.alive() {
		return true
	}
	pfd := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(pfd, ms)
		if err == unix.EINTR {
			continue
		}
		return n > 0
	}
}

// tail returns the last lines of a file that say why a helper died.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 8<<10))
	return strings.TrimSpace(string(b))
}

// diedError says how a helper ended.
type diedError struct {
	name string
	ws   syscall.WaitStatus
}

func (e *diedError) Error() string {
	ws := e.ws
	switch {
	case ws.Signaled() && ws.Signal() == syscall.SIGSYS:
		return fmt.Sprintf("the %s made a host call outside its filter and was killed; run with --debug for a stack trace", e.name)
	case ws.Signaled() && ws.Signal() == syscall.SIGKILL:
		return fmt.Sprintf("the %s was killed (out of memory, or by hand)", e.name)
	case ws.Signaled():
		return fmt.Sprintf("the %s died of signal %d (%v)", e.name, ws.Signal(), ws.Signal())
	}
	return fmt.Sprintf("the %s ended with status %d", e.name, ws.ExitStatus())
}

// helperDied says that an error came from the end of a helper process, whose
// last words may tell more.
func helperDied(err error) bool {
	var d *diedError
	return errors.As(err, &d) || isDisconnect(err)
}

var errGone = errors.New("container not running")

func mustJSON(v any) []byte {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("runsc: " + err.Error())
	}
	return b
}
