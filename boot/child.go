package boot

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot/hostfilter"
	"redoubt.dev/redoubt/sentry/klog"
)

// Further containers of a sandbox (a pod). Each has a gofer of its own and, so
// that engines have a host process to wait for and to look at, a proxy: a
// sandbox process that was started like any other, found its container's
// network namespace taken by a sandbox, and stands for the container that is
// made there instead.

// createChild makes a further container for the holder of a control
// connection.
func (s *server) createChild(m *Message, fds []int) (c *container, err error) {
	defer func() {
		if v := recover(); v != nil {
			c, err = nil, fmt.Errorf("sandbox broke while making a container: %v", v)
		}
	}()
	var a CreateArgs
	if err := json.Unmarshal(m.Args, &a); err != nil {
		closeAll(fds)
		return nil, fmt.Errorf("parsing the container: %w", err)
	}
	s.mu.Lock()
	_, have := s.containers[a.ID]
	s.mu.Unlock()
	if have {
		closeAll(fds)
		return nil, fmt.Errorf("container with id %q already exists in this sandbox", a.ID)
	}
	if c, err = s.newContainer(&a, fds); err != nil {
		if a.Life >= 0 && a.Life < len(fds) {
			unix.Close(fds[a.Life])
		}
		return nil, err
	}
	s.mu.Lock()
	s.containers[a.ID] = c
	s.mu.Unlock()
	if a.Life >= 0 && a.Life < len(fds) {
		go c.watchGofer(fds[a.Life])
	}
	return c, nil
}

// watchGofer ends the container with its gofer. The gofer ends after the
// container's files are released, which is nothing to act on.
func (c *container) watchGofer(life int) {
	var b [1]byte
	for {
		if _, err := unix.Read(life, b[:]); err != unix.EINTR {
			break
		}
	}
	unix.Close(life)
	c.goferDied()
}

// forget drops a further container, whose holder is gone. Its id is free when
// its files are.
func (s *server) forget(c *container) {
	c.destroy()
	for tries := 1; ; tries++ {
		select {
		case <-c.recorded:
			for range 1000 { // those who were being forked
				if !c.alive() {
					break
				}
				c.destroy()
				time.Sleep(5 * time.Millisecond)
			}
			c.release()
			s.mu.Lock()
			delete(s.containers, c.id)
			s.mu.Unlock()
			return
		case <-time.After(5 * time.Second):
			klog.Errorf("container %s: its processes have not ended %d s after they were killed", c.id, 5*tries)
			c.destroy()
		}
	}
}

// alive says whether the container has a process that is not dead.
func (c *container) alive() bool {
	for _, tg := range c.s.k.RootPIDNS().ThreadGroups() {
		if tg.ContainerID() == c.id && tg.Leader() != nil && (len(tg.Tasks()) > 1 || tg.Leader().State() != 'Z') {
			return true
		}
	}
	return false
}

// ProxyArgs tell a proxy what it stands for. Its message has one descriptor,
// the control connection the container was made with.
type ProxyArgs struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// serveProxy waits for the end of a container in another sandbox process and
// ends with its status. The container ends when the proxy does, because the
// connection closes.
func serveProxy(starter *Conn, m *Message, fds []int) (int, error) {
	var a ProxyArgs
	if err := json.Unmarshal(m.Args, &a); err != nil {
		return 0, fmt.Errorf("parsing the proxy's orders: %w", err)
	}
	if len(fds) != 1 {
		return 0, fmt.Errorf("the proxy got %d descriptors, wants 1", len(fds))
	}
	setTitle("runsc-boot " + a.ID + " " + a.Title)
	if err := hostfilter.Install(SentryFilter(), hostfilter.Kill); err != nil {
		return 0, err
	}
	if err := starter.Reply(m, nil, nil); err != nil {
		return 0, nil
	}
	// Until runsc says that the container stays, it ends with runsc.
	release, _, err := starter.Recv()
	if err != nil {
		return 0, nil
	}
	starter.Reply(release, nil, nil)
	starter.Close()
	var st ExitStatus
	conn := NewConn(fds[0])
	if err := conn.Call("wait", ProcessRef{ID: a.ID}, &st); err != nil {
		return 128 + int(unix.SIGKILL), nil // the sandbox is gone
	}
	return st.Code(), nil
}
