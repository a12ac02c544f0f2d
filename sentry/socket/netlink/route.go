package netlink

import (
	"bytes"
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/socket/inet"
)

const headerLen = 16 // struct nlmsghdr

var le = binary.LittleEndian

// message builds one netlink message.
type message struct{ b []byte }

func newMessage(typ uint16, flags uint16, seq, port uint32, fixed ...byte) *message {
	b := make([]byte, headerLen, 256)
	le.PutUint16(b[4:], typ)
	le.PutUint16(b[6:], flags)
	le.PutUint32(b[8:], seq)
	le.PutUint32(b[12:], port)
	m := &message{append(b, fixed...)}
	m.pad()
	return m
}

func (m *message) pad() {
	for len(m.b)%4 != 0 {
		m.b = append(m.b, 0)
	}
}

func (m *message) attr(typ uint16, data []byte) {
	m.b = le.AppendUint16(m.b, uint16(4+len(data)))
	m.b = le.AppendUint16(m.b, typ)
	m.b = append(m.b, data...)
	m.pad()
}

func (m *message) attr32(typ uint16, v uint32)  { m.attr(typ, le.AppendUint32(nil, v)) }
func (m *message) attrStr(typ uint16, s string) { m.attr(typ, append([]byte(s), 0)) }

func (m *message) done() []byte {
	le.PutUint32(m.b, uint32(len(m.b)))
	return m.b
}

// request is one parsed message.
type request struct {
	typ, flags uint16
	seq        uint32
	body       []byte
	raw        []byte
}

// attr returns an attribute behind n fixed bytes of the body, or nil.
func (r *request) attr(n int, typ uint16) []byte {
	if len(r.body) < n {
		return nil
	}
	b := r.body[n:]
	for len(b) >= 4 {
		l := int(le.Uint16(b))
		if l < 4 || l > len(b) {
			return nil
		}
		if le.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == typ {
			return b[4:l]
		}
		b = b[min((l+3)&^3, len(b)):]
	}
	return nil
}

func (r *request) family() byte {
	if len(r.body) == 0 {
		return 0
	}
	return r.body[0]
}

// answer handles every request in b and returns the packets to receive.
func answer(ctx kctx.Ctx, ns socket.Namespace, b []byte, port uint32) [][]byte {
	var out [][]byte
	for len(b) >= headerLen {
		l := int(le.Uint32(b))
		if l < headerLen || l > len(b) {
			break
		}
		r := request{typ: le.Uint16(b[4:]), flags: le.Uint16(b[6:]), seq: le.Uint32(b[8:]), body: b[headerLen:l], raw: b[:l]}
		b = b[min((l+3)&^3, len(b)):]
		if r.flags&unix.NLM_F_REQUEST == 0 || r.typ < unix.NLMSG_MIN_TYPE {
			continue
		}
		msgs, err := route(ctx, inet.StackOf(ns), &r, port)
		dump := r.flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
		switch {
		case err != nil:
			out = append(out, ack(&r, port, err))
		case dump:
			// One packet, the end marker in one of its own, as Linux does.
			var p []byte
			for _, m := range msgs {
				le.PutUint16(m[6:], le.Uint16(m[6:])|unix.NLM_F_MULTI)
				if len(p)+len(m) > 3600 {
					out = append(out, p)
					p = nil
				}
				p = append(p, m...)
			}
			if p != nil {
				out = append(out, p)
			}
			out = append(out, newMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI, r.seq, port, 0, 0, 0, 0).done())
		default:
			out = append(out, msgs...)
			if r.flags&unix.NLM_F_ACK != 0 || len(msgs) == 0 {
				out = append(out, ack(&r, port, nil))
			}
		}
	}
	return out
}

// ack is NLMSG_ERROR, with error 0 an acknowledgement.
func ack(r *request, port uint32, err error) []byte {
	var no int32
	if err != nil {
		e, _ := errno.Of(err)
		no = -int32(e)
	}
	m := newMessage(unix.NLMSG_ERROR, 0, r.seq, port, le.AppendUint32(nil, uint32(no))...)
	if err != nil {
		m.b = append(m.b, r.raw...)
	} else {
		m.b = append(m.b, r.raw[:headerLen]...)
	}
	m.pad()
	return m.done()
}

func route(ctx kctx.Ctx, st *inet.Stack, r *request, port uint32) ([][]byte, error) {
	dump := r.flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	switch r.typ {
	case unix.RTM_GETLINK:
		return links(st, r, port, dump)
	case unix.RTM_GETADDR:
		if !dump {
			return nil, errno.EOPNOTSUPP
		}
		return addrs(st, r, port), nil
	case unix.RTM_GETROUTE:
		return routes(st, r, port, dump)
	case unix.RTM_GETNEIGH, unix.RTM_GETRULE, unix.RTM_GETNEIGHTBL, unix.RTM_GETQDISC, unix.RTM_GETNSID, unix.RTM_GETADDRLABEL:
		if dump {
			return nil, nil
		}
		return nil, errno.EOPNOTSUPP
	}
	// Everything else changes something.
	if !ctx.Creds().Capable(creds.CapNetAdmin) {
		return nil, errno.EPERM
	}
	switch {
	case r.typ == unix.RTM_NEWLINK || r.typ == unix.RTM_SETLINK:
		return nil, setLink(st, r)
	case r.typ == unix.RTM_NEWADDR && loopbackAddress(r):
		return nil, nil
	}
	return nil, errno.EOPNOTSUPP
}

// setLink takes a device up or down (ip link set lo up).
func setLink(st *inet.Stack, r *request) error {
	if len(r.body) < 16 {
		return errno.EINVAL
	}
	// struct ifinfomsg: index, flags, and which flags to change.
	index, flags, change := le.Uint32(r.body[4:]), le.Uint32(r.body[8:]), le.Uint32(r.body[12:])
	if index == 0 {
		if a := r.attr(16, unix.IFLA_IFNAME); len(a) > 1 {
			index = uint32(st.DeviceIndex(string(a[:len(a)-1])))
		}
	}
	if st.DeviceName(tcpip.NICID(index)) == "" {
		return errno.ENODEV
	}
	if change == 0 {
		change = flags // as older tools leave it
	}
	if change&unix.IFF_UP == 0 {
		return errno.EOPNOTSUPP
	}
	return st.SetUp(tcpip.NICID(index), flags&unix.IFF_UP != 0)
}

// loopbackAddress says whether r asks for what is so already: the loopback
// device's own addresses. Tools that unshare a network namespace (bubblewrap)
// insist on adding them.
func loopbackAddress(r *request) bool {
	if len(r.body) < 8 || le.Uint32(r.body[4:]) != inet.LoopbackNIC {
		return false
	}
	for _, typ := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		if a := r.attr(8, typ); a != nil && !(len(a) == 4 && a[0] == 127) && !bytes.Equal(a, net.IPv6loopback) {
			return false
		}
	}
	return true
}

func links(st *inet.Stack, r *request, port uint32, dump bool) ([][]byte, error) {
	var out [][]byte
	var index uint32
	var name string
	if !dump {
		if len(r.body) < 16 {
			return nil, errno.EINVAL
		}
		index = le.Uint32(r.body[4:])
		if a := r.attr(16, unix.IFLA_IFNAME); len(a) > 0 {
			name = string(a[:len(a)-1])
		}
	}
	for _, d := range st.Devices() {
		if !dump && (index != 0 && d.Index != index || index == 0 && d.Name != name) {
			continue
		}
		typ := uint16(unix.ARPHRD_ETHER)
		if d.Loopback {
			typ = unix.ARPHRD_LOOPBACK
		}
		fixed := make([]byte, 16)
		le.PutUint16(fixed[2:], typ)
		le.PutUint32(fixed[4:], d.Index)
		le.PutUint32(fixed[8:], d.Flags)
		m := newMessage(unix.RTM_NEWLINK, 0, r.seq, port, fixed...)
		m.attrStr(unix.IFLA_IFNAME, d.Name)
		m.attr32(unix.IFLA_TXQLEN, 1000)
		oper := byte(6) // IF_OPER_UP
		if d.Loopback {
			oper = 0
		}
		m.attr(unix.IFLA_OPERSTATE, []byte{oper})
		m.attr(unix.IFLA_LINKMODE, []byte{0})
		m.attr32(unix.IFLA_MTU, d.MTU)
		m.attr32(unix.IFLA_GROUP, 0)
		m.attr32(unix.IFLA_PROMISCUITY, 0)
		m.attr32(unix.IFLA_NUM_TX_QUEUES, 1)
		m.attr32(unix.IFLA_NUM_RX_QUEUES, 1)
		m.attr(unix.IFLA_CARRIER, []byte{1})
		q := "noqueue"
		m.attrStr(unix.IFLA_QDISC, q)
		hw, bc := make([]byte, 6), []byte{0, 0, 0, 0, 0, 0}
		if !d.Loopback {
			copy(hw, d.HWAddr)
			bc = []byte{255, 255, 255, 255, 255, 255}
		}
		m.attr(unix.IFLA_ADDRESS, hw)
		m.attr(unix.IFLA_BROADCAST, bc)
		m.attr(unix.IFLA_STATS64, make([]byte, 25*8))
		m.attr(unix.IFLA_STATS, make([]byte, 25*4))
		out = append(out, m.done())
	}
	if !dump && len(out) == 0 {
		return nil, errno.ENODEV
	}
	return out, nil
}

func familyOf(a tcpip.Address) byte {
	if a.Len() == 4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func addrs(st *inet.Stack, r *request, port uint32) [][]byte {
	var out [][]byte
	for _, fam := range []byte{unix.AF_INET, unix.AF_INET6} {
		if f := r.family(); f != 0 && f != fam {
			continue
		}
		for _, d := range st.Devices() {
			for _, a := range d.Addrs {
				if familyOf(a.Address) != fam {
					continue
				}
				scope := byte(unix.RT_SCOPE_UNIVERSE)
				ip := a.Address.AsSlice()
				if d.Loopback {
					scope = unix.RT_SCOPE_HOST
				} else if fam == unix.AF_INET6 && ip[0] == 0xfe && ip[1]&0xc0 == 0x80 {
					scope = unix.RT_SCOPE_LINK
				}
				fixed := []byte{fam, byte(a.PrefixLen), unix.IFA_F_PERMANENT, scope}
				m := newMessage(unix.RTM_NEWADDR, 0, r.seq, port, le.AppendUint32(fixed, d.Index)...)
				m.attr(unix.IFA_ADDRESS, ip)
				if fam == unix.AF_INET {
					m.attr(unix.IFA_LOCAL, ip)
					if !d.Loopback {
						mask := ^uint32(0) >> a.PrefixLen
						m.attr(unix.IFA_BROADCAST, binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(ip)|mask))
					}
					m.attrStr(unix.IFA_LABEL, d.Name)
				}
				m.attr32(unix.IFA_FLAGS, unix.IFA_F_PERMANENT)
				forever := le.AppendUint32(le.AppendUint32(nil, 0xffffffff), 0xffffffff)
				m.attr(unix.IFA_CACHEINFO, append(forever, make([]byte, 8)...))
				out = append(out, m.done())
			}
		}
	}
	return out
}

// routes answers a dump, or a look-up of RTA_DST with the route to it.
func routes(st *inet.Stack, r *request, port uint32, dump bool) ([][]byte, error) {
	var want tcpip.Address
	if !dump {
		dst := r.attr(12, unix.RTA_DST)
		if len(dst) != 4 && len(dst) != 16 {
			return nil, errno.EINVAL
		}
		want = tcpip.AddrFromSlice(dst)
	}
	var out [][]byte
	for _, rt := range st.S.GetRouteTable() {
		a, bits := rt.Destination.ID(), rt.Destination.Prefix()
		fam := familyOf(a)
		if f := r.family(); f != 0 && f != fam {
			continue
		}
		if !dump && (a.Len() != want.Len() || !rt.Destination.Contains(want)) {
			continue
		}
		if dump && rt.NIC == inet.LoopbackNIC {
			continue // in table local on Linux, which a dump of main leaves out
		}
		table, typ, scope := byte(unix.RT_TABLE_MAIN), byte(unix.RTN_UNICAST), byte(unix.RT_SCOPE_LINK)
		if rt.NIC == inet.LoopbackNIC {
			table, typ, scope = unix.RT_TABLE_LOCAL, unix.RTN_LOCAL, unix.RT_SCOPE_HOST
		}
		if rt.Gateway.Len() > 0 {
			scope = unix.RT_SCOPE_UNIVERSE
		}
		if !dump {
			a, bits = want, 8*want.Len()
		}
		fixed := []byte{fam, byte(bits), 0, 0, table, unix.RTPROT_KERNEL, scope, typ, 0, 0, 0, 0}
		m := newMessage(unix.RTM_NEWROUTE, 0, r.seq, port, fixed...)
		m.attr32(unix.RTA_TABLE, uint32(table))
		if bits > 0 {
			m.attr(unix.RTA_DST, a.AsSlice())
		}
		if rt.Gateway.Len() > 0 {
			m.attr(unix.RTA_GATEWAY, rt.Gateway.AsSlice())
		}
		m.attr32(unix.RTA_OIF, uint32(rt.NIC))
		if src := source(st, uint32(rt.NIC), fam); src != nil {
			m.attr(unix.RTA_PREFSRC, src)
		}
		out = append(out, m.done())
		if !dump {
			return out, nil
		}
	}
	if !dump {
		return nil, errno.ENETUNREACH
	}
	return out, nil
}

func source(st *inet.Stack, index uint32, fam byte) []byte {
	for _, d := range st.Devices() {
		if d.Index != index {
			continue
		}
		for _, a := range d.Addrs {
			if familyOf(a.Address) == fam {
				return a.Address.AsSlice()
			}
		}
	}
	return nil
}
