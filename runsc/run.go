package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"redoubt.dev/redoubt/boot"
)

var (
	stdout io.Writer = os.Stdout
	stderr io.Writer = os.Stderr
)

// notFoundStatus gives the two ways an executable can be missing the statuses
// that shells and engines know.
func notFoundStatus(err error) error {
	if err == nil {
		return nil
	}
	var ee *exitError
	if errors.As(err, &ee) {
		return err
	}
	msg := err.Error()
	switch {
	case strings.Contains(msg, "executable file not found") || strings.Contains(msg, "exec") && strings.Contains(msg, "no such file or directory"):
		return &exitError{code: 127, msg: msg}
	case strings.Contains(msg, "exec") && (strings.Contains(msg, "permission denied") || strings.Contains(msg, "exec format error") || strings.Contains(msg, "is a directory")):
		return &exitError{code: 126, msg: msg}
	}
	return err
}

func cmdRun(cfg *config, args []string) error {
	fs := newFlagSet("run", "[flags] ID")
	o := &createOpts{}
	o.flags(fs)
	fs.boolean(&o.detach, "detach d", false, "return once the container runs")
	fs.boolean(&o.keep, "keep", false, "keep the container's state after it ended")
	fs.ignoredBool("no-subreaper", "the sandbox reaps its own")
	id, err := oneID(fs, args)
	if err != nil {
		return err
	}
	o.foreground = !o.detach && o.consoleSocket == ""
	var s *sandbox
	if o.foreground && isTerminal(0) {
		defer lendTerminal(func(rows, cols uint16) {
			if s != nil {
				s.ctl.Notify("resize", boot.ProcessRef{ID: id, Rows: rows, Cols: cols})
			}
		})()
	}
	c, s, err := createContainer(cfg, id, o)
	if err != nil {
		return notFoundStatus(err)
	}
	if o.detach {
		err := startContainer(c, s.ctl)
		if err != nil {
			c.destroy()
			return err
		}
		c.release()
		return nil
	}
	unforward := forward(func(sig int32) {
		s.ctl.Notify("signal", boot.ProcessRef{ID: id, Sig: sig})
	})
	defer unforward()
	if err := startContainer(c, s.ctl); err != nil {
		s.kill()
		c.destroy()
		return err
	}
	c.release()
	st, err := s.waitResult()
	if err != nil {
		if words := tail(c.dir + "/" + sandboxLog); words != "" {
			var ee *exitError
			if errors.As(err, &ee) {
				err = &exitError{code: ee.code, msg: ee.msg + "\n" + words}
			} else {
				err = fmt.Errorf("%w\n%s", err, words)
			}
		}
	}
	s.kill()
	if !o.keep {
		if lerr := c.acquire(2); lerr == nil {
			if derr := c.destroy(); derr != nil && err == nil {
				err = derr
			}
		}
	}
	if err != nil {
		return err
	}
	return exitWith(st)
}

// exitWith ends runsc the way the guest ended.
func exitWith(st boot.ExitStatus) error {
	if st.Reason != "" {
		return &exitError{code: st.Code(), msg: st.Reason}
	}
	if code := st.Code(); code != 0 {
		return &exitError{code: code}
	}
	return nil
}
