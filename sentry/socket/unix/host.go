package unix

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// HostSocket is an inode behind which a host socket may listen.
type HostSocket interface {
	// ConnectHost returns a connected, non-blocking descriptor.
	ConnectHost(ctx kctx.Ctx, typ int) (int, error)
}

// connectHost connects s to a host socket: s gets a peer of its own kind, and
// two goroutines carry the bytes between that and the host. Descriptors and
// credentials do not travel.
func (f *Family) connectHost(ctx kctx.Ctx, s *Socket, i vfs.Inode, addr []byte) error {
	h, ok := i.(HostSocket)
	if !ok || s.typ == unix.SOCK_DGRAM {
		return errno.ECONNREFUSED
	}
	fd, err := h.ConnectHost(ctx, s.typ)
	if err != nil {
		return err
	}
	a := f.newSocket(s.ns, s.typ)
	a.addr = addr
	s.mu.Lock()
	if s.conn.Load() != nil || s.closed || s.listening {
		s.mu.Unlock()
		a.forget()
		unix.Close(fd)
		return errno.EISCONN
	}
	s.peerCred = &socket.Ucred{}
	join(s, a)
	s.mu.Unlock()
	host := os.NewFile(uintptr(fd), "host socket")
	k := kctx.Background(ctx.Creds())
	done := make(chan struct{}, 2)
	go func() { toHost(k, a, host); done <- struct{}{} }()
	go func() { fromHost(k, a, host); done <- struct{}{} }()
	go func() {
		<-done
		<-done
		host.Close()
		a.close(k)
	}()
	return nil
}

const hostBuf = 64 << 10

// until repeats fn while it says EAGAIN, sleeping on a's queue.
func until(k kctx.Ctx, a *Socket, ev wait.Events, fn func() error) error {
	err := fn()
	if err != errno.EAGAIN {
		return err
	}
	e := wait.NewEntry(ev)
	a.q.Add(e)
	defer a.q.Remove(e)
	for {
		if err := fn(); err != errno.EAGAIN {
			return err
		}
		<-e.C
	}
}

func toHost(k kctx.Ctx, a *Socket, host *os.File) {
	buf := make([]byte, hostBuf)
	for {
		var n int64
		m := socket.RecvMsg{}
		err := until(k, a, wait.Readable, func() (err error) {
			n, err = a.Receive(k, usermem.Bytes(buf), &m)
			return err
		})
		dropFiles(k, m.Files)
		if err != nil || n == 0 {
			break
		}
		if _, err := host.Write(buf[:n]); err != nil {
			break
		}
	}
	a.Shutdown(k, unix.SHUT_RD)
	if c, err := host.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_WR) })
	}
	if a.Ready(wait.Hup)&wait.Hup != 0 {
		host.SetReadDeadline(time.Now()) // nobody is left to read for
	}
}

func fromHost(k kctx.Ctx, a *Socket, host *os.File) {
	buf := make([]byte, hostBuf)
	for {
		n, err := host.Read(buf)
		if n == 0 || err != nil {
			break
		}
		src := usermem.Bytes(buf[:n])
		for src.Len() > 0 && err == nil {
			err = until(k, a, wait.Writable, func() error {
				_, err := a.Send(k, src, &socket.SendMsg{})
				return err
			})
		}
		if err != nil {
			break
		}
	}
	a.Shutdown(k, unix.SHUT_WR)
}
