package inet

import (
	"bytes"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/klog"
)

func intOf(val []byte) (int, error) {
	if len(val) < 4 {
		return 0, errno.EINVAL
	}
	return int(int32(binary.LittleEndian.Uint32(val))), nil
}

func boolBytes(b bool) []byte {
	if b {
		return le32(1)
	}
	return le32(0)
}

func timevalOf(val []byte) (time.Duration, error) {
	if len(val) < 16 {
		return 0, errno.EINVAL
	}
	sec, usec := int64(binary.LittleEndian.Uint64(val)), int64(binary.LittleEndian.Uint64(val[8:]))
	if usec < 0 || usec >= 1e6 {
		return 0, errno.EDOM
	}
	if sec < 0 {
		return 1, nil // Linux: an expired timeout
	}
	if sec > 1<<32 {
		return 0, nil
	}
	return time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond, nil
}

func timevalBytes(d int64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(d/1e9))
	return binary.LittleEndian.AppendUint64(b, uint64(d%1e9/1e3))
}

// SetOpt implements socket.Ops.
func (s *Socket) SetOpt(ctx kctx.Ctx, level, name int, val []byte) error {
	switch level {
	case unix.SOL_SOCKET:
		return s.setSocketOpt(ctx, name, val)
	case unix.SOL_TCP:
		if s.protocol != unix.IPPROTO_TCP {
			return errno.ENOPROTOOPT
		}
		return s.setTCPOpt(name, val)
	case unix.SOL_IP:
		return s.setIPOpt(ctx, name, val)
	case unix.SOL_IPV6:
		if s.family != unix.AF_INET6 {
			return errno.ENOPROTOOPT
		}
		return s.setIPv6Opt(name, val)
	case unix.SOL_RAW, unix.SOL_ICMPV6:
		if s.typ != unix.SOCK_RAW {
			return errno.ENOPROTOOPT
		}
		klog.Stub("setsockopt: ICMP filter ignored")
		return nil
	}
	return errno.ENOPROTOOPT
}

func (s *Socket) setSocketOpt(ctx kctx.Ctx, name int, val []byte) error {
	so := s.ep().SocketOptions()
	switch name {
	case unix.SO_RCVTIMEO, unix.SO_SNDTIMEO:
		d, err := timevalOf(val)
		if err != nil {
			return err
		}
		if name == unix.SO_RCVTIMEO {
			s.recvTimeo.Store(int64(d))
		} else {
			s.sendTimeo.Store(int64(d))
		}
		return nil
	case unix.SO_LINGER:
		if len(val) < 8 {
			return errno.EINVAL
		}
		so.SetLinger(tcpip.LingerOption{Enabled: binary.LittleEndian.Uint32(val) != 0,
			Timeout: time.Duration(binary.LittleEndian.Uint32(val[4:])) * time.Second})
		return nil
	case unix.SO_BINDTODEVICE:
		n, _, _ := bytes.Cut(val, []byte{0})
		if len(n) == 0 {
			return toErrno(so.SetBindToDevice(0))
		}
		id := s.st.DeviceIndex(string(n))
		if id == 0 {
			return errno.ENODEV
		}
		return toErrno(so.SetBindToDevice(int32(id)))
	case unix.SO_ATTACH_FILTER:
		klog.Stub("setsockopt: SO_ATTACH_FILTER ignored")
		return nil
	case unix.SO_DETACH_FILTER:
		return errno.ENOENT
	}
	v, err := intOf(val)
	if err != nil {
		return err
	}
	on := v != 0
	switch name {
	case unix.SO_REUSEADDR:
		so.SetReuseAddress(on)
	case unix.SO_REUSEPORT:
		so.SetReusePort(on)
	case unix.SO_KEEPALIVE:
		so.SetKeepAlive(on)
	case unix.SO_BROADCAST:
		so.SetBroadcast(on)
	case unix.SO_NO_CHECK:
		so.SetNoChecksum(on)
	case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
		if name == unix.SO_SNDBUFFORCE && !ctx.Creds().Capable(creds.CapNetAdmin) {
			return errno.EPERM
		}
		// Linux doubles the value for its bookkeeping and shows it doubled.
		so.SetSendBufferSize(int64(min(max(v, 2304), 212992))*2, true)
	case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE:
		if name == unix.SO_RCVBUFFORCE && !ctx.Creds().Capable(creds.CapNetAdmin) {
			return errno.EPERM
		}
		so.SetReceiveBufferSize(int64(min(max(v, 1152), 212992))*2, true)
	case unix.SO_RCVLOWAT:
		s.rcvlowat.Store(int32(max(v, 1)))
		return toErrno(so.SetRcvlowat(int32(max(v, 1))))
	case unix.SO_TIMESTAMP:
		s.timestamps.Store(on)
	case unix.SO_MARK:
		if !ctx.Creds().Capable(creds.CapNetAdmin) {
			return errno.EPERM
		}
		so.SetMark(uint32(v))
	case unix.SO_OOBINLINE:
		s.oobinline.Store(on)
	case unix.SO_PRIORITY, unix.SO_DEBUG, unix.SO_DONTROUTE, unix.SO_BUSY_POLL, unix.SO_PASSCRED,
		unix.SO_TIMESTAMPNS, unix.SO_TIMESTAMPING, unix.SO_INCOMING_CPU, unix.SO_MAX_PACING_RATE, unix.SO_ZEROCOPY, unix.SO_RXQ_OVFL:
		klog.Stub("setsockopt: a SOL_SOCKET option without effect here")
	case unix.SO_TYPE, unix.SO_PROTOCOL, unix.SO_DOMAIN, unix.SO_ERROR, unix.SO_SNDLOWAT, unix.SO_ACCEPTCONN:
		return errno.ENOPROTOOPT
	default:
		return errno.ENOPROTOOPT
	}
	return nil
}

func (s *Socket) setTCPOpt(name int, val []byte) error {
	so := s.ep().SocketOptions()
	if name == unix.TCP_CONGESTION {
		n, _, _ := bytes.Cut(val, []byte{0})
		o := tcpip.CongestionControlOption(n)
		if toErrno(s.ep().SetSockOpt(&o)) != nil {
			return errno.ENOENT
		}
		return nil
	}
	v, err := intOf(val)
	if err != nil {
		return err
	}
	seconds := func(max int) (time.Duration, error) {
		if v < 1 || v > max {
			return 0, errno.EINVAL
		}
		return time.Duration(v) * time.Second, nil
	}
	switch name {
	case unix.TCP_NODELAY:
		s.nodelay.Store(v != 0)
	case unix.TCP_CORK:
		so.SetCorkOption(v != 0)
	case unix.TCP_QUICKACK:
		so.SetQuickAck(v != 0)
	case unix.TCP_MAXSEG:
		if v != 0 && (v < 88 || v > 32767) {
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.MaxSegOption, v))
	case unix.TCP_KEEPIDLE:
		d, err := seconds(32767)
		if err != nil {
			return err
		}
		o := tcpip.KeepaliveIdleOption(d)
		return toErrno(s.ep().SetSockOpt(&o))
	case unix.TCP_KEEPINTVL:
		d, err := seconds(32767)
		if err != nil {
			return err
		}
		o := tcpip.KeepaliveIntervalOption(d)
		return toErrno(s.ep().SetSockOpt(&o))
	case unix.TCP_KEEPCNT:
		if v < 1 || v > 127 {
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.KeepaliveCountOption, v))
	case unix.TCP_USER_TIMEOUT:
		if v < 0 {
			return errno.EINVAL
		}
		o := tcpip.TCPUserTimeoutOption(time.Duration(v) * time.Millisecond)
		return toErrno(s.ep().SetSockOpt(&o))
	case unix.TCP_DEFER_ACCEPT:
		o := tcpip.TCPDeferAcceptOption(time.Duration(max(v, 0)) * time.Second)
		return toErrno(s.ep().SetSockOpt(&o))
	case unix.TCP_SYNCNT:
		if v < 1 || v > 127 {
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.TCPSynCountOption, v))
	case unix.TCP_LINGER2:
		o := tcpip.TCPLingerTimeoutOption(time.Duration(v) * time.Second)
		return toErrno(s.ep().SetSockOpt(&o))
	case unix.TCP_WINDOW_CLAMP:
		return toErrno(s.ep().SetSockOptInt(tcpip.TCPWindowClampOption, v))
	case unix.TCP_FASTOPEN, unix.TCP_NOTSENT_LOWAT, unix.TCP_THIN_LINEAR_TIMEOUTS, unix.TCP_FASTOPEN_CONNECT:
		klog.Stub("setsockopt: a SOL_TCP option without effect here")
	default:
		return errno.ENOPROTOOPT
	}
	return nil
}

// byteOrInt reads an option that may be given as a char or an int.
func byteOrInt(val []byte) (int, error) {
	switch {
	case len(val) >= 4:
		return intOf(val)
	case len(val) >= 1:
		return int(val[0]), nil
	}
	return 0, errno.EINVAL
}

func (s *Socket) setIPOpt(ctx kctx.Ctx, name int, val []byte) error {
	so := s.ep().SocketOptions()
	switch name {
	case unix.IP_ADD_MEMBERSHIP, unix.IP_DROP_MEMBERSHIP:
		if len(val) < 8 {
			return errno.EINVAL
		}
		m := tcpip.MembershipOption{MulticastAddr: tcpip.AddrFrom4([4]byte(val[:4]))}
		if a := [4]byte(val[4:8]); a != [4]byte{} {
			m.InterfaceAddr = tcpip.AddrFrom4(a)
		}
		if len(val) >= 12 {
			m.NIC = tcpip.NICID(binary.LittleEndian.Uint32(val[8:]))
		}
		if name == unix.IP_ADD_MEMBERSHIP {
			o := tcpip.AddMembershipOption(m)
			return toErrno(s.ep().SetSockOpt(&o))
		}
		o := tcpip.RemoveMembershipOption(m)
		return toErrno(s.ep().SetSockOpt(&o))
	case unix.IP_MULTICAST_IF:
		o := tcpip.MulticastInterfaceOption{}
		switch {
		case len(val) >= 12:
			o.NIC = tcpip.NICID(binary.LittleEndian.Uint32(val[8:]))
			if a := [4]byte(val[4:8]); a != [4]byte{} {
				o.InterfaceAddr = tcpip.AddrFrom4(a)
			}
		case len(val) >= 4:
			if a := [4]byte(val[:4]); a != [4]byte{} {
				o.InterfaceAddr = tcpip.AddrFrom4(a)
			}
		default:
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOpt(&o))
	}
	v, err := byteOrInt(val)
	if err != nil {
		return err
	}
	on := v != 0
	switch name {
	case unix.IP_TOS:
		return toErrno(s.ep().SetSockOptInt(tcpip.IPv4TOSOption, v&0xff))
	case unix.IP_TTL:
		if v == -1 {
			v = tcpip.UseDefaultIPv4TTL
		} else if v < 1 || v > 255 {
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.IPv4TTLOption, v))
	case unix.IP_MULTICAST_TTL:
		if v == -1 {
			v = 1
		} else if v < 0 || v > 255 {
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.MulticastTTLOption, v))
	case unix.IP_MULTICAST_LOOP:
		so.SetMulticastLoop(on)
	case unix.IP_RECVTOS:
		so.SetReceiveTOS(on)
	case unix.IP_RECVTTL:
		so.SetReceiveTTL(on)
	case unix.IP_PKTINFO:
		so.SetReceivePacketInfo(on)
	case unix.IP_HDRINCL:
		if s.typ != unix.SOCK_RAW {
			return errno.ENOPROTOOPT
		}
		so.SetHeaderIncluded(on)
	case unix.IP_RECVERR:
		so.SetIPv4RecvError(on)
	case unix.IP_RECVORIGDSTADDR:
		so.SetReceiveOriginalDstAddress(on)
	case unix.IP_MTU_DISCOVER:
		return toErrno(s.ep().SetSockOptInt(tcpip.MTUDiscoverOption, mtuDiscover(v)))
	case unix.IP_BIND_ADDRESS_NO_PORT, unix.IP_FREEBIND, unix.IP_MULTICAST_ALL, unix.IP_RETOPTS, unix.IP_RECVOPTS:
		klog.Stub("setsockopt: a SOL_IP option without effect here")
	default:
		return errno.ENOPROTOOPT
	}
	return nil
}

// mtuDiscover maps IP_PMTUDISC_* (DONT 0, WANT 1, DO 2, PROBE 3) to the
// library's order.
func mtuDiscover(v int) int {
	switch v {
	case 0:
		return int(tcpip.PMTUDiscoveryDont)
	case 2:
		return int(tcpip.PMTUDiscoveryDo)
	case 3:
		return int(tcpip.PMTUDiscoveryProbe)
	}
	return int(tcpip.PMTUDiscoveryWant)
}

func (s *Socket) setIPv6Opt(name int, val []byte) error {
	so := s.ep().SocketOptions()
	switch name {
	case unix.IPV6_JOIN_GROUP, unix.IPV6_LEAVE_GROUP:
		if len(val) < 20 {
			return errno.EINVAL
		}
		m := tcpip.MembershipOption{MulticastAddr: tcpip.AddrFrom16([16]byte(val[:16])), NIC: tcpip.NICID(binary.LittleEndian.Uint32(val[16:]))}
		if name == unix.IPV6_JOIN_GROUP {
			o := tcpip.AddMembershipOption(m)
			return toErrno(s.ep().SetSockOpt(&o))
		}
		o := tcpip.RemoveMembershipOption(m)
		return toErrno(s.ep().SetSockOpt(&o))
	}
	v, err := intOf(val)
	if err != nil {
		return err
	}
	on := v != 0
	switch name {
	case unix.IPV6_V6ONLY:
		if a, terr := s.ep().GetLocalAddress(); terr == nil && a.Port != 0 {
			return errno.EINVAL
		}
		so.SetV6Only(on)
	case unix.IPV6_TCLASS:
		if v < -1 || v > 255 {
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.IPv6TrafficClassOption, max(v, 0)))
	case unix.IPV6_UNICAST_HOPS:
		if v < -1 || v > 255 {
			return errno.EINVAL
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.IPv6HopLimitOption, v))
	case unix.IPV6_MULTICAST_HOPS:
		if v < -1 || v > 255 {
			return errno.EINVAL
		}
		if v < 0 {
			v = 1
		}
		return toErrno(s.ep().SetSockOptInt(tcpip.MulticastTTLOption, v))
	case unix.IPV6_MULTICAST_LOOP:
		so.SetMulticastLoop(on)
	case unix.IPV6_MULTICAST_IF:
		return toErrno(s.ep().SetSockOpt(&tcpip.MulticastInterfaceOption{NIC: tcpip.NICID(v)}))
	case unix.IPV6_RECVTCLASS:
		so.SetReceiveTClass(on)
	case unix.IPV6_RECVHOPLIMIT:
		so.SetReceiveHopLimit(on)
	case unix.IPV6_RECVPKTINFO:
		so.SetIPv6ReceivePacketInfo(on)
	case unix.IPV6_RECVERR:
		so.SetIPv6RecvError(on)
	case unix.IPV6_CHECKSUM:
		return toErrno(s.ep().SetSockOptInt(tcpip.IPv6Checksum, v))
	case unix.IPV6_MTU_DISCOVER, unix.IPV6_DONTFRAG, unix.IPV6_RECVRTHDR, unix.IPV6_AUTOFLOWLABEL, unix.IPV6_FREEBIND, unix.IPV6_MTU:
		klog.Stub("setsockopt: a SOL_IPV6 option without effect here")
	default:
		return errno.ENOPROTOOPT
	}
	return nil
}

// GetOpt implements socket.Ops.
func (s *Socket) GetOpt(ctx kctx.Ctx, level, name, max int) ([]byte, error) {
	var b []byte
	var err error
	switch level {
	case unix.SOL_SOCKET:
		b, err = s.getSocketOpt(name)
	case unix.SOL_TCP:
		if s.protocol != unix.IPPROTO_TCP {
			return nil, errno.EOPNOTSUPP
		}
		b, err = s.getTCPOpt(name)
	case unix.SOL_IP:
		b, err = s.getIPOpt(name)
		if err == nil && len(b) == 4 && max > 0 && max < 4 {
			b = b[:1]
		}
	case unix.SOL_IPV6:
		if s.family != unix.AF_INET6 {
			return nil, errno.EOPNOTSUPP
		}
		b, err = s.getIPv6Opt(name)
	default:
		return nil, errno.EOPNOTSUPP
	}
	if err != nil {
		return nil, err
	}
	return b[:min(len(b), max)], nil
}

func (s *Socket) getSocketOpt(name int) ([]byte, error) {
	so := s.ep().SocketOptions()
	switch name {
	case unix.SO_TYPE:
		return le32(uint32(s.typ)), nil
	case unix.SO_DOMAIN:
		return le32(uint32(s.family)), nil
	case unix.SO_PROTOCOL:
		return le32(uint32(s.protocol)), nil
	case unix.SO_ERROR:
		if s.cut.Swap(false) {
			return le32(uint32(unix.ECONNRESET)), nil
		}
		if e := s.ep().LastError(); e != nil {
			s.connecting.Store(false)
			if s.stream() && tcpState(s.ep().State()) == stateError && s.errorSeen.Swap(true) {
				return le32(0), nil // the library repeats itself
			}
			no, _ := errno.Of(toErrno(e))
			return le32(uint32(no)), nil
		}
		if s.connecting.Load() && tcpState(s.ep().State()) == stateEstablished {
			s.connecting.Store(false)
		}
		return le32(0), nil
	case unix.SO_ACCEPTCONN:
		return boolBytes(s.stream() && tcpState(s.ep().State()) == stateListen), nil
	case unix.SO_REUSEADDR:
		return boolBytes(so.GetReuseAddress()), nil
	case unix.SO_REUSEPORT:
		return boolBytes(so.GetReusePort()), nil
	case unix.SO_KEEPALIVE:
		return boolBytes(so.GetKeepAlive()), nil
	case unix.SO_BROADCAST:
		return boolBytes(so.GetBroadcast()), nil
	case unix.SO_NO_CHECK:
		return boolBytes(so.GetNoChecksum()), nil
	case unix.SO_SNDBUF:
		return le32(uint32(so.GetSendBufferSize())), nil
	case unix.SO_RCVBUF:
		return le32(uint32(so.GetReceiveBufferSize())), nil
	case unix.SO_RCVLOWAT:
		return le32(uint32(max(s.rcvlowat.Load(), 1))), nil
	case unix.SO_SNDLOWAT:
		return le32(1), nil
	case unix.SO_LINGER:
		l := so.GetLinger()
		return append(boolBytes(l.Enabled), le32(uint32(l.Timeout/time.Second))...), nil
	case unix.SO_RCVTIMEO:
		return timevalBytes(s.recvTimeo.Load()), nil
	case unix.SO_SNDTIMEO:
		return timevalBytes(s.sendTimeo.Load()), nil
	case unix.SO_TIMESTAMP:
		return boolBytes(s.timestamps.Load()), nil
	case unix.SO_MARK:
		return le32(so.GetMark()), nil
	case unix.SO_BINDTODEVICE:
		if n := s.st.DeviceName(tcpip.NICID(so.GetBindToDevice())); n != "" {
			return append([]byte(n), 0), nil
		}
		return nil, nil
	case unix.SO_OOBINLINE:
		return boolBytes(s.oobinline.Load()), nil
	case unix.SO_PRIORITY, unix.SO_DEBUG, unix.SO_DONTROUTE, unix.SO_BUSY_POLL, unix.SO_PASSCRED,
		unix.SO_TIMESTAMPNS, unix.SO_TIMESTAMPING, unix.SO_INCOMING_CPU, unix.SO_RXQ_OVFL, unix.SO_ZEROCOPY:
		return le32(0), nil
	case unix.SO_COOKIE:
		return nil, errno.ENOPROTOOPT
	case unix.SO_PEERCRED:
		return append(le32(0), append(le32(0xffffffff), le32(0xffffffff)...)...), nil
	}
	return nil, errno.ENOPROTOOPT
}

func (s *Socket) intOpt(o tcpip.SockOptInt) ([]byte, error) {
	v, terr := s.ep().GetSockOptInt(o)
	if terr != nil {
		return nil, toErrno(terr)
	}
	return le32(uint32(v)), nil
}

func (s *Socket) getTCPOpt(name int) ([]byte, error) {
	so := s.ep().SocketOptions()
	switch name {
	case unix.TCP_NODELAY:
		return boolBytes(s.nodelay.Load()), nil
	case unix.TCP_CORK:
		return boolBytes(so.GetCorkOption()), nil
	case unix.TCP_QUICKACK:
		return boolBytes(so.GetQuickAck()), nil
	case unix.TCP_MAXSEG:
		return s.intOpt(tcpip.MaxSegOption)
	case unix.TCP_KEEPCNT:
		return s.intOpt(tcpip.KeepaliveCountOption)
	case unix.TCP_SYNCNT:
		return s.intOpt(tcpip.TCPSynCountOption)
	case unix.TCP_WINDOW_CLAMP:
		return s.intOpt(tcpip.TCPWindowClampOption)
	case unix.TCP_KEEPIDLE:
		var o tcpip.KeepaliveIdleOption
		err := toErrno(s.ep().GetSockOpt(&o))
		return le32(uint32(time.Duration(o) / time.Second)), err
	case unix.TCP_KEEPINTVL:
		var o tcpip.KeepaliveIntervalOption
		err := toErrno(s.ep().GetSockOpt(&o))
		return le32(uint32(time.Duration(o) / time.Second)), err
	case unix.TCP_USER_TIMEOUT:
		var o tcpip.TCPUserTimeoutOption
		err := toErrno(s.ep().GetSockOpt(&o))
		return le32(uint32(time.Duration(o) / time.Millisecond)), err
	case unix.TCP_DEFER_ACCEPT:
		var o tcpip.TCPDeferAcceptOption
		err := toErrno(s.ep().GetSockOpt(&o))
		return le32(uint32(time.Duration(o) / time.Second)), err
	case unix.TCP_LINGER2:
		var o tcpip.TCPLingerTimeoutOption
		err := toErrno(s.ep().GetSockOpt(&o))
		return le32(uint32(time.Duration(o) / time.Second)), err
	case unix.TCP_CONGESTION:
		var o tcpip.CongestionControlOption
		err := toErrno(s.ep().GetSockOpt(&o))
		b := make([]byte, 16)
		copy(b, o)
		return b, err
	case unix.TCP_INFO:
		var o tcpip.TCPInfoOption
		if err := toErrno(s.ep().GetSockOpt(&o)); err != nil {
			return nil, err
		}
		// struct tcp_info (include/uapi/linux/tcp.h): what the stack knows.
		b := make([]byte, 240)
		b[0] = linuxState(s.ep().State())
		binary.LittleEndian.PutUint32(b[8:], uint32(o.RTO/time.Microsecond))
		binary.LittleEndian.PutUint32(b[68:], uint32(o.RTT/time.Microsecond))
		binary.LittleEndian.PutUint32(b[72:], uint32(o.RTTVar/time.Microsecond))
		binary.LittleEndian.PutUint32(b[76:], o.SndSsthresh)
		binary.LittleEndian.PutUint32(b[80:], o.SndCwnd)
		return b, nil
	case unix.TCP_FASTOPEN, unix.TCP_NOTSENT_LOWAT, unix.TCP_FASTOPEN_CONNECT:
		return le32(0), nil
	}
	return nil, errno.ENOPROTOOPT
}

func (s *Socket) getIPOpt(name int) ([]byte, error) {
	so := s.ep().SocketOptions()
	switch name {
	case unix.IP_TOS:
		return s.intOpt(tcpip.IPv4TOSOption)
	case unix.IP_TTL:
		b, err := s.intOpt(tcpip.IPv4TTLOption)
		if err == nil && b[0] == 0 {
			b[0] = 64
		}
		return b, err
	case unix.IP_MULTICAST_TTL:
		return s.intOpt(tcpip.MulticastTTLOption)
	case unix.IP_MULTICAST_LOOP:
		return boolBytes(so.GetMulticastLoop()), nil
	case unix.IP_RECVTOS:
		return boolBytes(so.GetReceiveTOS()), nil
	case unix.IP_RECVTTL:
		return boolBytes(so.GetReceiveTTL()), nil
	case unix.IP_PKTINFO:
		return boolBytes(so.GetReceivePacketInfo()), nil
	case unix.IP_HDRINCL:
		return boolBytes(so.GetHeaderIncluded()), nil
	case unix.IP_RECVERR:
		return boolBytes(so.GetIPv4RecvError()), nil
	case unix.IP_MTU_DISCOVER:
		v, terr := s.ep().GetSockOptInt(tcpip.MTUDiscoverOption)
		if terr != nil {
			return nil, toErrno(terr)
		}
		for n := range 4 {
			if mtuDiscover(n) == v {
				return le32(uint32(n)), nil
			}
		}
		return le32(1), nil
	case unix.IP_BIND_ADDRESS_NO_PORT, unix.IP_FREEBIND:
		return le32(0), nil
	}
	return nil, errno.ENOPROTOOPT
}

func (s *Socket) getIPv6Opt(name int) ([]byte, error) {
	so := s.ep().SocketOptions()
	switch name {
	case unix.IPV6_V6ONLY:
		return boolBytes(so.GetV6Only()), nil
	case unix.IPV6_TCLASS:
		return s.intOpt(tcpip.IPv6TrafficClassOption)
	case unix.IPV6_UNICAST_HOPS:
		v, terr := s.ep().GetSockOptInt(tcpip.IPv6HopLimitOption)
		if terr == nil && v == tcpip.UseDefaultIPv6HopLimit {
			v = 64
		}
		return le32(uint32(v)), toErrno(terr)
	case unix.IPV6_MULTICAST_HOPS:
		return s.intOpt(tcpip.MulticastTTLOption)
	case unix.IPV6_MULTICAST_LOOP:
		return boolBytes(so.GetMulticastLoop()), nil
	case unix.IPV6_RECVTCLASS:
		return boolBytes(so.GetReceiveTClass()), nil
	case unix.IPV6_RECVHOPLIMIT:
		return boolBytes(so.GetReceiveHopLimit()), nil
	case unix.IPV6_RECVPKTINFO:
		return boolBytes(so.GetIPv6ReceivePacketInfo()), nil
	case unix.IPV6_RECVERR:
		return boolBytes(so.GetIPv6RecvError()), nil
	case unix.IPV6_MTU_DISCOVER, unix.IPV6_DONTFRAG, unix.IPV6_FREEBIND:
		return le32(0), nil
	}
	return nil, errno.ENOPROTOOPT
}
