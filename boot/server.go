package boot

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/klog"
)

func runtimeStack(b []byte, all bool) int { return runtime.Stack(b, all) }

// operation answers one control request.
type operation func(s *server, args json.RawMessage, fds []int) (any, error)

// operations is what runsc can ask for.
var operations map[string]operation

func init() {
	operations = map[string]operation{
		"start":  onContainer((*container).start),
		"pause":  onContainer((*container).pause),
		"resume": onContainer((*container).resume),
		"signal": onContainer((*container).signal),
		"resize": onContainer((*container).resize),
		"state": queryContainer(func(c *container, r ProcessRef) (any, error) {
			return ContainerState{Status: c.status()}, nil
		}),
		"wait":   queryContainer(func(c *container, r ProcessRef) (any, error) { return c.wait(r) }),
		"ps":     queryContainer(func(c *container, r ProcessRef) (any, error) { return c.ps(), nil }),
		"events": queryContainer(func(c *container, r ProcessRef) (any, error) { return c.events(), nil }),
		"tasks":  queryContainer(func(c *container, r ProcessRef) (any, error) { return c.s.tasks(), nil }),
		"mounts": queryContainer(func(c *container, r ProcessRef) (any, error) { return c.mounts(), nil }),
		"stacks": queryContainer(func(c *container, r ProcessRef) (any, error) {
			b := make([]byte, 4<<20)
			return string(b[:runtime.Stack(b, true)]), nil
		}),
		"stubs": queryContainer(func(c *container, r ProcessRef) (any, error) {
			var b strings.Builder
			for _, l := range klog.Stubs() {
				fmt.Fprintf(&b, "%8d  %s\n", l.Count, l.What)
			}
			return b.String(), nil
		}),
		"exec": func(s *server, args json.RawMessage, fds []int) (any, error) {
			var a ExecArgs
			if err := json.Unmarshal(args, &a); err != nil {
				closeAll(fds)
				return nil, fmt.Errorf("parsing the process: %w", err)
			}
			c, err := s.container(a.ID)
			if err != nil {
				closeAll(fds)
				return nil, err
			}
			return c.exec(&a, fds)
		},
		"update": func(s *server, args json.RawMessage, fds []int) (any, error) {
			closeAll(fds)
			var a UpdateArgs
			if err := json.Unmarshal(args, &a); err != nil {
				return nil, fmt.Errorf("parsing the resources: %w", err)
			}
			c, err := s.container(a.ID)
			if err == nil {
				c.update(&a.Resources)
			}
			return nil, err
		},
		"network": (*server).network,
		"strace": func(s *server, args json.RawMessage, fds []int) (any, error) {
			closeAll(fds)
			var calls string
			if err := json.Unmarshal(args, &calls); err != nil {
				return nil, err
			}
			return nil, s.strace(calls)
		},
	}
}

func onContainer(f func(*container, ProcessRef) error) operation {
	return queryContainer(func(c *container, r ProcessRef) (any, error) { return nil, f(c, r) })
}

func queryContainer(f func(*container, ProcessRef) (any, error)) operation {
	return func(s *server, args json.RawMessage, fds []int) (any, error) {
		closeAll(fds)
		var r ProcessRef
		if err := json.Unmarshal(args, &r); err != nil {
			return nil, fmt.Errorf("parsing the request: %w", err)
		}
		c, err := s.container(r.ID)
		if err != nil {
			return nil, err
		}
		return f(c, r)
	}
}

// server is the sandbox seen from its control socket: one kernel, containers
// by id, the first of which is the root container.
type server struct {
	machine
	exitFile int

	mu         sync.Mutex
	containers map[string]*container
	root       *container
}

func (s *server) container(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("container %q does not exist in this sandbox", id)
}

// watch ends the sandbox when the gofer dies: files would hang or vanish.
func (s *server) watch(a *CreateArgs, fds []int) {
	if a.Life < 0 {
		return
	}
	go func() {
		var b [1]byte
		for {
			_, err := unix.Read(fds[a.Life], b[:])
			if err != unix.EINTR {
				break
			}
		}
		s.die("the gofer, which serves the container's files, is gone")
	}()
}

// recordExit leaves the root container's status for commands that come after
// the sandbox.
func (s *server) recordExit(st ExitStatus) { s.record(s.exitFile, st) }

func (s *server) record(file int, st ExitStatus) {
	if file < 0 {
		return
	}
	b, err := json.Marshal(st)
	if err == nil {
		_, err = unix.Pwrite(file, b, 0)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "recording the exit status: %v\n", err)
	}
}

// Events is the data of `runsc events`, in runc's shape.
type Events struct {
	CPU struct {
		Usage struct {
			Total uint64 `json:"total"`
		} `json:"usage"`
	} `json:"cpu"`
	Memory struct {
		Usage struct {
			Limit uint64 `json:"limit"`
			Usage uint64 `json:"usage"`
		} `json:"usage"`
	} `json:"memory"`
	Pids struct {
		Current uint64 `json:"current"`
		Limit   uint64 `json:"limit,omitempty"`
	} `json:"pids"`
}

// SyscallRow is one line of `runsc syscalls`.
type SyscallRow struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Level  string `json:"level"`
	Note   string `json:"note,omitempty"`
}
