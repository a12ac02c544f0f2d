package unix

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

type slots struct{ m sync.Map }

func (s *slots) Slot(name string, mk func() any) any {
	v, _ := s.m.LoadOrStore(name, mk())
	return v
}

type env struct {
	t   *testing.T
	f   *Family
	ns  *slots
	ctx kctx.Ctx
	sys *vfs.System
}

func newEnv(t *testing.T) *env {
	sys := vfs.NewSystem()
	return &env{t, New(sys), &slots{}, kctx.Background(creds.NewRoot(creds.NewRootNS())), sys}
}

func (e *env) pair(typ int) (*Socket, *Socket) {
	a, b, err := e.f.Pair(e.ctx, e.ns, typ, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	return a.(*Socket), b.(*Socket)
}

func (e *env) socket(typ int) *Socket {
	s, err := e.f.Socket(e.ctx, e.ns, typ, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	return s.(*Socket)
}

func (e *env) send(s *Socket, data string) (int64, error) {
	return s.Send(e.ctx, usermem.Bytes([]byte(data)), &socket.SendMsg{})
}

func (e *env) recv(s *Socket, n int, flags int) (string, *socket.RecvMsg, error) {
	buf := make([]byte, n)
	m := &socket.RecvMsg{Flags: flags, WantAddr: true}
	got, err := s.Receive(e.ctx, usermem.Bytes(buf), m)
	return string(buf[:min(int(got), n)]), m, err
}

func (e *env) want(s *Socket, n int, want string) *socket.RecvMsg {
	e.t.Helper()
	got, m, err := e.recv(s, n, 0)
	if err != nil || got != want {
		e.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
	return m
}

func TestStream(t *testing.T) {
	e := newEnv(t)
	a, b := e.pair(unix.SOCK_STREAM)
	if _, _, err := e.recv(b, 10, 0); err != errno.EAGAIN {
		t.Fatal(err)
	}
	e.send(a, "hello ")
	e.send(a, "world")
	if got, _, err := e.recv(b, 5, unix.MSG_PEEK); got != "hello" || err != nil {
		t.Fatal(got, err)
	}
	e.want(b, 8, "hello wo")
	e.want(b, 8, "rld")
	if ev := b.Ready(wait.All); ev != wait.Out|wait.WrNorm|wait.WrBand {
		t.Fatalf("%x", ev)
	}
	e.send(a, "last")
	a.Shutdown(e.ctx, unix.SHUT_WR)
	if _, err := e.send(a, "x"); err != errno.EPIPE {
		t.Fatal(err)
	}
	e.want(b, 8, "last")
	e.want(b, 8, "")
	e.send(b, "back")
	a.close(e.ctx) // unread: b gets a reset
	if _, err := e.send(b, "x"); err != errno.EPIPE {
		t.Fatal(err)
	}
	if _, err := e.send(b, "x"); err != errno.EPIPE {
		t.Fatal(err)
	}
	if ev := b.Ready(wait.All); ev&(wait.Hup|wait.In|wait.RdHup) != wait.Hup|wait.In|wait.RdHup {
		t.Fatalf("%x", ev)
	}
}

func TestStreamBulk(t *testing.T) {
	e := newEnv(t)
	a, b := e.pair(unix.SOCK_STREAM)
	data := make([]byte, 3<<20)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	block := func(s *Socket, ev wait.Events, fn func() error) {
		en := wait.NewEntry(ev)
		s.q.Add(en)
		defer s.q.Remove(en)
		for {
			if err := fn(); err != errno.EAGAIN {
				if err != nil {
					t.Error(err)
				}
				return
			}
			select {
			case <-en.C:
			case <-time.After(5 * time.Second):
				t.Error("no wake-up")
				return
			}
		}
	}
	go func() {
		src, sizes := data, []int{1, 100, 511, 513, 5000, 100000}
		for i := 0; len(src) > 0; i++ {
			n := min(sizes[i%len(sizes)], len(src))
			block(a, wait.Out, func() error {
				got, err := a.Send(e.ctx, usermem.Bytes(src[:n]), &socket.SendMsg{})
				src = src[got:]
				return err
			})
			if t.Failed() {
				return
			}
		}
		a.close(e.ctx)
	}()
	var out bytes.Buffer
	buf := make([]byte, 7001)
	for done := false; !done && !t.Failed(); {
		block(b, wait.In, func() error {
			n, err := b.Receive(e.ctx, usermem.Bytes(buf), &socket.RecvMsg{})
			out.Write(buf[:n])
			done = err == nil && n == 0
			return err
		})
	}
	if !bytes.Equal(out.Bytes(), data) {
		t.Fatal("data changed on its way", out.Len())
	}
}

func TestListen(t *testing.T) {
	e := newEnv(t)
	l := e.socket(unix.SOCK_STREAM)
	addr := abstractAddr("name")
	if err := l.Bind(e.ctx, addr); err != nil {
		t.Fatal(err)
	}
	c := e.socket(unix.SOCK_STREAM)
	if err := c.Connect(e.ctx, addr); err != errno.ECONNREFUSED {
		t.Fatal(err)
	}
	if err := l.Listen(e.ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(e.ctx, addr); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(e.ctx, addr); err != errno.EISCONN {
		t.Fatal(err)
	}
	e.send(c, "early")
	if l.Ready(wait.In) != wait.In {
		t.Fatal("not readable")
	}
	o, _, err := l.Accept(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := o.(*Socket)
	e.want(s, 10, "early")
	if n, _ := c.PeerName(e.ctx); !bytes.Equal(n, addr) {
		t.Fatalf("%q", n)
	}
	if n, _ := s.SockName(e.ctx); !bytes.Equal(n, addr) {
		t.Fatalf("%q", n)
	}
	if err := e.socket(unix.SOCK_DGRAM).Connect(e.ctx, addr); err != errno.EPROTOTYPE {
		t.Fatal(err)
	}
	d1, d2, d3 := e.socket(unix.SOCK_STREAM), e.socket(unix.SOCK_STREAM), e.socket(unix.SOCK_STREAM)
	d1.Connect(e.ctx, addr)
	d2.Connect(e.ctx, addr)
	if err := d3.Connect(e.ctx, addr); err != errno.EAGAIN {
		t.Fatal(err)
	}
	l.close(e.ctx)
	if _, _, err := e.recv(d1, 1, 0); err != errno.ECONNRESET {
		t.Fatal(err)
	}
	if err := e.socket(unix.SOCK_STREAM).Bind(e.ctx, addr); err != nil {
		t.Fatal("the name is still taken", err)
	}
}

func TestDgram(t *testing.T) {
	e := newEnv(t)
	a, b := e.socket(unix.SOCK_DGRAM), e.socket(unix.SOCK_DGRAM)
	aa, ba := abstractAddr("a"), abstractAddr("b")
	a.Bind(e.ctx, aa)
	b.Bind(e.ctx, ba)
	n, err := a.Send(e.ctx, usermem.Bytes([]byte("datagram")), &socket.SendMsg{Addr: ba})
	if n != 8 || err != nil {
		t.Fatal(n, err)
	}
	m := e.want(b, 4, "data")
	if m.Flags&unix.MSG_TRUNC == 0 || m.FullLen != 8 || !bytes.Equal(m.Addr, aa) {
		t.Fatalf("%+v", m)
	}
	if _, err := e.send(a, "x"); err != errno.ENOTCONN {
		t.Fatal(err)
	}
	if err := a.Connect(e.ctx, ba); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		if _, err := e.send(a, "x"); err == errno.EAGAIN {
			break
		} else if err != nil || i > maxQueue {
			t.Fatal(i, err)
		}
	}
	en := wait.NewEntry(wait.Out)
	a.q.Add(en)
	e.want(b, 4, "x")
	select {
	case <-en.C:
	default:
		t.Fatal("the sender is not woken")
	}
	b.close(e.ctx)
	if _, err := e.send(a, "x"); err != errno.ECONNRESET && err != errno.ECONNREFUSED {
		t.Fatal(err)
	}
}

func TestSeqpacket(t *testing.T) {
	e := newEnv(t)
	a, b := e.pair(unix.SOCK_SEQPACKET)
	e.send(a, "one")
	e.send(a, "two")
	e.want(b, 2, "on")
	e.want(b, 10, "two")
	a.close(e.ctx)
	e.want(b, 10, "")
}

type counted struct {
	vfs.StreamBase
	n *int
}

func (c counted) Release(kctx.Ctx, *vfs.File) { *c.n++ }

func TestFiles(t *testing.T) {
	e := newEnv(t)
	a, b := e.pair(unix.SOCK_STREAM)
	released := 0
	f := vfs.NewAnonFile(e.sys, "anon_inode:[t]", counted{n: &released}, unix.O_RDWR)
	e.send(a, "before")
	if _, err := a.Send(e.ctx, usermem.Bytes([]byte("with")), &socket.SendMsg{Files: []*vfs.File{f}}); err != nil {
		t.Fatal(err)
	}
	f.DecRef(e.ctx)
	e.send(a, "after")
	if m := e.want(b, 100, "before"); len(m.Files) != 0 {
		t.Fatal("files came early")
	}
	m := e.want(b, 100, "with")
	if len(m.Files) != 1 {
		t.Fatal("no file")
	}
	e.want(b, 100, "after")
	m.Files[0].DecRef(e.ctx)
	if released != 1 {
		t.Fatal(released)
	}
	g := vfs.NewAnonFile(e.sys, "anon_inode:[t]", counted{n: &released}, unix.O_RDWR)
	a.Send(e.ctx, usermem.Bytes([]byte("x")), &socket.SendMsg{Files: []*vfs.File{g}})
	g.DecRef(e.ctx)
	b.close(e.ctx)
	if released != 2 {
		t.Fatal("the file in flight is not released")
	}
}

func TestCreds(t *testing.T) {
	e := newEnv(t)
	a, b := e.pair(unix.SOCK_STREAM)
	b.SetOpt(e.ctx, unix.SOL_SOCKET, unix.SO_PASSCRED, []byte{1, 0, 0, 0})
	e.send(a, "x")
	if m := e.want(b, 10, "x"); m.Creds == nil {
		t.Fatal("no credentials")
	}
	v, err := b.GetOpt(e.ctx, unix.SOL_SOCKET, unix.SO_PEERCRED, 12)
	if len(v) != 12 || err != nil {
		t.Fatal(v, err)
	}
}

func BenchmarkPingPong(b *testing.B) {
	e := &env{f: New(vfs.NewSystem()), ns: &slots{}, ctx: kctx.Background(creds.NewRoot(creds.NewRootNS()))}
	x, y, _ := e.f.Pair(e.ctx, e.ns, unix.SOCK_STREAM, 0)
	var buf [64]byte
	for b.Loop() {
		x.Send(e.ctx, usermem.Bytes(buf[:]), &socket.SendMsg{})
		y.Receive(e.ctx, usermem.Bytes(buf[:]), &socket.RecvMsg{})
	}
}
