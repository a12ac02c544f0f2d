package boot

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestConnCarriesDescriptors(t *testing.T) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := NewConn(p[0]), NewConn(p[1])
	defer a.Close()
	go func() {
		defer b.Close()
		for {
			m, fds, err := b.Recv()
			if err != nil {
				return
			}
			switch m.Op {
			case "count":
				b.Reply(m, len(fds), nil)
			case "fail":
				b.Reply(m, nil, errors.New("it failed"))
			default:
				b.Reply(m, m.Args, nil)
			}
			closeAll(fds)
		}
	}()
	for _, n := range []int{0, 1, 3, maxFDs, maxFDs + 1, 2*maxFDs + 7} {
		fds := make([]int, n)
		for i := range fds {
			fds[i] = int(os.Stderr.Fd())
		}
		got := -1
		if err := a.Call("count", nil, &got, fds...); err != nil {
			t.Fatal(err)
		}
		if got != n {
			t.Errorf("sent %d descriptors, %d came", n, got)
		}
	}
	if err := a.Call("fail", nil, nil); err == nil || err.Error() != "it failed" {
		t.Errorf("error is %v", err)
	}
	long := strings.Repeat("x", 3<<20)
	var back string
	if err := a.Call("echo", long, &back); err != nil || back != long {
		t.Errorf("a long message came back with %d bytes, error %v", len(back), err)
	}
	if err := a.Notify("count", nil); err != nil {
		t.Error(err)
	}
}
