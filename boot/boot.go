// Package boot turns an OCI container description into a running kernel, and
// serves the control socket by which runsc steers it afterwards.
//
// It runs as the sandbox process (`runsc boot`), whose order of events is in
// Main: give up the host, learn what to run, start the platform, install the
// host filter, build the kernel, serve. Plan and the argument types are also
// used by runsc, on the other side of the control socket; the gofer process
// starts in GoferMain.
package boot

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot/hostfilter"
	"redoubt.dev/redoubt/sentry/klog"
)

// controlFD is the descriptor both helpers find their control connection on.
const controlFD = 3

// Main is the whole life of the sandbox process.
func Main(unconfined bool) {
	setName("runsc-boot")
	time.Local = time.UTC // no zone files are in reach later
	// Terminal and job-control signals of the host are runsc's business.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGPIPE)
	code, err := serveSandbox(unconfined)
	if err != nil {
		fmt.Fprintf(os.Stderr, "runsc-boot: %v\n", err)
		os.Exit(128)
	}
	os.Exit(code)
}

// serveSandbox returns the exit status of the process: that of the first
// container, because engines wait for this process as if it were it.
func serveSandbox(unconfined bool) (int, error) {
	unix.CloseOnExec(controlFD)
	host, err := readHost()
	if err != nil {
		return 0, err
	}
	// The host is given up before anything is read that a bundle's author
	// could have written.
	if !unconfined {
		if err := emptyRoot(nil); err != nil {
			return 0, err
		}
		if err := dropPrivileges(nil); err != nil {
			return 0, err
		}
	}
	conn := NewConn(controlFD)
	m, fds, err := conn.Recv()
	if err != nil {
		return 0, nil // runsc gave up
	}
	if m.Op == "proxy" {
		return serveProxy(conn, m, fds)
	}
	var created atomic.Bool
	go exitWithStarter(conn.FD(), &created)
	var a CreateArgs
	if err := json.Unmarshal(m.Args, &a); err != nil {
		return 0, fmt.Errorf("parsing the container: %w", err)
	}
	s, err := newServer(&a, fds, host)
	if err == nil {
		deny := hostfilter.Kill
		if a.Flags.Debug {
			deny = hostfilter.Trap
		}
		if !unconfined {
			err = hostfilter.Install(SentryFilter(), deny)
		}
	}
	if err == nil {
		err = s.createRoot(&a, fds)
	}
	created.Store(true)
	conn.Reply(m, nil, err)
	if err != nil {
		// runsc reports it; the status is for whoever waits for this process.
		time.Sleep(time.Millisecond)
		return 128, nil
	}
	s.watch(&a, fds)
	go s.watchdog()
	go s.serveStarter(conn, a.Attached)
	if a.Listen >= 0 {
		go s.accept(fds[a.Listen])
	}
	return s.waitRoot(), nil
}

// exitWithStarter ends this process if runsc goes away while the container is
// being made, whatever the making waits for.
func exitWithStarter(fd int, created *atomic.Bool) {
	pfd := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for !created.Load() {
		if n, _ := unix.Ppoll(pfd, &unix.Timespec{Nsec: 100e6}, nil); n > 0 && !created.Load() {
			os.Exit(128)
		}
	}
}

// SentryFilter is the table the sandbox process runs under.
func SentryFilter() []hostfilter.Rule {
	return hostfilter.Add(hostfilter.Sentry(), platformCalls()...)
}

// serveStarter serves the connection the sandbox was made with. Until release,
// and always when attached, its end is the sandbox's.
func (s *server) serveStarter(c *Conn, attached bool) {
	released := false
	for {
		m, fds, err := c.Recv()
		if err != nil {
			s.starterOnce.Do(func() { close(s.starterDone) })
			if attached || !released {
				s.die("the runsc that started the sandbox is gone")
			}
			c.Close()
			return
		}
		if m.Op == "release" {
			released = true
			c.Reply(m, nil, nil)
			continue
		}
		s.inFlight.Add(1)
		go func() {
			s.handle(c, m, fds)
			if m.Op == "wait" {
				s.starterOnce.Do(func() { close(s.starterDone) })
			}
		}()
	}
}

// accept serves the control socket. Only runsc can reach it: the socket lies
// in a directory of its user.
func (s *server) accept(fd int) {
	for {
		nfd, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			klog.Errorf("accepting a control connection: %v", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go func() {
			c := NewConn(nfd)
			defer c.Close()
			var child *container // that ends with this connection
			for {
				m, fds, err := c.Recv()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						klog.Debugf("control connection: %v", err)
					}
					if child != nil {
						s.forget(child)
					}
					return
				}
				if m.Op == "create" && child == nil {
					child, err = s.createChild(m, fds)
					c.Reply(m, nil, err)
					continue
				}
				s.inFlight.Add(1)
				go s.handle(c, m, fds)
			}
		}()
	}
}

// handle runs one request and answers it. fds belong to the request: what it
// does not take is closed.
func (s *server) handle(c *Conn, m *Message, fds []int) {
	defer s.inFlight.Done()
	var result any
	err := errors.New("unknown control operation " + m.Op)
	if h, ok := operations[m.Op]; ok {
		func() {
			defer func() {
				if v := recover(); v != nil {
					klog.Errorf("control operation %s: panic: %v\n%s", m.Op, v, ownStack())
					err = fmt.Errorf("sandbox broke in %s: %v", m.Op, v)
				}
			}()
			result, err = h(s, m.Args, fds)
		}()
	} else {
		closeAll(fds)
	}
	if rerr := c.Reply(m, result, err); rerr != nil {
		klog.Debugf("answering %s: %v", m.Op, rerr)
	}
}

func ownStack() []byte {
	b := make([]byte, 64<<10)
	return b[:runtimeStack(b, false)]
}
