package boot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// Message is one line of the control protocol: a request (Op, Args) or the
// reply to the request of the same ID (Result or Err). Descriptors travel
// beside it with SCM_RIGHTS, in an order each operation documents.
type Message struct {
	ID     uint64          `json:"id,omitempty"`
	Op     string          `json:"op,omitempty"`
	Args   json.RawMessage `json:"args,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Err    string          `json:"err,omitempty"`
}

const (
	maxMessage = 64 << 20
	maxFDs     = 250 // linux: SCM_MAX_FD is 253
)

// Conn is one end of a control connection: JSON lines on a stream socket.
// Send may be called by many goroutines; Recv by one.
type Conn struct {
	fd   int
	wmu  sync.Mutex
	buf  []byte // received and not yet consumed
	fds  []int  // received and not yet handed out
	oob  []byte
	next uint64
}

// NewConn takes over a connected stream socket.
func NewConn(fd int) *Conn { return &Conn{fd: fd} }

// FD is the socket, for poll or to pass it on.
func (c *Conn) FD() int { return c.fd }

// Close closes the socket and descriptors nobody took.
func (c *Conn) Close() {
	closeAll(c.fds)
	c.fds = nil
	unix.Close(c.fd)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// Send writes one message. More descriptors than one packet can carry go ahead
// of it on empty lines.
func (c *Conn) Send(m *Message, fds ...int) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	c.wmu.Lock()
	defer c.wmu.Unlock()
	for len(fds) > maxFDs {
		if err := c.write([]byte{'\n'}, fds[:maxFDs]); err != nil {
			return err
		}
		fds = fds[maxFDs:]
	}
	return c.write(line, fds)
}

func (c *Conn) write(b []byte, fds []int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for len(b) > 0 {
		n, err := unix.SendmsgN(c.fd, b, oob, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, oob = b[n:], nil
	}
	return nil
}

// Recv reads the next message; the caller owns the descriptors. io.EOF says
// that the other side is gone.
func (c *Conn) Recv() (*Message, []int, error) {
	for {
		if i := bytes.IndexByte(c.buf, '\n'); i >= 0 {
			line := c.buf[:i]
			c.buf = c.buf[i+1:]
			if len(line) == 0 {
				continue
			}
			fds := c.fds
			c.fds = nil
			m := new(Message)
			if err := json.Unmarshal(line, m); err != nil {
				closeAll(fds)
				return nil, nil, fmt.Errorf("parsing a control message: %w", err)
			}
			return m, fds, nil
		}
		if len(c.buf) > maxMessage {
			return nil, nil, errors.New("control message is too long")
		}
		if err := c.fill(); err != nil {
			return nil, nil, err
		}
	}
}

func (c *Conn) fill() error {
	const chunk = 64 << 10
	if cap(c.buf)-len(c.buf) < chunk {
		c.buf = append(make([]byte, 0, 2*len(c.buf)+chunk), c.buf...)
	}
	if c.oob == nil {
		c.oob = make([]byte, unix.CmsgSpace(4*maxFDs))
	}
	for {
		n, oobn, _, _, err := unix.Recvmsg(c.fd, c.buf[len(c.buf):len(c.buf)+chunk], c.oob, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if oobn > 0 {
			msgs, err := unix.ParseSocketControlMessage(c.oob[:oobn])
			if err != nil {
				return err
			}
			for i := range msgs {
				if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil {
					c.fds = append(c.fds, fds...)
				}
			}
		}
		if n == 0 {
			return io.EOF
		}
		c.buf = c.buf[:len(c.buf)+n]
		return nil
	}
}

// Call sends a request and waits for its reply. Nothing else may use the
// connection meanwhile, except Notify.
func (c *Conn) Call(op string, args, result any, fds ...int) error {
	c.next++
	m := &Message{ID: c.next, Op: op}
	if err := m.setArgs(args); err != nil {
		return err
	}
	if err := c.Send(m, fds...); err != nil {
		return fmt.Errorf("sending the sandbox %q: %w", op, err)
	}
	for {
		r, rfds, err := c.Recv()
		if err != nil {
			return fmt.Errorf("waiting for the sandbox's answer to %q: %w", op, err)
		}
		closeAll(rfds)
		if r.ID != m.ID {
			continue
		}
		if r.Err != "" {
			return errors.New(r.Err)
		}
		if result != nil && len(r.Result) > 0 {
			return json.Unmarshal(r.Result, result)
		}
		return nil
	}
}

// Notify sends a request whose reply nobody waits for.
func (c *Conn) Notify(op string, args any) error {
	m := &Message{Op: op}
	if err := m.setArgs(args); err != nil {
		return err
	}
	return c.Send(m)
}

func (m *Message) setArgs(args any) (err error) {
	if args != nil {
		m.Args, err = json.Marshal(args)
	}
	return err
}

// Reply answers request m. Requests without an ID want no answer.
func (c *Conn) Reply(m *Message, result any, err error) error {
	if m.ID == 0 {
		return nil
	}
	r := &Message{ID: m.ID}
	if err != nil {
		r.Err = err.Error()
	} else if result != nil {
		if r.Result, err = json.Marshal(result); err != nil {
			r.Err = err.Error()
		}
	}
	return c.Send(r)
}
