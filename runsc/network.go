package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/boot"
)

// netnsPath is the network namespace whose interfaces the sandbox takes over:
// the configured one, or the sandbox's own, where hooks may have put some. ""
// means there is none to look at.
func netnsPath(spec *specs.Spec, pid int) string {
	if spec.Linux == nil {
		return ""
	}
	for _, ns := range spec.Linux.Namespaces {
		if ns.Type == specs.NetworkNamespace {
			if ns.Path != "" {
				return ns.Path
			}
			if h := spec.Hooks; h == nil || len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) == 0 { //nolint:staticcheck // prestart is still used
				return "" // nobody could have put an interface there
			}
			return "/proc/" + strconv.Itoa(pid) + "/ns/net"
		}
	}
	return ""
}

// readNetwork describes the interfaces of a namespace and opens a packet socket
// on each that leads outside. The sockets are the sandbox's only way to the
// network, so the host must not answer on those interfaces any more: their
// addresses are removed there.
func readNetwork(path string, dns bool) (*boot.Network, []int, error) {
	type result struct {
		n   *boot.Network
		fds []int
		err error
	}
	ch := make(chan result, 1)
	go func() {
		// The thread enters the namespace and is not used again.
		runtime.LockOSThread()
		n, fds, err := readNetworkHere(path, dns)
		ch <- result{n, fds, err}
	}()
	r := <-ch
	return r.n, r.fds, r.err
}

func readNetworkHere(path string, dns bool) (*boot.Network, []int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the network namespace: %w", err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, nil, fmt.Errorf("entering the network namespace %s: %w", path, err)
	}
	n, err := dumpNetwork()
	if err != nil {
		return nil, nil, err
	}
	var fds []int
	for i := range n.Links {
		l := &n.Links[i]
		l.FD = -1
		if l.Loopback {
			continue
		}
		fd, err := packetSocket(l.Index)
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, nil, fmt.Errorf("opening a packet socket on %s: %w", l.Name, err)
		}
		l.FD = len(fds)
		fds = append(fds, fd)
	}
	n.DNS = -1
	if dns && len(fds) > 0 {
		// Without it names do not resolve, which is no reason not to start.
		if fd, err := dnsSocket(); err == nil {
			n.DNS = len(fds)
			fds = append(fds, fd)
		}
	}
	for _, l := range n.Links {
		if l.Loopback {
			continue
		}
		for _, a := range l.Addrs {
			if err := removeAddr(l.Index, a); err != nil {
				return nil, nil, fmt.Errorf("taking %s off %s: %w", a, l.Name, err)
			}
		}
	}
	return n, fds, nil
}

// dnsSocket makes a socket that can talk to docker's resolver and nothing else.
func dnsSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 11}, Port: 53}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// usesDockerDNS says whether the container's resolv.conf names docker's
// resolver.
func usesDockerDNS(spec *specs.Spec) bool {
	for _, m := range spec.Mounts {
		if m.Destination == "/etc/resolv.conf" {
			b, err := os.ReadFile(m.Source)
			return err == nil && strings.Contains(string(b), "127.0.0.11")
		}
	}
	return false
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// packetSocket makes an AF_PACKET socket for all protocols of one interface.
func packetSocket(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(htons(unix.ETH_P_ALL)))
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	// Bursts must not be dropped while the sandbox is not scheduled.
	for _, opt := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, opt, 4<<20)
	}
	return fd, nil
}

// dumpNetwork asks rtnetlink(7) for links, addresses and routes.
func dumpNetwork() (*boot.Network, error) {
	n := &boot.Network{}
	byIndex := make(map[int]int)
	err := dump(unix.RTM_GETLINK, func(m *syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		h := m.Data
		l := boot.NetLink{Index: int(binary.NativeEndian.Uint32(h[4:8]))}
		flags := binary.NativeEndian.Uint32(h[8:12])
		l.Loopback = flags&unix.IFF_LOOPBACK != 0
		l.Up = flags&unix.IFF_UP != 0
		for _, a := range attrs {
			switch a.Attr.Type {
			case unix.IFLA_IFNAME:
				l.Name = unix.ByteSliceToString(a.Value)
			case unix.IFLA_MTU:
				l.MTU = int(binary.NativeEndian.Uint32(a.Value))
			case unix.IFLA_ADDRESS:
				l.MAC = append([]byte(nil), a.Value...)
			}
		}
		// Tunnel devices that exist in every namespace are of no use inside.
		if !l.Loopback && (!l.Up || len(l.MAC) != 6) {
			return
		}
		byIndex[l.Index] = len(n.Links)
		n.Links = append(n.Links, l)
	})
	if err != nil {
		return nil, fmt.Errorf("listing interfaces: %w", err)
	}
	err = dump(unix.RTM_GETADDR, func(m *syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		i, ok := byIndex[int(binary.NativeEndian.Uint32(m.Data[4:8]))]
		if !ok {
			return
		}
		var addr netip.Addr
		for _, a := range attrs {
			// IFA_LOCAL is the address itself where IFA_ADDRESS is the peer's.
			if a.Attr.Type == unix.IFA_LOCAL || a.Attr.Type == unix.IFA_ADDRESS && !addr.IsValid() {
				addr, _ = netip.AddrFromSlice(a.Value)
			}
		}
		if addr.IsValid() {
			n.Links[i].Addrs = append(n.Links[i].Addrs, netip.PrefixFrom(addr, int(m.Data[1])))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}
	err = dump(unix.RTM_GETROUTE, func(m *syscall.NetlinkMessage, attrs []syscall.NetlinkRouteAttr) {
		h := m.Data // struct rtmsg
		if h[4] != unix.RT_TABLE_MAIN || h[7] != unix.RTN_UNICAST {
			return
		}
		r := boot.NetRoute{}
		bits := int(h[1])
		zero := netip.IPv4Unspecified()
		if h[0] == unix.AF_INET6 {
			zero = netip.IPv6Unspecified()
		}
		r.Dst = netip.PrefixFrom(zero, 0)
		for _, a := range attrs {
			switch a.Attr.Type {
			case unix.RTA_DST:
				if addr, ok := netip.AddrFromSlice(a.Value); ok {
					r.Dst = netip.PrefixFrom(addr, bits)
				}
			case unix.RTA_GATEWAY:
				r.Gateway, _ = netip.AddrFromSlice(a.Value)
			case unix.RTA_OIF:
				r.Link = int(binary.NativeEndian.Uint32(a.Value))
			case unix.RTA_PREFSRC:
				r.Src, _ = netip.AddrFromSlice(a.Value)
			}
		}
		if _, ok := byIndex[r.Link]; ok {
			n.Routes = append(n.Routes, r)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	return n, nil
}

// dump makes one rtnetlink dump request. Messages shorter than the smallest
// header any of them has are skipped.
func dump(req int, each func(*syscall.NetlinkMessage, []syscall.NetlinkRouteAttr)) error {
	b, err := syscall.NetlinkRIB(req, unix.AF_UNSPEC)
	if err != nil {
		return err
	}
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return err
	}
	for i := range msgs {
		m := &msgs[i]
		if m.Header.Type == unix.NLMSG_DONE || m.Header.Type == unix.NLMSG_ERROR || len(m.Data) < 8 {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil || m.Header.Type == unix.RTM_NEWLINK && len(m.Data) < 16 {
			continue
		}
		each(m, attrs)
	}
	return nil
}

// removeAddr is `ip addr del`.
func removeAddr(index int, p netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	family, ip := byte(unix.AF_INET), p.Addr().AsSlice()
	if p.Addr().Is6() {
		family = unix.AF_INET6
	}
	ne := binary.NativeEndian
	var b []byte
	b = ne.AppendUint32(b, 0) // length, below
	b = ne.AppendUint16(b, unix.RTM_DELADDR)
	b = ne.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = ne.AppendUint32(b, 1)
	b = ne.AppendUint32(b, 0)
	b = append(b, family, byte(p.Bits()), 0, 0) // struct ifaddrmsg
	b = ne.AppendUint32(b, uint32(index))
	b = ne.AppendUint16(b, uint16(4+len(ip)))
	b = ne.AppendUint16(b, unix.IFA_LOCAL)
	b = append(b, ip...)
	ne.PutUint32(b, uint32(len(b)))
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var reply [4096]byte
	n, _, err := unix.Recvfrom(fd, reply[:], 0)
	if err != nil {
		return err
	}
	if n < 20 {
		return errors.New("netlink answered too little")
	}
	if e := int32(ne.Uint32(reply[16:])); e != 0 && -e != int32(unix.EADDRNOTAVAIL) {
		return unix.Errno(-e)
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }
