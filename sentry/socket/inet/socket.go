package inet

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Socket is one endpoint of the library as a Linux socket.
type Socket struct {
	vfs.StreamBase

	st                    *Stack
	family, typ, protocol int
	cur                   atomic.Pointer[tcpip.Endpoint] // replaced by reset
	tq                    *waiter.Queue
	fwd                   waiter.Entry
	q                     wait.Queue

	// connected is set once a connect of a stream was seen to succeed, so that
	// the next connect gives EISCONN.
	connecting atomic.Bool
	// errorSeen says that SO_ERROR told of the connection's end.
	errorSeen atomic.Bool
	// cut says that a connection was given up by connect(2) with AF_UNSPEC and
	// that no call has told so yet with ECONNRESET.
	cut atomic.Bool
	// nodelay is what was asked for; small segments are never held back.
	nodelay   atomic.Bool
	oobinline atomic.Bool
	rcvlowat  atomic.Int32

	recvTimeo, sendTimeo atomic.Int64

	// readMu serialises readers of a stream that peek with MSG_WAITALL.
	readMu     sync.Mutex
	timestamps atomic.Bool
}

func newSocket(st *Stack, family, typ, protocol int, ep tcpip.Endpoint, tq *waiter.Queue) *Socket {
	s := &Socket{st: st, family: family, typ: typ, protocol: protocol, tq: tq}
	s.cur.Store(&ep)
	s.fwd = waiter.NewFunctionEntry(waiter.EventMask(0xffff), func(m waiter.EventMask) { s.q.Notify(wait.Events(m.ToLinux())) })
	tq.EventRegister(&s.fwd)
	return s
}

func (s *Socket) ep() tcpip.Endpoint { return *s.cur.Load() }

// reset gives a stream whose connection failed or was dissolved a new
// endpoint: Linux connects such a socket again, the library does not.
func (s *Socket) reset() error {
	net := ipv4.ProtocolNumber
	if s.family == unix.AF_INET6 {
		net = ipv6.ProtocolNumber
	}
	old := s.ep()
	ep, terr := s.st.S.NewEndpoint(tcp.ProtocolNumber, net, s.tq)
	if terr != nil {
		return toErrno(terr)
	}
	was, now := old.SocketOptions(), ep.SocketOptions()
	now.SetReuseAddress(was.GetReuseAddress())
	now.SetReusePort(was.GetReusePort())
	now.SetKeepAlive(was.GetKeepAlive())
	now.SetDelayOption(was.GetDelayOption())
	now.SetV6Only(was.GetV6Only())
	now.SetLinger(was.GetLinger())
	s.cur.Store(&ep)
	switch st := tcpState(old.State()); {
	case st == stateEstablished, st >= stateFinWait1 && st != stateClosed && st != stateError:
		s.cut.Store(true) // the next call hears that we reset the connection
	}
	old.Abort()
	s.connecting.Store(false)
	s.errorSeen.Store(false)
	return nil
}

// Kind implements socket.Ops.
func (s *Socket) Kind() (family, typ, protocol int) { return s.family, s.typ, s.protocol }

func (s *Socket) stream() bool { return s.typ == unix.SOCK_STREAM }

// Timeouts implements socket.Ops.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	return time.Duration(s.recvTimeo.Load()), time.Duration(s.sendTimeo.Load())
}

// Ready implements vfs.FileOps.
func (s *Socket) Ready(mask wait.Events) wait.Events {
	ev := wait.Events(s.ep().Readiness(waiter.EventMaskFromLinux(uint32(mask))).ToLinux())
	if s.stream() {
		switch tcpState(s.ep().State()) {
		case stateInitial, stateBound:
			// Never connected: Linux says OUT|HUP.
			ev |= (wait.Out | wait.Hup | wait.WrNorm) & (mask | wait.Hup)
		}
	}
	return ev & (mask | wait.Err | wait.Hup)
}

// WaitQueue implements vfs.FileOps.
func (s *Socket) WaitQueue() *wait.Queue { return &s.q }

// Bind implements socket.Ops.
func (s *Socket) Bind(ctx kctx.Ctx, addr []byte) error {
	a, err := s.parseAddr(addr, true)
	if err != nil {
		return err
	}
	if a.Port != 0 && a.Port < 1024 && s.typ != unix.SOCK_RAW && !ctx.Creds().Capable(creds.CapNetBindService) {
		return errno.EACCES
	}
	if terr := s.ep().Bind(a); terr != nil {
		if _, ok := terr.(*tcpip.ErrAlreadyConnected); ok {
			return errno.EINVAL
		}
		return toErrno(terr)
	}
	return nil
}

// Listen implements socket.Ops.
func (s *Socket) Listen(ctx kctx.Ctx, backlog int) error {
	if !s.stream() {
		return errno.EOPNOTSUPP
	}
	return toErrno(s.ep().Listen(max(min(backlog, 4096), 1)))
}

// Accept implements socket.Ops.
func (s *Socket) Accept(ctx kctx.Ctx) (socket.Ops, []byte, error) {
	if !s.stream() {
		return nil, nil, errno.EOPNOTSUPP
	}
	var peer tcpip.FullAddress
	ep, q, terr := s.ep().Accept(&peer)
	if terr != nil {
		return nil, nil, toErrno(terr)
	}
	c := newSocket(s.st, s.family, s.typ, s.protocol, ep, q)
	c.oobinline.Store(s.oobinline.Load())
	c.rcvlowat.Store(s.rcvlowat.Load())
	c.nodelay.Store(s.nodelay.Load())
	c.recvTimeo.Store(s.recvTimeo.Load())
	c.sendTimeo.Store(s.sendTimeo.Load())
	return c, s.encodeAddr(peer), nil
}

// Connect implements socket.Ops.
func (s *Socket) Connect(ctx kctx.Ctx, addr []byte) error {
	if len(addr) >= 2 && addr[0] == unix.AF_UNSPEC && addr[1] == 0 {
		if s.stream() {
			return s.reset()
		}
		if terr := s.ep().Disconnect(); terr != nil {
			if _, ok := terr.(*tcpip.ErrNotSupported); ok {
				return errno.EAFNOSUPPORT
			}
			return toErrno(terr)
		}
		return nil
	}
	a, err := s.parseAddr(addr, false)
	if err != nil {
		return err
	}
	s.cut.Store(false)
	if s.stream() {
		// A connect that was under way: report its end as Linux does.
		if s.connecting.Load() {
			switch st := tcpState(s.ep().State()); {
			case st == stateEstablished || st >= stateFinWait1 && st != stateClosed && st != stateError:
				s.connecting.Store(false)
				s.ep().Connect(a) // the library, too, says so once
				return nil
			case st == stateError || st == stateClosed:
				s.connecting.Store(false)
				s.errorSeen.Store(true)
				if e := s.ep().LastError(); e != nil {
					return toErrno(e)
				}
				return errno.ECONNABORTED
			}
			return errno.EALREADY
		}
		if st := tcpState(s.ep().State()); st == stateError || st == stateClosed {
			if err := s.reset(); err != nil {
				return err
			}
		}
	}
	if a.Addr.Len() == 0 { // the unspecified address means this host
		if s.family == unix.AF_INET6 && !s.isV4() && addr[0] == unix.AF_INET6 {
			a.Addr = tcpip.AddrFrom16([16]byte{15: 1})
		} else {
			a.Addr = tcpip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	if s.st.unreachable(a.Addr) {
		return errno.ENETUNREACH
	}
	terr := s.ep().Connect(a)
	if _, ok := terr.(*tcpip.ErrConnectStarted); ok {
		s.connecting.Store(true)
		return errno.EINPROGRESS
	}
	if _, ok := terr.(*tcpip.ErrInvalidEndpointState); ok && s.stream() {
		return errno.EISCONN
	}
	return toErrno(terr)
}

func (s *Socket) isV4() bool {
	l, err := s.ep().GetLocalAddress()
	return err == nil && l.Addr.Len() == 4
}

// Connecting says whether a connect is under way (the system call waits).
func (s *Socket) Connecting() bool { return s.connecting.Load() }

// Shutdown implements socket.Ops.
func (s *Socket) Shutdown(ctx kctx.Ctx, how int) error {
	var f tcpip.ShutdownFlags
	switch how {
	case unix.SHUT_RD:
		f = tcpip.ShutdownRead
	case unix.SHUT_WR:
		f = tcpip.ShutdownWrite
	case unix.SHUT_RDWR:
		f = tcpip.ShutdownRead | tcpip.ShutdownWrite
	default:
		return errno.EINVAL
	}
	err := toErrno(s.ep().Shutdown(f))
	if err == nil {
		s.q.Notify(wait.In | wait.Out | wait.Hup | wait.RdHup)
	}
	return err
}

// SockName implements socket.Ops.
func (s *Socket) SockName(ctx kctx.Ctx) ([]byte, error) {
	a, terr := s.ep().GetLocalAddress()
	if terr != nil {
		return s.encodeAddr(tcpip.FullAddress{}), nil
	}
	return s.encodeAddr(a), nil
}

// PeerName implements socket.Ops.
func (s *Socket) PeerName(ctx kctx.Ctx) ([]byte, error) {
	a, terr := s.ep().GetRemoteAddress()
	if terr != nil {
		return nil, errno.ENOTCONN
	}
	return s.encodeAddr(a), nil
}

// Read implements vfs.FileOps.
func (s *Socket) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, off *int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil // as SVr4 (linux: net/socket.c sock_read_iter)
	}
	if dst.Len() == 0 {
		return 0, nil // sock_read_iter: "match SYS5 behaviour"
	}
	return s.Receive(ctx, dst, &socket.RecvMsg{})
}

// Write implements vfs.FileOps.
func (s *Socket) Write(ctx kctx.Ctx, f *vfs.File, src *usermem.Buf, off *int64) (int64, error) {
	return s.Send(ctx, src, &socket.SendMsg{})
}

// bufWriter lets an endpoint write into a Buf; what does not fit is dropped.
type bufWriter struct {
	b   *usermem.Buf
	err error
}

func (w *bufWriter) Write(p []byte) (int, error) {
	if w.err != nil || w.b.Len() == 0 {
		return 0, io.ErrShortWrite
	}
	n, err := w.b.Put(p)
	if err != nil {
		w.err = err
		return n, err
	}
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// Receive implements socket.Ops.
func (s *Socket) Receive(ctx kctx.Ctx, dst *usermem.Buf, m *socket.RecvMsg) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		return 0, errno.EINVAL
	}
	if m.Flags&unix.MSG_ERRQUEUE != 0 {
		return 0, errno.EAGAIN
	}
	if s.stream() {
		return s.receiveStream(dst, m)
	}
	w := &bufWriter{b: dst}
	res, terr := s.ep().Read(w, tcpip.ReadOptions{Peek: m.Flags&unix.MSG_PEEK != 0, NeedRemoteAddr: true})
	m.Flags &^= unix.MSG_TRUNC
	if terr != nil {
		if w.err != nil {
			return 0, w.err
		}
		if _, ok := terr.(*tcpip.ErrClosedForReceive); ok {
			return 0, nil
		}
		if _, ok := terr.(*tcpip.ErrBadBuffer); !ok {
			return 0, toErrno(terr)
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	m.FullLen = int64(res.Total)
	if res.Count < res.Total {
		m.Flags |= unix.MSG_TRUNC
	}
	m.Addr = s.encodeAddr(res.RemoteAddr)
	if s.typ == unix.SOCK_RAW && s.family == unix.AF_INET {
		m.Addr[2], m.Addr[3] = 0, 0
	}
	s.control(m, &res.ControlMessages)
	return int64(res.Count), nil
}

func (s *Socket) receiveStream(dst *usermem.Buf, m *socket.RecvMsg) (int64, error) {
	if s.cut.Load() && s.cut.Swap(false) {
		return 0, errno.ECONNRESET
	}
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if dst.Len() == 0 {
		return 0, nil
	}
	// MSG_TRUNC on a stream discards.
	var w io.Writer = &bufWriter{b: dst}
	if m.Flags&unix.MSG_TRUNC != 0 {
		w = &tcpip.LimitedWriter{W: io.Discard, N: dst.Len()}
		m.Flags &^= unix.MSG_TRUNC
	}
	var done int64
	for dst.Len() > 0 {
		res, terr := s.ep().Read(w, tcpip.ReadOptions{Peek: m.Flags&unix.MSG_PEEK != 0})
		if res.Count > 0 {
			done += int64(res.Count)
		}
		if terr != nil {
			if done > 0 {
				break
			}
			switch terr.(type) {
			case *tcpip.ErrClosedForReceive:
				return 0, nil
			case *tcpip.ErrBadBuffer:
				return 0, errno.EFAULT
			case *tcpip.ErrNotConnected:
				if s.connecting.Load() {
					return 0, errno.EAGAIN
				}
			}
			return 0, toErrno(terr)
		}
		if res.Count == 0 || m.Flags&unix.MSG_PEEK != 0 {
			break
		}
		if _, ok := w.(*bufWriter); !ok {
			break
		}
	}
	if done > 0 && m.Flags&unix.MSG_PEEK == 0 {
		s.ep().ModerateRecvBuf(int(done))
	}
	m.FullLen = done
	return done, nil
}

// payload lets an endpoint take bytes from a Buf.
type payload struct {
	b   *usermem.Buf
	err error
}

func (p *payload) Len() int { return int(p.b.Len()) }

func (p *payload) Read(dst []byte) (int, error) {
	if p.b.Len() == 0 {
		return 0, io.EOF
	}
	n, err := p.b.Take(dst)
	if err != nil {
		p.err = err
	}
	return n, err
}

// Send implements socket.Ops.
func (s *Socket) Send(ctx kctx.Ctx, src *usermem.Buf, m *socket.SendMsg) (int64, error) {
	if len(m.Files) > 0 {
		return 0, errno.EINVAL
	}
	if s.typ == unix.SOCK_DGRAM && src.Len() > 0xffff {
		return 0, errno.EMSGSIZE
	}
	if m.Flags&unix.MSG_OOB != 0 && !s.stream() {
		return 0, errno.EOPNOTSUPP
	}
	o := tcpip.WriteOptions{More: m.Flags&unix.MSG_MORE != 0, EndOfRecord: m.Flags&unix.MSG_EOR != 0, Atomic: !s.stream()}
	if m.Addr != nil && !s.stream() {
		a, err := s.parseAddr(m.Addr, false)
		if err != nil {
			return 0, err
		}
		if a.Addr.Len() == 0 {
			if s.family == unix.AF_INET6 {
				a.Addr = tcpip.AddrFrom16([16]byte{15: 1})
			} else {
				a.Addr = tcpip.AddrFrom4([4]byte{127, 0, 0, 1})
			}
		}
		if s.typ == unix.SOCK_DGRAM && s.protocol == unix.IPPROTO_UDP && a.Port == 0 {
			return 0, errno.EINVAL
		}
		if s.st.unreachable(a.Addr) {
			return 0, errno.ENETUNREACH
		}
		o.To = &a
	} else if m.Addr == nil && !s.stream() {
		if _, terr := s.ep().GetRemoteAddress(); terr != nil {
			return 0, errno.EDESTADDRREQ
		}
	}
	if s.stream() && src.Len() == 0 {
		if _, terr := s.ep().GetRemoteAddress(); terr != nil {
			return 0, errno.EPIPE
		}
		return 0, nil
	}
	if !s.stream() && src.Len() > 65535 {
		return 0, errno.EMSGSIZE
	}
	if err := sendControl(m, &o); err != nil {
		return 0, err
	}
	if s.cut.Load() && s.cut.Swap(false) {
		return 0, errno.ECONNRESET
	}
	var done int64
	for {
		p := &payload{b: src}
		n, terr := s.ep().Write(p, o)
		done += n
		if p.err != nil && done == 0 {
			return 0, p.err
		}
		if terr != nil {
			if done > 0 {
				return done, nil
			}
			if _, ok := terr.(*tcpip.ErrNotConnected); ok && s.stream() {
				if s.connecting.Load() {
					return 0, errno.EAGAIN
				}
				return 0, errno.EPIPE
			}
			return 0, toErrno(terr)
		}
		if !s.stream() || src.Len() == 0 || n == 0 {
			return done, nil
		}
	}
}

// Release implements vfs.FileOps.
func (s *Socket) Release(ctx kctx.Ctx, f *vfs.File) {
	s.tq.EventUnregister(&s.fwd)
	s.ep().Close()
}
