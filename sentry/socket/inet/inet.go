// Package inet has the sockets of AF_INET and AF_INET6 on the userspace TCP/IP
// library: one Stack per network namespace, made at its first such socket, and
// Socket, a wrapper that speaks Linux's addresses, options and errors.
//
// Only a loopback device exists until boot adds others with Stack.AddDevice.
package inet

import (
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/link/loopback"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/raw"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
)

// Stack is the TCP/IP of one network namespace.
type Stack struct {
	S *stack.Stack

	mu           sync.Mutex
	names        map[tcpip.NICID]string
	routes       []tcpip.Route // beside those of loopback
	loopbackDown bool
}

// LoopbackNIC is the loopback device's index, 1 as on Linux.
const LoopbackNIC = 1

// StackOf returns the stack of a namespace, making it with a loopback device.
func StackOf(ns socket.Namespace) *Stack {
	up := ns.Slot(loopbackUp, func() any { return false }).(bool)
	return ns.Slot("inet", func() any {
		st := newStack()
		if !up {
			st.SetUp(LoopbackNIC, false)
		}
		return st
	}).(*Stack)
}

// loopbackUp is the slot that says whether a stack begins with its loopback
// device up.
const loopbackUp = "inet.loopback-up"

// StartUp makes the stack of ns begin with its loopback device up, as that of
// a container does and one of unshare(2) does not. It comes before StackOf.
func StartUp(ns socket.Namespace) { ns.Slot(loopbackUp, func() any { return true }) }

// SetUp takes a device up or down.
func (st *Stack) SetUp(id tcpip.NICID, up bool) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if id == LoopbackNIC {
		st.loopbackDown = !up
		st.setRoutesLocked()
	}
	if up {
		return toErrno(st.S.EnableNIC(id))
	}
	return toErrno(st.S.DisableNIC(id))
}

// unreachable says that a can only be reached over a loopback device that is
// down: the library would still find its address there.
func (st *Stack) unreachable(a tcpip.Address) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.loopbackDown && (a.Len() == 4 && a.As4()[0] == 127 || a.Len() == 16 && a.As16() == [16]byte{15: 1})
}

func newStack() *Stack {
	s := stack.New(stack.Options{
		NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol,
			icmp.NewProtocol4, icmp.NewProtocol6},
		RawFactory:      &raw.EndpointFactory{},
		HandleLocal:     true,
		DefaultIPTables: nil,
	})
	st := &Stack{S: s, names: map[tcpip.NICID]string{}}
	sack := tcpip.TCPSACKEnabled(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &sack)
	// As Linux: net.ipv4.tcp_rmem and tcp_wmem.
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: 4096, Default: 131072 * 4, Max: 6 << 20}
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &rcv)
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: 4096, Default: 131072 * 4, Max: 4 << 20}
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &snd)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	s.SetTransportProtocolOption(tcp.ProtocolNumber, &moderate)
	s.SetPortRange(32768, 60999)

	st.names[LoopbackNIC] = "lo"
	if err := s.CreateNICWithOptions(LoopbackNIC, loopback.New(), stack.NICOptions{Name: "lo"}); err != nil {
		panic("inet: a new stack refuses its loopback device: " + err.String())
	}
	for proto, a := range map[tcpip.NetworkProtocolNumber]tcpip.AddressWithPrefix{
		ipv4.ProtocolNumber: {Address: tcpip.AddrFrom4([4]byte{127, 0, 0, 1}), PrefixLen: 8},
		ipv6.ProtocolNumber: {Address: tcpip.AddrFrom16([16]byte{15: 1}), PrefixLen: 128},
	} {
		s.AddProtocolAddress(LoopbackNIC, tcpip.ProtocolAddress{Protocol: proto, AddressWithPrefix: a}, stack.AddressProperties{})
	}
	st.SetRoutes(nil)
	return st
}

// SetRoutes replaces the routes beside those of loopback.
func (st *Stack) SetRoutes(routes []tcpip.Route) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.routes = routes
	st.setRoutesLocked()
}

// setRoutesLocked gives the stack its routes; a loopback device that is down
// has none.
func (st *Stack) setRoutesLocked() {
	all := st.routes
	if !st.loopbackDown {
		lo4 := tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4([4]byte{127}), PrefixLen: 8}.Subnet()
		lo6 := tcpip.AddressWithPrefix{Address: tcpip.AddrFrom16([16]byte{15: 1}), PrefixLen: 128}.Subnet()
		all = append([]tcpip.Route{{Destination: lo4, NIC: LoopbackNIC}, {Destination: lo6, NIC: LoopbackNIC}}, all...)
	}
	st.S.SetRouteTable(all)
}

// AddDevice adds a network device.
func (st *Stack) AddDevice(id tcpip.NICID, name string, ep stack.LinkEndpoint, addrs []tcpip.ProtocolAddress) error {
	if err := st.S.CreateNICWithOptions(id, ep, stack.NICOptions{Name: name}); err != nil {
		return toErrno(err)
	}
	for _, a := range addrs {
		if err := st.S.AddProtocolAddress(id, a, stack.AddressProperties{}); err != nil {
			return toErrno(err)
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.names[id] = name
	return nil
}

// DeviceName returns the name of a device index, or "".
func (st *Stack) DeviceName(id tcpip.NICID) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.names[id]
}

// DeviceIndex returns the index of a device name, or 0.
func (st *Stack) DeviceIndex(name string) tcpip.NICID {
	st.mu.Lock()
	defer st.mu.Unlock()
	for id, n := range st.names {
		if n == name {
			return id
		}
	}
	return 0
}

// Family is AF_INET or AF_INET6.
type Family struct{ V6 bool }

// Socket implements socket.Family.
func (f Family) Socket(ctx kctx.Ctx, ns socket.Namespace, typ, protocol int) (socket.Ops, error) {
	family, net, icmpProto := unix.AF_INET, ipv4.ProtocolNumber, tcpip.TransportProtocolNumber(icmp.ProtocolNumber4)
	wantICMP := unix.IPPROTO_ICMP
	if f.V6 {
		family, net, icmpProto, wantICMP = unix.AF_INET6, ipv6.ProtocolNumber, icmp.ProtocolNumber6, unix.IPPROTO_ICMPV6
	}
	if protocol < 0 || protocol > unix.IPPROTO_MPTCP {
		return nil, errno.EINVAL
	}
	var tp tcpip.TransportProtocolNumber
	switch typ {
	case unix.SOCK_STREAM:
		if protocol != 0 && protocol != unix.IPPROTO_TCP {
			return nil, errno.EPROTONOSUPPORT
		}
		protocol, tp = unix.IPPROTO_TCP, tcp.ProtocolNumber
	case unix.SOCK_DGRAM:
		switch protocol {
		case 0, unix.IPPROTO_UDP:
			protocol, tp = unix.IPPROTO_UDP, udp.ProtocolNumber
		case wantICMP:
			tp = icmpProto
		default:
			return nil, errno.EPROTONOSUPPORT
		}
	case unix.SOCK_RAW:
		if protocol < 0 || protocol > 255 {
			return nil, errno.EINVAL
		}
		if protocol == 0 {
			return nil, errno.EPROTONOSUPPORT
		}
		if !ctx.Creds().Capable(creds.CapNetRaw) {
			return nil, errno.EPERM
		}
		tp = tcpip.TransportProtocolNumber(protocol)
	default:
		return nil, errno.ESOCKTNOSUPPORT
	}
	st := StackOf(ns)
	q := &waiter.Queue{}
	var ep tcpip.Endpoint
	var terr tcpip.Error
	if typ == unix.SOCK_RAW {
		// Of IPPROTO_RAW nothing is received, and what is sent has its header (raw(7)).
		ep, terr = st.S.NewRawEndpoint(tp, net, q, tp != unix.IPPROTO_RAW)
		if _, ok := terr.(*tcpip.ErrUnknownProtocol); ok {
			return nil, errno.EPROTONOSUPPORT
		}
	} else {
		ep, terr = st.S.NewEndpoint(tp, net, q)
	}
	if terr != nil {
		return nil, toErrno(terr)
	}
	return newSocket(st, family, typ, protocol, ep, q), nil
}

// packetFamily is AF_PACKET, which only boot's own devices use.
type packetFamily struct{}

// Socket implements socket.Family.
func (packetFamily) Socket(ctx kctx.Ctx, ns socket.Namespace, typ, protocol int) (socket.Ops, error) {
	if !ctx.Creds().Capable(creds.CapNetRaw) {
		return nil, errno.EPERM
	}
	return nil, errno.EAFNOSUPPORT
}

// Register adds both families.
func Register() {
	socket.Register(unix.AF_PACKET, packetFamily{})
	socket.Register(unix.AF_INET, Family{})
	socket.Register(unix.AF_INET6, Family{V6: true})
}
