package boot

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/socket/inet"
)

// network gives the sandbox's TCP/IP stack the interfaces runsc took over.
func (s *server) network(args json.RawMessage, fds []int) (any, error) {
	var n Network
	if err := json.Unmarshal(args, &n); err != nil {
		closeAll(fds)
		return nil, fmt.Errorf("parsing the network: %w", err)
	}
	st := inet.StackOf(s.k.RootNet())
	up := make(map[int]bool)
	for _, l := range n.Links {
		if l.Loopback || l.FD < 0 || l.FD >= len(fds) {
			continue
		}
		// Number 1 is the loopback device here as everywhere.
		id := tcpip.NICID(l.Index)
		if l.Index == int(inet.LoopbackNIC) {
			return nil, fmt.Errorf("interface %s has the number of the loopback device", l.Name)
		}
		ep := ethernet.New(&packetLink{fd: fds[l.FD], mtu: uint32(l.MTU + header.EthernetMinimumSize), addr: tcpip.LinkAddress(l.MAC)})
		var addrs []tcpip.ProtocolAddress
		for _, a := range l.Addrs {
			if a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() {
				continue // the stack makes its own
			}
			addrs = append(addrs, tcpip.ProtocolAddress{Protocol: protocolOf(a.Addr()),
				AddressWithPrefix: tcpip.AddressWithPrefix{Address: toAddress(a.Addr()), PrefixLen: a.Bits()}})
		}
		if err := st.AddDevice(id, l.Name, ep, addrs); err != nil {
			return nil, fmt.Errorf("adding interface %s: %s", l.Name, errText(err))
		}
		up[l.Index] = true
	}
	var routes []tcpip.Route
	for _, r := range n.Routes {
		if !up[r.Link] {
			continue
		}
		route := tcpip.Route{NIC: tcpip.NICID(r.Link), Destination: tcpip.AddressWithPrefix{
			Address: toAddress(r.Dst.Addr()), PrefixLen: r.Dst.Bits()}.Subnet()}
		if r.Gateway.IsValid() {
			route.Gateway = toAddress(r.Gateway)
		}
		if r.Src.IsValid() {
			route.SourceHint = toAddress(r.Src)
		}
		routes = append(routes, route)
	}
	st.SetRoutes(routes)
	if n.DNS >= 0 && n.DNS < len(fds) {
		return nil, startDNS(st.S, inet.LoopbackNIC, fds[n.DNS])
	}
	return nil, nil
}

func toAddress(a netip.Addr) tcpip.Address { return tcpip.AddrFromSlice(a.Unmap().AsSlice()) }

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Unmap().Is4() {
		return ipv4.ProtocolNumber
	}
	return ipv6.ProtocolNumber
}

// maxFrame is the largest a host interface hands over: segments that its
// offloading joined come as one.
const maxFrame = 65535 + header.EthernetMinimumSize

// packetLink is a network device on a packet socket (packet(7)). Whole Ethernet
// frames go either way.
type packetLink struct {
	fd   int
	addr tcpip.LinkAddress

	mu         sync.RWMutex
	mtu        uint32
	dispatcher stack.NetworkDispatcher
	onClose    func()
	done       sync.WaitGroup
}

// MTU implements stack.LinkEndpoint.
func (l *packetLink) MTU() uint32 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.mtu
}

// SetMTU implements stack.LinkEndpoint.
func (l *packetLink) SetMTU(mtu uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mtu = mtu
}

// MaxHeaderLength implements stack.LinkEndpoint.
func (l *packetLink) MaxHeaderLength() uint16 { return 0 }

// LinkAddress implements stack.LinkEndpoint.
func (l *packetLink) LinkAddress() tcpip.LinkAddress {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.addr
}

// SetLinkAddress implements stack.LinkEndpoint.
func (l *packetLink) SetLinkAddress(a tcpip.LinkAddress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.addr = a
}

// Capabilities implements stack.LinkEndpoint. Frames from the same host come
// with checksums that nobody has computed yet, so they are not checked.
func (l *packetLink) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}

// Attach implements stack.LinkEndpoint.
func (l *packetLink) Attach(d stack.NetworkDispatcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.dispatcher == nil && d != nil
	l.dispatcher = d
	if first {
		l.done.Add(1)
		go l.receive()
	}
}

// IsAttached implements stack.LinkEndpoint.
func (l *packetLink) IsAttached() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.dispatcher != nil
}

// Wait implements stack.LinkEndpoint.
func (l *packetLink) Wait() { l.done.Wait() }

// ARPHardwareType implements stack.LinkEndpoint.
func (l *packetLink) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareEther }

// AddHeader implements stack.LinkEndpoint; package ethernet does it.
func (l *packetLink) AddHeader(*stack.PacketBuffer) {}

// ParseHeader implements stack.LinkEndpoint; package ethernet does it.
func (l *packetLink) ParseHeader(*stack.PacketBuffer) bool { return true }

// Close implements stack.LinkEndpoint.
func (l *packetLink) Close() {
	l.mu.Lock()
	f := l.onClose
	l.mu.Unlock()
	unix.Close(l.fd)
	if f != nil {
		f()
	}
}

// SetOnCloseAction implements stack.LinkEndpoint.
func (l *packetLink) SetOnCloseAction(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onClose = f
}

// WritePackets implements stack.LinkEndpoint. What the interface cannot take
// is lost, as on any wire.
func (l *packetLink) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	var frame []byte
	for _, p := range list.AsSlice() {
		frame = frame[:0]
		for _, v := range p.AsSlices() {
			frame = append(frame, v...)
		}
		_, err := unix.Write(l.fd, frame)
		for err == unix.EINTR {
			_, err = unix.Write(l.fd, frame)
		}
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, &tcpip.ErrNoBufferSpace{}
		}
		n++
	}
	return n, nil
}

// receive hands frames to the stack until the socket is closed.
func (l *packetLink) receive() {
	defer l.done.Done()
	buf := make([]byte, maxFrame)
	pfd := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Read(l.fd, buf)
		switch err {
		case nil:
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			if _, err := unix.Ppoll(pfd, nil, nil); err != nil && err != unix.EINTR {
				klog.Errorf("waiting for packets: %v", err)
				return
			}
			continue
		case unix.ENETDOWN:
			unix.Ppoll(nil, &unix.Timespec{Nsec: 10e6}, nil)
			continue
		default:
			klog.Infof("reading packets: %v", err)
			return
		}
		l.mu.RLock()
		d := l.dispatcher
		l.mu.RUnlock()
		if d == nil {
			return
		}
		p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(append([]byte(nil), buf[:n]...))})
		d.DeliverNetworkPacket(0, p)
		p.DecRef()
	}
}
