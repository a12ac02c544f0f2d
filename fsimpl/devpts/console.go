package devpts

import (
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Console joins a pty of the sandbox to a terminal of the host. The host's
// terminal is raw: editing, echo, signals and job control are all done by the
// sandbox's own line discipline, so that they act on its processes.
type Console struct {
	p     *pair
	m     *master
	fd    int
	saved *unix.Termios

	mu      sync.Mutex
	idle    sync.Cond
	writing bool
	closed  bool
}

// NewConsole makes a pty in s whose master is pumped from and to the host
// terminal fd (which it takes over), and returns the open slave. The number
// in the instance is the next free one: 0 in a fresh /dev/pts.
func (s *Super) NewConsole(ctx kctx.Ctx, root vfs.Path, fd int) (*Console, *vfs.File, error) {
	m, err := s.newMaster(ctx)
	if err != nil {
		return nil, nil, err
	}
	m.p.locked = false
	m.root = root.IncRef()
	c := &Console{p: m.p, m: m, fd: fd}
	c.idle.L = &c.mu
	if t, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
		c.saved = t
		raw := *t
		raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
		raw.Oflag &^= unix.OPOST
		raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
		raw.Cflag = raw.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		unix.IoctlSetTermios(fd, unix.TCSETS, &raw)
	}
	c.CheckSize()
	sys := s.Sys
	sp, err := sys.Walk(ctx, vfs.Op{Sys: sys, Root: root, Start: root, Path: utoa(m.p.n)})
	if err != nil {
		m.Release(ctx, nil)
		return nil, nil, err
	}
	defer sp.DecRef()
	f, err := sys.OpenFile(ctx, sp, unix.O_RDWR|unix.O_NOCTTY, true)
	if err != nil {
		m.Release(ctx, nil)
		return nil, nil, err
	}
	m.p.console = c
	go c.pumpIn()
	go c.pumpOut()
	return c, f, nil
}

// CheckSize takes over the host terminal's size; call it on SIGWINCH.
func (c *Console) CheckSize() {
	ws, err := unix.IoctlGetWinsize(c.fd, unix.TIOCGWINSZ)
	if err == nil {
		c.p.setWinsize(*ws)
	}
}

// Resize sets the size as told by the control server.
func (c *Console) Resize(rows, cols uint16) { c.p.setWinsize(unix.Winsize{Row: rows, Col: cols}) }

// TTY is the terminal as kernel.CreateArgs wants it.
func (c *Console) TTY() *TTY { return &c.p.tty }

func (c *Console) pumpIn() {
	var buf [4096]byte
	e := wait.NewEntry(wait.Out)
	c.p.masterQ.Add(e)
	defer c.p.masterQ.Remove(e)
	for {
		fds := [1]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		if _, err := unix.Ppoll(fds[:], nil, nil); err != nil && err != unix.EINTR {
			break
		}
		if fds[0].Revents == 0 {
			continue
		}
		n, err := unix.Read(c.fd, buf[:])
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if n <= 0 || err != nil {
			break
		}
		for in := buf[:n]; len(in) > 0; {
			c.p.mu.Lock()
			k := c.p.line.Receive(in)
			sigs := c.p.line.Signals()
			c.p.mu.Unlock()
			c.p.after(sigs)
			in = in[k:]
			if k == 0 {
				<-e.C
			}
		}
	}
	// The terminal outside is gone: so is this one.
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if !closed {
		c.p.hangup()
	}
}

func (c *Console) pumpOut() {
	e := wait.NewEntry(wait.In)
	c.p.masterQ.Add(e)
	defer c.p.masterQ.Remove(e)
	for {
		c.mu.Lock()
		c.p.mu.Lock()
		out := append([]byte(nil), c.p.line.Output()...)
		c.p.line.Consume(len(out))
		c.p.mu.Unlock()
		c.writing = len(out) > 0
		c.idle.Broadcast()
		closed := c.closed
		c.mu.Unlock()
		if len(out) == 0 {
			if closed {
				return
			}
			<-e.C
			continue
		}
		c.p.slaveQ.Notify(wait.Out | wait.WrNorm)
		for len(out) > 0 {
			n, err := unix.Write(c.fd, out)
			if err == unix.EINTR {
				continue
			}
			if err == unix.EAGAIN {
				fds := [1]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}
				unix.Ppoll(fds[:], nil, nil)
				continue
			}
			if err != nil {
				break
			}
			out = out[n:]
		}
	}
}

// Close writes out what the sandbox printed last and gives the host's
// terminal its settings back.
func (c *Console) Close() {
	c.mu.Lock()
	for c.writing || c.pendingLocked() {
		c.p.masterQ.Notify(wait.In)
		c.idle.Wait()
	}
	c.closed = true
	c.mu.Unlock()
	c.p.masterQ.Notify(wait.In)
	if c.saved != nil {
		unix.IoctlSetTermios(c.fd, unix.TCSETS, c.saved)
	}
}

func (c *Console) pendingLocked() bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.p.line.OutputLen() > 0
}
