package inet

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
)

type slots map[string]any

func (s slots) Slot(name string, mk func() any) any {
	if s[name] == nil {
		s[name] = mk()
	}
	return s[name]
}

func sockaddr(port uint16) []byte {
	b := make([]byte, 16)
	b[0] = unix.AF_INET
	binary.BigEndian.PutUint16(b[2:], port)
	copy(b[4:], []byte{127, 0, 0, 1})
	return b
}

// retry does fn until it no longer says EAGAIN.
func retry(t *testing.T, s socket.Ops, ev wait.Events, fn func() error) error {
	t.Helper()
	e := wait.NewEntry(ev)
	s.WaitQueue().Add(e)
	defer s.WaitQueue().Remove(e)
	for range 100 {
		if err := fn(); err != errno.EAGAIN {
			return err
		}
		select {
		case <-e.C:
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("never ready")
	return nil
}

func TestStreamOverLoopback(t *testing.T) {
	ctx, ns := kctx.Background(creds.NewRoot(creds.NewRootNS())), slots{}
	StartUp(ns)
	l, err := Family{}.Socket(ctx, ns, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Bind(ctx, sockaddr(0)); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(ctx, 5); err != nil {
		t.Fatal(err)
	}
	addr, _ := l.SockName(ctx)
	c, _ := Family{}.Socket(ctx, ns, unix.SOCK_STREAM, 0)
	if err := c.Connect(ctx, addr); err != nil && err != errno.EINPROGRESS {
		t.Fatal(err)
	}
	var srv socket.Ops
	if err := retry(t, l, wait.In, func() (err error) { srv, _, err = l.Accept(ctx); return err }); err != nil {
		t.Fatal(err)
	}
	if err := retry(t, c, wait.Out, func() error {
		if c.Ready(wait.Out) == 0 {
			return errno.EAGAIN
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Send(ctx, usermem.Bytes([]byte("hello")), &socket.SendMsg{}); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	buf := make([]byte, 10)
	var n int64
	if err := retry(t, srv, wait.In, func() (err error) {
		n, err = srv.Receive(ctx, usermem.Bytes(buf), &socket.RecvMsg{})
		return err
	}); err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("%q %v", buf[:n], err)
	}
	c.Release(ctx, nil)
	if err := retry(t, srv, wait.In, func() (err error) {
		n, err = srv.Receive(ctx, usermem.Bytes(buf), &socket.RecvMsg{})
		return err
	}); err != nil || n != 0 {
		t.Fatalf("end of stream: %d %v", n, err)
	}
	d, _ := Family{}.Socket(ctx, ns, unix.SOCK_STREAM, 0)
	err = d.Connect(ctx, sockaddr(1))
	if err == errno.EINPROGRESS {
		retry(t, d, wait.Out, func() error {
			if d.Ready(wait.Out|wait.Err) == 0 {
				return errno.EAGAIN
			}
			return nil
		})
		var b []byte
		b, err = d.GetOpt(ctx, unix.SOL_SOCKET, unix.SO_ERROR, 4)
		if err == nil {
			err = errno.Errno(binary.LittleEndian.Uint32(b))
		}
	}
	if err != errno.ECONNREFUSED {
		t.Fatalf("connect to a closed port: %v", err)
	}
}

func TestDatagramTruncation(t *testing.T) {
	ctx, ns := kctx.Background(creds.NewRoot(creds.NewRootNS())), slots{}
	StartUp(ns)
	a, _ := Family{}.Socket(ctx, ns, unix.SOCK_DGRAM, 0)
	b, _ := Family{}.Socket(ctx, ns, unix.SOCK_DGRAM, 0)
	if err := a.Bind(ctx, sockaddr(0)); err != nil {
		t.Fatal(err)
	}
	addr, _ := a.SockName(ctx)
	if _, err := b.Send(ctx, usermem.Bytes([]byte("12345678")), &socket.SendMsg{Addr: addr}); err != nil {
		t.Fatal(err)
	}
	m := socket.RecvMsg{}
	buf := make([]byte, 3)
	var n int64
	if err := retry(t, a, wait.In, func() (err error) { n, err = a.Receive(ctx, usermem.Bytes(buf), &m); return err }); err != nil {
		t.Fatal(err)
	}
	if n != 3 || m.FullLen != 8 || m.Flags&unix.MSG_TRUNC == 0 || string(buf) != "123" {
		t.Fatalf("n=%d full=%d flags=%#x %q", n, m.FullLen, m.Flags, buf)
	}
}
