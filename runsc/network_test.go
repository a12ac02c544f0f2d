package main

import (
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadNetwork takes over a namespace with one veth.
func TestReadNetwork(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	ip, err := exec.LookPath("ip")
	if err != nil {
		t.Skip("needs ip(8)")
	}
	done := make(chan struct{})
	defer close(done)
	ready := make(chan string)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			ready <- ""
			return
		}
		for _, args := range [][]string{{"link", "add", "eth9", "type", "veth", "peer", "name", "peer9"},
			{"addr", "add", "192.0.2.2/24", "dev", "eth9"}, {"link", "set", "lo", "up"}, {"link", "set", "eth9", "up"}, {"link", "set", "peer9", "up"},
			{"route", "add", "default", "via", "192.0.2.1"}} {
			if err := exec.Command(ip, args...).Run(); err != nil {
				ready <- ""
				return
			}
		}
		ready <- "/proc/" + itoa(os.Getpid()) + "/task/" + itoa(unix.Gettid()) + "/ns/net"
		<-done
	}()
	path := <-ready
	if path == "" {
		t.Skip("cannot make a veth here")
	}
	for round, addrs := range []int{1, 0} {
		n, fds, err := readNetwork(path, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
		var found bool
		for _, l := range n.Links {
			if l.Name != "eth9" {
				continue
			}
			found = true
			v4 := 0
			for _, a := range l.Addrs {
				if a == netip.MustParsePrefix("192.0.2.2/24") {
					v4++
				}
			}
			if v4 != addrs || l.FD < 0 || l.MTU != 1500 || len(l.MAC) != 6 {
				t.Errorf("round %d: interface is %+v", round, l)
			}
		}
		if !found {
			t.Errorf("round %d: eth9 is not in %+v", round, n)
		}
		if round == 0 && (len(n.Routes) == 0 || n.Routes[0].Gateway != netip.MustParseAddr("192.0.2.1") && n.Routes[len(n.Routes)-1].Gateway != netip.MustParseAddr("192.0.2.1")) {
			t.Errorf("routes are %+v", n.Routes)
		}
	}
}
