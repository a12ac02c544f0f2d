package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// parseSignal takes a number, a name, or a name without SIG.
func parseSignal(s string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > 64 {
			return 0, fmt.Errorf("unknown signal %q", s)
		}
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if n := unix.SignalNum(name); n != 0 {
		return n, nil
	}
	if rest, ok := strings.CutPrefix(name, "SIGRTMIN"); ok {
		if n, err := strconv.Atoi(rest + strings.Repeat("0", btoi(rest == ""))); err == nil && n >= 0 && n <= 30 {
			return syscall.Signal(34 + n), nil
		}
	}
	if rest, ok := strings.CutPrefix(name, "SIGRTMAX"); ok {
		if n, err := strconv.Atoi(rest + strings.Repeat("0", btoi(rest == ""))); err == nil && n <= 0 && n >= -30 {
			return syscall.Signal(64 + n), nil
		}
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func cmdKill(cfg *config, args []string) error {
	fs := newFlagSet("kill", "[flags] ID [SIGNAL]")
	var all bool
	var pid int
	fs.boolean(&all, "all a", false, "to every process of the container")
	fs.num(&pid, "pid", 0, "to this process, by its id inside")
	rest, err := fs.parse(args, true)
	if err != nil {
		return err
	}
	if len(rest) < 1 || len(rest) > 2 {
		return errors.New("kill: a container id and at most one signal are needed")
	}
	sig := syscall.SIGTERM
	if len(rest) == 2 {
		if sig, err = parseSignal(rest[1]); err != nil {
			return err
		}
	}
	c, err := loadContainer(cfg, rest[0], false)
	if err != nil {
		return err
	}
	if c.Status == statusCreating || !c.Sandbox.alive() {
		if all {
			return nil // nothing is left, which is what was asked for
		}
		return errGone
	}
	err = c.call("signal", boot.ProcessRef{ID: c.ID, PID: int32(pid), Sig: int32(sig), All: all}, nil)
	if err != nil && sig == syscall.SIGKILL && pid == 0 && c.Sandbox.alive() && isDisconnect(err) {
		// A sandbox that does not answer still dies.
		err = c.Sandbox.signal(syscall.SIGKILL)
	}
	if isDisconnect(err) || errors.Is(err, unix.ESRCH) {
		return errGone
	}
	return err
}

func cmdDelete(cfg *config, args []string) error {
	fs := newFlagSet("delete", "[flags] ID...")
	var force bool
	fs.boolean(&force, "force f", false, "kill the container first; deleting what is not there is no error")
	ids, err := fs.parse(args, true)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return errors.New("delete: a container id is needed")
	}
	for _, id := range ids {
		if derr := deleteContainer(cfg, id, force); derr != nil && err == nil {
			err = derr
		}
	}
	return err
}

// deleteContainer removes what a container left. It can be repeated after any
// failure, and after being killed at any moment.
func deleteContainer(cfg *config, id string, force bool) error {
	c, err := loadContainer(cfg, id, true)
	if err != nil {
		if force && errors.Is(err, errNotExist) {
			// What a killed creator left goes too.
			if dir := filepath.Join(cfg.root, id); checkID(id) == nil {
				_ = os.RemoveAll(dir)
			}
			return nil
		}
		if !force || checkID(id) != nil {
			return err
		}
		// A state that cannot be read: nothing but its directory is known.
		c = &container{dir: filepath.Join(cfg.root, id), lock: -1}
		c.ID = id
		if err := c.acquire(unix.LOCK_EX); err != nil {
			return err
		}
		return c.remove()
	}
	defer c.release()
	switch st := c.status(); {
	case st == statusStopped:
	case st == statusCreated || force:
	default:
		return fmt.Errorf("cannot delete container %q that is not stopped: it is %s", id, st)
	}
	return c.destroy()
}

// destroy ends the helpers if they live and removes everything.
func (c *container) destroy() error {
	for _, p := range []proc{c.Sandbox, c.Gofer} {
		if p.alive() {
			if err := p.signal(syscall.SIGKILL); err != nil && err != unix.ESRCH {
				return fmt.Errorf("killing process %d of %q: %w", p.PID, c.ID, err)
			}
		}
		if !p.waitGone(10000) {
			return fmt.Errorf("process %d of %q does not die", p.PID, c.ID)
		}
	}
	if err := c.left(); err != nil {
		return err
	}
	spec, specErr := c.spec()
	if err := removeCgroups(c.Cgroups); err != nil {
		return err
	}
	if err := c.remove(); err != nil {
		return err
	}
	if specErr == nil && spec.Hooks != nil {
		// The container is gone: a failing hook is only worth a warning.
		for i := range spec.Hooks.Poststop {
			if err := runHooks(spec.Hooks.Poststop[i:i+1], c.ociState(statusStopped), "poststop"); err != nil {
				fmt.Fprintf(stderr, "runsc: warning: %v\n", err)
			}
		}
	}
	return nil
}
