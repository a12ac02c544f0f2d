package boot

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"redoubt.dev/redoubt/boot/hostfilter"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/platform/systrap"
)

var errNoKernel = errors.New("the kernel is not built in yet")

type machine struct{ plat platform.Platform }

type container struct {
	s  *server
	id string
}

func platformCalls() []hostfilter.Rule {
	var l []hostfilter.Rule
	for _, c := range systrap.HostSyscalls {
		l = append(l, hostfilter.Rule{Nr: uint32(c.Nr), Name: fmt.Sprintf("call%d", c.Nr), Reason: c.Why})
	}
	return l
}

func newServer(a *CreateArgs, fds []int) (*server, error) {
	s := &server{containers: map[string]*container{}, exitFile: -1}
	if a.ExitFile >= 0 {
		s.exitFile = fds[a.ExitFile]
	}
	p, err := systrap.New(systrap.Options{})
	if err != nil {
		return nil, fmt.Errorf("starting the systrap platform: %w", err)
	}
	s.plat = p
	return s, nil
}

func (s *server) createRoot(a *CreateArgs, fds []int) error { return errNoKernel }
func (s *server) waitRoot() int                             { select {} }
func (s *server) die(why string)                            { os.Exit(128) }
func (s *server) tasks() string                             { return "" }
func (s *server) strace(string) error                       { return errNoKernel }
func (s *server) update(*specs.LinuxResources) error        { return errNoKernel }

func (c *container) start(ProcessRef) error              { return errNoKernel }
func (c *container) pause(ProcessRef) error              { return errNoKernel }
func (c *container) resume(ProcessRef) error             { return errNoKernel }
func (c *container) signal(ProcessRef) error             { return errNoKernel }
func (c *container) resize(ProcessRef) error             { return errNoKernel }
func (c *container) wait(ProcessRef) (ExitStatus, error) { return ExitStatus{}, errNoKernel }
func (c *container) ps() []ProcessInfo                   { return nil }
func (c *container) events() Events                      { return Events{} }
func (c *container) status() string                      { return "created" }
func (c *container) mounts() string                      { return "" }
func (c *container) exec(*ExecArgs, []int) (any, error)  { return nil, errNoKernel }

// Syscalls is the table behind `runsc syscalls`.
func Syscalls() []SyscallRow { return nil }
