// Package netlink has AF_NETLINK sockets (netlink(7)). NETLINK_ROUTE describes
// the devices, addresses and routes of the namespace's stack (rtnetlink(7),
// read only); NETLINK_KOBJECT_UEVENT exists and never says anything.
package netlink

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Family makes netlink sockets.
type Family struct{}

// Socket implements socket.Family.
func (Family) Socket(ctx kctx.Ctx, ns socket.Namespace, typ, protocol int) (socket.Ops, error) {
	if typ != unix.SOCK_RAW && typ != unix.SOCK_DGRAM {
		return nil, errno.ESOCKTNOSUPPORT
	}
	switch protocol {
	case unix.NETLINK_ROUTE, unix.NETLINK_KOBJECT_UEVENT:
	default:
		return nil, errno.EPROTONOSUPPORT
	}
	return &Socket{ns: ns, typ: typ, protocol: protocol}, nil
}

// Register adds the family.
func Register() { socket.Register(unix.AF_NETLINK, Family{}) }

// ports hands out port ids of sockets that do not choose one.
var ports atomic.Uint32

// maxQueued bounds the replies a socket holds, in bytes.
const maxQueued = 1 << 20

// Socket is one netlink socket: requests are answered at once into a queue.
type Socket struct {
	vfs.StreamBase
	ns            socket.Namespace
	typ, protocol int
	q             wait.Queue
	recvTimeo     atomic.Int64
	sendTimeo     atomic.Int64

	mu       sync.Mutex
	port     uint32
	groups   uint32
	peer     uint32
	msgs     [][]byte
	queued   int
	rcvbuf   uint32
	sndbuf   uint32
	flags    map[int]uint32 // SOL_NETLINK options
	passcred bool
}

// Kind implements socket.Ops.
func (s *Socket) Kind() (family, typ, protocol int) { return unix.AF_NETLINK, s.typ, s.protocol }

// Timeouts implements socket.Ops.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	return time.Duration(s.recvTimeo.Load()), time.Duration(s.sendTimeo.Load())
}

func parseAddr(b []byte) (port, groups uint32, err error) {
	if len(b) < 12 {
		return 0, 0, errno.EINVAL
	}
	if binary.LittleEndian.Uint16(b) != unix.AF_NETLINK {
		return 0, 0, errno.EINVAL
	}
	return binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:]), nil
}

func addr(port, groups uint32) []byte {
	b := make([]byte, 12)
	binary.LittleEndian.PutUint16(b, unix.AF_NETLINK)
	binary.LittleEndian.PutUint32(b[4:], port)
	binary.LittleEndian.PutUint32(b[8:], groups)
	return b
}

func (s *Socket) autobindLocked(ctx kctx.Ctx) {
	if s.port == 0 {
		// The first socket of a process gets its id, as on Linux; later ones
		// something no process id can be.
		s.port = 0xfff00000 - ports.Add(1)
		if _, used := taken.LoadOrStore(uint32(ctx.ProcessID()), s); !used && ctx.ProcessID() != 0 {
			s.port = uint32(ctx.ProcessID())
		}
	}
}

// taken has the port ids that equal process ids.
var taken sync.Map

// Bind implements socket.Ops.
func (s *Socket) Bind(ctx kctx.Ctx, a []byte) error {
	port, groups, err := parseAddr(a)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.port != 0 && port != s.port && port != 0 {
		return errno.EINVAL
	}
	if port != 0 && s.port == 0 {
		if o, used := taken.LoadOrStore(port, s); used && o != s {
			return errno.EADDRINUSE
		}
		s.port = port
	}
	s.autobindLocked(ctx)
	s.groups = groups
	return nil
}

// Listen implements socket.Ops.
func (s *Socket) Listen(kctx.Ctx, int) error { return errno.EOPNOTSUPP }

// Accept implements socket.Ops.
func (s *Socket) Accept(kctx.Ctx) (socket.Ops, []byte, error) { return nil, nil, errno.EOPNOTSUPP }

// Connect implements socket.Ops.
func (s *Socket) Connect(ctx kctx.Ctx, a []byte) error {
	if len(a) >= 2 && binary.LittleEndian.Uint16(a) == unix.AF_UNSPEC {
		s.mu.Lock()
		s.peer = 0
		s.mu.Unlock()
		return nil
	}
	port, groups, err := parseAddr(a)
	if err != nil {
		return err
	}
	if port != 0 || groups != 0 {
		return errno.EPERM
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.autobindLocked(ctx)
	return nil
}

// Shutdown implements socket.Ops.
func (s *Socket) Shutdown(kctx.Ctx, int) error { return errno.EOPNOTSUPP }

// SockName implements socket.Ops.
func (s *Socket) SockName(kctx.Ctx) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return addr(s.port, s.groups), nil
}

// PeerName implements socket.Ops.
func (s *Socket) PeerName(kctx.Ctx) ([]byte, error) { return addr(0, 0), nil }

// GetOpt implements socket.Ops.
func (s *Socket) GetOpt(ctx kctx.Ctx, level, name, max int) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var v uint32
	switch {
	case level == unix.SOL_SOCKET:
		switch name {
		case unix.SO_TYPE:
			v = uint32(s.typ)
		case unix.SO_DOMAIN:
			v = unix.AF_NETLINK
		case unix.SO_PROTOCOL:
			v = uint32(s.protocol)
		case unix.SO_RCVBUF:
			v = 2 * cmpOr(s.rcvbuf, 106496)
		case unix.SO_SNDBUF:
			v = 2 * cmpOr(s.sndbuf, 106496)
		case unix.SO_PASSCRED:
			if s.passcred {
				v = 1
			}
		case unix.SO_ERROR, unix.SO_ACCEPTCONN, unix.SO_BROADCAST, unix.SO_REUSEADDR:
		default:
			return nil, errno.ENOPROTOOPT
		}
	case level == unix.SOL_NETLINK:
		switch name {
		case unix.NETLINK_EXT_ACK, unix.NETLINK_PKTINFO, unix.NETLINK_CAP_ACK, unix.NETLINK_GET_STRICT_CHK, unix.NETLINK_NO_ENOBUFS, unix.NETLINK_BROADCAST_ERROR:
			v = s.flags[name]
		default:
			return nil, errno.ENOPROTOOPT
		}
	default:
		return nil, errno.ENOPROTOOPT
	}
	b := binary.LittleEndian.AppendUint32(nil, v)
	return b[:min(max, 4)], nil
}

func cmpOr(v, def uint32) uint32 {
	if v == 0 {
		return def
	}
	return v
}

// SetOpt implements socket.Ops.
func (s *Socket) SetOpt(ctx kctx.Ctx, level, name int, val []byte) error {
	if level != unix.SOL_SOCKET && level != unix.SOL_NETLINK {
		return errno.ENOPROTOOPT
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if level == unix.SOL_SOCKET && (name == unix.SO_RCVTIMEO || name == unix.SO_SNDTIMEO) {
		if len(val) < 16 {
			return errno.EINVAL
		}
		d := int64(binary.LittleEndian.Uint64(val))*1e9 + int64(binary.LittleEndian.Uint64(val[8:]))*1e3
		if name == unix.SO_RCVTIMEO {
			s.recvTimeo.Store(max(d, 0))
		} else {
			s.sendTimeo.Store(max(d, 0))
		}
		return nil
	}
	if len(val) < 4 {
		return errno.EINVAL
	}
	v := binary.LittleEndian.Uint32(val)
	switch level {
	case unix.SOL_SOCKET:
		switch name {
		case unix.SO_RCVBUF, unix.SO_RCVBUFFORCE:
			s.rcvbuf = min(max(v, 1152), 212992)
		case unix.SO_SNDBUF, unix.SO_SNDBUFFORCE:
			s.sndbuf = min(max(v, 2304), 212992)
		case unix.SO_PASSCRED:
			s.passcred = v != 0
		case unix.SO_REUSEADDR, unix.SO_BROADCAST, unix.SO_ATTACH_FILTER, unix.SO_TIMESTAMP, unix.SO_PRIORITY:
			klog.Stub("setsockopt: a netlink option without effect here")
		default:
			return errno.ENOPROTOOPT
		}
	case unix.SOL_NETLINK:
		switch name {
		case unix.NETLINK_ADD_MEMBERSHIP, unix.NETLINK_DROP_MEMBERSHIP:
			// Nothing ever changes, so there is nothing to be told.
		case unix.NETLINK_EXT_ACK, unix.NETLINK_PKTINFO, unix.NETLINK_CAP_ACK, unix.NETLINK_GET_STRICT_CHK, unix.NETLINK_NO_ENOBUFS, unix.NETLINK_BROADCAST_ERROR:
			if s.flags == nil {
				s.flags = map[int]uint32{}
			}
			s.flags[name] = v
		default:
			return errno.ENOPROTOOPT
		}
	default:
		return errno.ENOPROTOOPT
	}
	return nil
}

// Ready implements vfs.FileOps.
func (s *Socket) Ready(mask wait.Events) wait.Events {
	ev := wait.Out | wait.WrNorm
	s.mu.Lock()
	if len(s.msgs) > 0 {
		ev |= wait.In | wait.RdNorm
	}
	s.mu.Unlock()
	return ev & mask
}

// WaitQueue implements vfs.FileOps.
func (s *Socket) WaitQueue() *wait.Queue { return &s.q }

// Read implements vfs.FileOps.
func (s *Socket) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil // as SVr4 (linux: net/socket.c sock_read_iter)
	}
	return s.Receive(ctx, dst, &socket.RecvMsg{})
}

// Write implements vfs.FileOps.
func (s *Socket) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	return s.Send(ctx, src, &socket.SendMsg{})
}

// Receive implements socket.Ops.
func (s *Socket) Receive(ctx kctx.Ctx, dst *usermem.Buf, m *socket.RecvMsg) (int64, error) {
	s.mu.Lock()
	if len(s.msgs) == 0 {
		s.mu.Unlock()
		return 0, errno.EAGAIN
	}
	b := s.msgs[0]
	if m.Flags&unix.MSG_PEEK == 0 {
		s.msgs = s.msgs[1:]
		s.queued -= len(b)
	}
	if s.passcred {
		m.Creds = &socket.Ucred{}
	}
	s.mu.Unlock()
	m.Flags &^= unix.MSG_TRUNC
	m.FullLen = int64(len(b))
	m.Addr = addr(0, 0)
	n, err := dst.Put(b)
	if err != nil {
		return 0, err
	}
	if n < len(b) {
		m.Flags |= unix.MSG_TRUNC
	}
	return int64(n), nil
}

// Send implements socket.Ops.
func (s *Socket) Send(ctx kctx.Ctx, src *usermem.Buf, m *socket.SendMsg) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, errno.EOPNOTSUPP
	}
	if m.Addr != nil {
		port, groups, err := parseAddr(m.Addr)
		if err != nil {
			return 0, err
		}
		if groups != 0 {
			return 0, errno.EPERM
		}
		if port != 0 {
			return 0, errno.ECONNREFUSED
		}
	}
	n := src.Len()
	if n > 1<<18 {
		return 0, errno.EMSGSIZE
	}
	b := make([]byte, n)
	if k, err := src.Take(b); err != nil || int64(k) < n {
		return 0, errno.EFAULT
	}
	s.mu.Lock()
	s.autobindLocked(ctx)
	if s.queued > maxQueued {
		s.mu.Unlock()
		return 0, errno.ENOBUFS
	}
	port := s.port
	s.mu.Unlock()
	if s.protocol != unix.NETLINK_ROUTE {
		return 0, errno.ECONNREFUSED
	}
	replies := answer(ctx, s.ns, b, port)
	s.mu.Lock()
	for _, r := range replies {
		s.msgs = append(s.msgs, r)
		s.queued += len(r)
	}
	s.mu.Unlock()
	if len(replies) > 0 {
		s.q.Notify(wait.In | wait.RdNorm)
	}
	return n, nil
}

// Release implements vfs.FileOps.
func (s *Socket) Release(ctx kctx.Ctx, f *vfs.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken.CompareAndDelete(s.port, s)
}
