package inet

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"

	"redoubt.dev/redoubt/sentry/errno"
)

// parseAddr reads a struct sockaddr_in or sockaddr_in6 for a socket of family.
func (s *Socket) parseAddr(b []byte, strict bool) (tcpip.FullAddress, error) {
	var a tcpip.FullAddress
	if len(b) < 2 {
		return a, errno.EINVAL
	}
	switch fam := int(binary.LittleEndian.Uint16(b)); {
	case fam == unix.AF_INET || fam == unix.AF_UNSPEC && s.family == unix.AF_INET && !strict:
		if s.family == unix.AF_INET6 && s.ep().SocketOptions().GetV6Only() {
			return a, errno.EINVAL
		}
		if s.family == unix.AF_INET6 && strict {
			return a, errno.EINVAL
		}
		if len(b) < 16 {
			return a, errno.EINVAL
		}
		a.Port = binary.BigEndian.Uint16(b[2:])
		if ip := [4]byte(b[4:8]); ip != [4]byte{} {
			a.Addr = tcpip.AddrFrom4(ip)
		}
	case fam == unix.AF_INET6 && s.family == unix.AF_INET6:
		if len(b) < 24 {
			return a, errno.EINVAL
		}
		a.Port = binary.BigEndian.Uint16(b[2:])
		ip := [16]byte(b[8:24])
		switch {
		case ip == [16]byte{}:
		case [12]byte(ip[:12]) == [12]byte{10: 0xff, 11: 0xff}:
			if [4]byte(ip[12:]) != [4]byte{} {
				a.Addr = tcpip.AddrFrom4([4]byte(ip[12:]))
			} else {
				a.Addr = tcpip.AddrFrom4([4]byte{})
			}
		default:
			a.Addr = tcpip.AddrFrom16(ip)
			if len(b) >= 28 && (ip[0] == 0xfe && ip[1]&0xc0 == 0x80 || ip[0] == 0xff) {
				a.NIC = tcpip.NICID(binary.LittleEndian.Uint32(b[24:]))
			}
		}
	default:
		return a, errno.EAFNOSUPPORT
	}
	return a, nil
}

// encodeAddr writes an address as the socket's family shows it.
func (s *Socket) encodeAddr(a tcpip.FullAddress) []byte {
	if s.family == unix.AF_INET {
		b := make([]byte, 16)
		binary.LittleEndian.PutUint16(b, unix.AF_INET)
		binary.BigEndian.PutUint16(b[2:], a.Port)
		if a.Addr.Len() == 4 {
			ip := a.Addr.As4()
			copy(b[4:], ip[:])
		}
		return b
	}
	b := make([]byte, 28)
	binary.LittleEndian.PutUint16(b, unix.AF_INET6)
	binary.BigEndian.PutUint16(b[2:], a.Port)
	switch a.Addr.Len() {
	case 4:
		b[18], b[19] = 0xff, 0xff
		ip := a.Addr.As4()
		copy(b[20:], ip[:])
	case 16:
		ip := a.Addr.As16()
		copy(b[8:], ip[:])
		if ip[0] == 0xfe && ip[1]&0xc0 == 0x80 {
			binary.LittleEndian.PutUint32(b[24:], uint32(a.NIC))
		}
	}
	return b
}

// toErrno translates the library's errors.
func toErrno(err tcpip.Error) error {
	switch err.(type) {
	case nil:
		return nil
	case *tcpip.ErrAborted:
		return errno.EPIPE
	case *tcpip.ErrAddressFamilyNotSupported:
		return errno.EAFNOSUPPORT
	case *tcpip.ErrAlreadyBound, *tcpip.ErrInvalidEndpointState, *tcpip.ErrInvalidOptionValue,
		*tcpip.ErrInvalidPortRange, *tcpip.ErrMalformedHeader, *tcpip.ErrBadBuffer:
		return errno.EINVAL
	case *tcpip.ErrAlreadyConnected:
		return errno.EISCONN
	case *tcpip.ErrAlreadyConnecting:
		return errno.EALREADY
	case *tcpip.ErrBadAddress:
		return errno.EFAULT
	case *tcpip.ErrBadLocalAddress:
		return errno.EADDRNOTAVAIL
	case *tcpip.ErrBroadcastDisabled:
		return errno.EACCES
	case *tcpip.ErrClosedForSend:
		return errno.EPIPE
	case *tcpip.ErrConnectStarted:
		return errno.EINPROGRESS
	case *tcpip.ErrConnectionAborted:
		return errno.ECONNABORTED
	case *tcpip.ErrConnectionRefused:
		return errno.ECONNREFUSED
	case *tcpip.ErrConnectionReset:
		return errno.ECONNRESET
	case *tcpip.ErrDestinationRequired:
		return errno.EDESTADDRREQ
	case *tcpip.ErrDuplicateAddress:
		return errno.EEXIST
	case *tcpip.ErrDuplicateNICID:
		return errno.EEXIST
	case *tcpip.ErrInvalidNICID, *tcpip.ErrUnknownNICID, *tcpip.ErrUnknownDevice:
		return errno.ENODEV
	case *tcpip.ErrMessageTooLong:
		return errno.EMSGSIZE
	case *tcpip.ErrNetworkUnreachable:
		return errno.ENETUNREACH
	case *tcpip.ErrNoBufferSpace:
		return errno.ENOBUFS
	case *tcpip.ErrNoPortAvailable:
		return errno.EADDRINUSE
	case *tcpip.ErrHostUnreachable:
		return errno.EHOSTUNREACH
	case *tcpip.ErrHostDown:
		return errno.EHOSTDOWN
	case *tcpip.ErrNotConnected:
		return errno.ENOTCONN
	case *tcpip.ErrNotPermitted:
		return errno.EPERM
	case *tcpip.ErrNotSupported:
		return errno.EOPNOTSUPP
	case *tcpip.ErrPortInUse:
		return errno.EADDRINUSE
	case *tcpip.ErrQueueSizeNotSupported:
		return errno.ENOTTY
	case *tcpip.ErrTimeout:
		return errno.ETIMEDOUT
	case *tcpip.ErrUnknownProtocol:
		return errno.EPROTONOSUPPORT
	case *tcpip.ErrUnknownProtocolOption:
		return errno.ENOPROTOOPT
	case *tcpip.ErrWouldBlock:
		return errno.EAGAIN
	}
	return errno.EINVAL
}
