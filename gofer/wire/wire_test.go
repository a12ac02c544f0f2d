package wire

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
)

func TestAttr(t *testing.T) {
	a := Attr{Ino: 7, Mode: 0120777, Nlink: 1, Size: 3, Target: "x/y", Mtime: Time{5, 6}}
	var e Enc
	e.Attr(&a)
	d := Dec{B: e.B}
	var b Attr
	if d.Attr(&b); !d.End() || a != b {
		t.Fatalf("%+v", b)
	}
	for n := range e.B {
		d := Dec{B: e.B[:n]}
		if d.Attr(&b); !d.Bad {
			t.Fatal("a cut attribute passed", n)
		}
	}
}

func TestGoodPath(t *testing.T) {
	for p, want := range map[string]bool{"": true, "a": true, "a/b": true, "/a": false, "a/": false, "a//b": false,
		"..": false, "a/../b": false, "a/.": false, "a\x00": false, "...": true, string(bytes.Repeat([]byte("n"), 256)): false} {
		if GoodPath(p) != want {
			t.Errorf("%q: not %v", p, want)
		}
	}
}

func lanePair(t *testing.T) (*Client, *Server) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return NewClient(p[0]), NewServer(p[1])
}

func TestLane(t *testing.T) {
	c, s := lanePair(t)
	defer c.Close()
	go func() {
		defer s.Close()
		for {
			r, ok := s.Next()
			if !ok {
				return
			}
			switch r.Op {
			case OpStat:
				s.Send(r.Token, 0, false, []byte(r.Path), nil)
			case OpList:
				for range 3 {
					s.Send(r.Token, 0, true, []byte("more"), nil)
				}
				s.Send(r.Token, 0, false, nil, nil)
			case OpOpen:
				s.Send(r.Token, 0, false, nil, []int{0})
			default:
				s.Fail(r.Token, errno.EROFS)
			}
		}
	}()
	done := make(chan bool)
	for g := range 4 {
		go func() {
			defer func() { done <- true }()
			for range 200 {
				want := string(rune('a' + g))
				if d, _, err := c.Call(NewRequest(OpStat, want), 0); err != nil || string(d.B) != want {
					t.Error(err, string(d.B))
					return
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
	n := 0
	if err := c.Stream(NewRequest(OpList, ""), func(b []byte) { n += len(b) }); err != nil || n != 12 {
		t.Fatal(err, n)
	}
	_, fds, err := c.Call(NewRequest(OpOpen, ""), 1)
	if err != nil || len(fds) != 1 {
		t.Fatal(err, fds)
	}
	unix.Close(fds[0])
	if _, _, err := c.Call(NewRequest(OpSync, ""), 0); err != errno.EROFS {
		t.Fatal(err)
	}
	// A descriptor nobody asked for breaks the connection.
	if _, _, err := c.Call(NewRequest(OpOpen, ""), 0); err != errno.ENOTCONN {
		t.Fatal(err)
	}
}

func TestLaneDeath(t *testing.T) {
	c, s := lanePair(t)
	dead := make(chan bool, 1)
	c.OnDeath = func() { dead <- true }
	got := make(chan error, 3)
	for range 3 {
		go func() {
			_, _, err := c.Call(NewRequest(OpStat, ""), 0)
			got <- err
		}()
	}
	time.Sleep(10 * time.Millisecond)
	unix.Shutdown(s.fd, unix.SHUT_RDWR)
	for range 3 {
		if err := <-got; err != errno.ENOTCONN {
			t.Fatal(err)
		}
	}
	<-dead
}

func FuzzWire(f *testing.F) {
	var e Enc
	e.StartReply(1, 0, false, 0)
	e.Attr(&Attr{Mode: 0100644})
	f.Add(e.B)
	f.Add(NewRequest(OpStat, "a/b").B)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := ParseRequest(b); ok && !GoodPath(r.Path) {
			t.Fatal("a bad path passed")
		}
		if r, ok := ParseReply(b); ok {
			d := Dec{B: r.Body}
			for !d.Bad && len(d.B) > 0 {
				var a Attr
				d.Attr(&a)
			}
			d = Dec{B: r.Body}
			var s Statfs
			d.Statfs(&s)
			var sa SetAttr
			d = Dec{B: r.Body}
			d.SetAttr(&sa)
		}
	})
}

func TestPost(t *testing.T) {
	c, s := lanePair(t)
	hold := make(chan bool)
	order := make(chan Op, 2*MaxPosted)
	go func() {
		defer s.Close()
		<-hold
		for {
			r, ok := s.Next()
			if !ok {
				return
			}
			order <- r.Op
			if r.Op == OpRename {
				s.Fail(r.Token, errno.EROFS)
			} else {
				s.Send(r.Token, 0, false, nil, nil)
			}
		}
	}()
	var got []error
	note := func(err error) { got = append(got, err) }
	for n := range MaxPosted {
		op := OpUnlink
		if n == 2 {
			op = OpRename
		}
		if !c.Post(NewRequest(op, "x"), note) {
			t.Fatal("not posted", n)
		}
	}
	if c.Post(NewRequest(OpUnlink, "x"), note) {
		t.Fatal("one too many was posted")
	}
	close(hold)
	if _, _, err := c.Call(NewRequest(OpStat, ""), 0); err != nil {
		t.Fatal(err)
	}
	if len(got) != MaxPosted || got[2] != errno.EROFS || got[0] != nil {
		t.Fatal(got)
	}
	for range MaxPosted {
		if op := <-order; op == OpStat {
			t.Fatal("a call overtook posted ones")
		}
	}
	if !c.Post(NewRequest(OpUnlink, "x"), note) {
		t.Fatal("not posted")
	}
	if c.Settle(); len(got) != MaxPosted+1 {
		t.Fatal(got)
	}
	c.Close()
	if c.Post(NewRequest(OpUnlink, "x"), note) {
		t.Fatal("posted on a closed connection")
	}
}
