package unix

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

const (
	// defaultBuf is net.core.wmem_default.
	defaultBuf = 212992
	minBuf     = 4608
	maxBuf     = 425984
	// maxQueue is net.unix.max_dgram_qlen.
	maxQueue = 512
	// somaxconn is net.core.somaxconn.
	somaxconn = 4096
)

// Socket is one AF_UNIX socket.
type Socket struct {
	vfs.StreamBase

	fam *Family
	ns  *names
	typ int
	ino atomic.Uint64
	q   wait.Queue

	passcred             atomic.Bool
	sndbuf, rcvbuf       atomic.Int32
	recvTimeo, sendTimeo atomic.Int64
	opts                 options

	readMu, writeMu sync.Mutex
	// lastCred is what the last message carried, under writeMu.
	lastCred  *socket.Ucred
	lastCreds *creds.Credentials
	scratch   []byte // of small writes, under writeMu

	// conn and at are set once, by connecting.
	conn atomic.Pointer[conn]
	at   int

	mu       sync.Mutex
	closed   bool
	addr     []byte // bound to, or nil
	path     vfs.Path
	abstract string
	peerCred *socket.Ucred

	// Of a listener.
	listening bool
	backlog   int
	pending   []*Socket
	waiting   []*Socket // wait for room in pending

	// Of a datagram socket.
	peer    *Socket
	in      queue
	inLen   int
	shut    uint8
	senders map[*Socket]struct{} // wait for room in in
	err     errno.Errno
}

// options are settings that are kept and have no effect here.
type options struct {
	mu                      sync.Mutex
	reuse, broadcast, keep  bool
	dontroute, oobinline    bool
	timestamp, timestampNS  bool
	passsec, passpidfd      bool
	lingerOn, lingerSecs    int32
	priority, mark, peekOff int32
	rcvlowat                int32
}

func (f *Family) newSocket(n *names, typ int) *Socket {
	s := &Socket{fam: f, ns: n, typ: typ}
	s.sndbuf.Store(defaultBuf)
	s.rcvbuf.Store(defaultBuf)
	s.opts.peekOff, s.opts.rcvlowat = -1, 1
	n.mu.Lock()
	n.all[s] = struct{}{}
	n.mu.Unlock()
	return s
}

func (s *Socket) dgram() bool { return s.typ == unix.SOCK_DGRAM }

// Kind implements socket.Ops.
func (s *Socket) Kind() (family, typ, protocol int) { return unix.AF_UNIX, s.typ, 0 }

// FullWrite implements vfs.FullWriter.
func (s *Socket) FullWrite() bool { return s.typ == unix.SOCK_STREAM }

// IOTimeout implements vfs.IOTimeouter.
func (s *Socket) IOTimeout(write bool) time.Duration {
	if write {
		return time.Duration(s.sendTimeo.Load())
	}
	return time.Duration(s.recvTimeo.Load())
}

// Timeouts implements socket.Ops.
func (s *Socket) Timeouts() (recv, send time.Duration) {
	return time.Duration(s.recvTimeo.Load()), time.Duration(s.sendTimeo.Load())
}

// credFor returns the credentials that a message carries. Precondition:
// s.writeMu.
func (s *Socket) credFor(ctx kctx.Ctx, m *socket.SendMsg) *socket.Ucred {
	if m.Creds != nil {
		return m.Creds
	}
	c := ctx.Creds()
	if s.lastCred == nil || s.lastCreds != c || s.lastCred.PID != ctx.ProcessID() {
		s.lastCreds = c
		s.lastCred = &socket.Ucred{PID: ctx.ProcessID(), UID: c.RUID, GID: c.RGID}
	}
	return s.lastCred
}

// Bind implements socket.Ops.
func (s *Socket) Bind(ctx kctx.Ctx, addr []byte) error {
	path, abstract, auto, err := parseAddr(addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr != nil {
		if auto {
			return nil
		}
		return errno.EINVAL
	}
	switch {
	case auto:
		if abstract, err = s.ns.autobind(s); err != nil {
			return err
		}
		s.abstract, s.addr = abstract, abstractAddr(abstract)
	case path == "":
		s.ns.mu.Lock()
		defer s.ns.mu.Unlock()
		if s.ns.abstract[abstract] != nil {
			return errno.EADDRINUSE
		}
		s.ns.abstract[abstract] = s
		s.abstract, s.addr = abstract, abstractAddr(abstract)
	default:
		at, err := s.fam.bindPath(ctx, s, path)
		if err != nil {
			return err
		}
		s.path, s.addr = at, pathAddr(path)
	}
	return nil
}

// Listen implements socket.Ops.
func (s *Socket) Listen(ctx kctx.Ctx, backlog int) error {
	if s.dgram() {
		return errno.EOPNOTSUPP
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == nil || s.conn.Load() != nil {
		return errno.EINVAL
	}
	if backlog < 0 || backlog > somaxconn {
		backlog = somaxconn
	}
	s.listening, s.backlog = true, backlog
	s.peerCred = ucred(ctx)
	return nil
}

// Accept implements socket.Ops.
func (s *Socket) Accept(ctx kctx.Ctx) (socket.Ops, []byte, error) {
	if s.dgram() {
		return nil, nil, errno.EOPNOTSUPP
	}
	s.mu.Lock()
	if !s.listening {
		s.mu.Unlock()
		return nil, nil, errno.EINVAL
	}
	if len(s.pending) == 0 {
		shut := s.shut&shutRecv != 0
		s.mu.Unlock()
		if shut {
			return nil, nil, errno.EINVAL
		}
		return nil, nil, errno.EAGAIN
	}
	a := s.pending[0]
	s.pending = s.pending[1:]
	w := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, x := range w {
		x.q.Notify(wait.Out | wait.WrNorm)
	}
	name, _ := a.PeerName(ctx)
	return a, name, nil
}

// Connect implements socket.Ops. EAGAIN means that the listener's queue is
// full; Out readiness says when to try again.
func (s *Socket) Connect(ctx kctx.Ctx, addr []byte) error {
	unspec := len(addr) >= 2 && binary.LittleEndian.Uint16(addr) == unix.AF_UNSPEC
	if (len(addr) <= 2 || unspec) && !(unspec && s.dgram()) {
		return errno.EINVAL
	}
	if len(addr) >= 2 && binary.LittleEndian.Uint16(addr) == unix.AF_UNSPEC && s.dgram() {
		s.mu.Lock()
		s.peer = nil
		s.mu.Unlock()
		return nil
	}
	if !s.dgram() {
		if s.conn.Load() != nil {
			return errno.EISCONN
		}
		s.mu.Lock()
		l := s.listening
		s.mu.Unlock()
		if l {
			return errno.EINVAL
		}
	}
	o, err := s.fam.find(ctx, s.ns, addr, s.typ, s)
	if err != nil || o == nil {
		return err
	}
	if s.dgram() {
		o.mu.Lock()
		closed, theirs := o.closed, o.peer
		o.mu.Unlock()
		if closed {
			return errno.ECONNREFUSED
		}
		if theirs != nil && theirs != s {
			return errno.EPERM
		}
		s.mu.Lock()
		s.peer = o
		s.mu.Unlock()
		return nil
	}
	if o == s {
		return errno.ECONNREFUSED
	}
	o.mu.Lock()
	if o.closed || !o.listening || o.shut&shutRecv != 0 {
		o.mu.Unlock()
		return errno.ECONNREFUSED
	}
	if len(o.pending) > o.backlog {
		for _, w := range o.waiting {
			if w == s {
				o.mu.Unlock()
				return errno.EAGAIN
			}
		}
		o.waiting = append(o.waiting, s)
		o.mu.Unlock()
		return errno.EAGAIN
	}
	a := s.fam.newSocket(s.ns, s.typ)
	a.addr = o.addr
	a.passcred.Store(o.passcred.Load())
	a.sndbuf.Store(o.sndbuf.Load())
	a.peerCred = ucred(ctx)
	s.mu.Lock()
	if s.conn.Load() != nil || s.closed {
		s.mu.Unlock()
		o.mu.Unlock()
		a.forget()
		return errno.EISCONN
	}
	s.peerCred = o.peerCred
	join(s, a)
	s.mu.Unlock()
	o.pending = append(o.pending, a)
	o.mu.Unlock()
	o.q.Notify(wait.In | wait.RdNorm)
	s.q.Notify(wait.Out | wait.WrNorm)
	return nil
}

func (s *Socket) forget() {
	s.ns.mu.Lock()
	delete(s.ns.all, s)
	s.ns.mu.Unlock()
}

// Shutdown implements socket.Ops.
func (s *Socket) Shutdown(ctx kctx.Ctx, how int) error {
	var bits uint8
	switch how {
	case unix.SHUT_RD:
		bits = shutRecv
	case unix.SHUT_WR:
		bits = shutSend
	case unix.SHUT_RDWR:
		bits = shutBoth
	default:
		return errno.EINVAL
	}
	if c := s.conn.Load(); c != nil {
		c.shutdown(s.at, bits)
		return nil
	}
	s.mu.Lock()
	s.shut |= bits // also of one that is not connected (unix_shutdown)
	s.mu.Unlock()
	s.q.Notify(wait.In | wait.Out | wait.Hup | wait.RdHup)
	return nil
}

var unnamed = []byte{unix.AF_UNIX, 0}

// SockName implements socket.Ops.
func (s *Socket) SockName(ctx kctx.Ctx) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == nil {
		return unnamed, nil
	}
	return s.addr, nil
}

// PeerName implements socket.Ops.
func (s *Socket) PeerName(ctx kctx.Ctx) ([]byte, error) {
	if c := s.conn.Load(); c != nil {
		return c.side[1-s.at].SockName(ctx)
	}
	s.mu.Lock()
	p := s.peer
	s.mu.Unlock()
	if p == nil {
		return nil, errno.ENOTCONN
	}
	return p.SockName(ctx)
}

// PeerCred returns who is at the other end (SO_PEERCRED), or nil.
func (s *Socket) PeerCred() *socket.Ucred {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.peerCred
}

// SetInode tells the inode number of the socket's open file, for
// /proc/net/unix.
func (s *Socket) SetInode(ino uint64) { s.ino.Store(ino) }

// Send implements socket.Ops.
func (s *Socket) Send(ctx kctx.Ctx, src *usermem.Buf, m *socket.SendMsg) (int64, error) {
	c := s.conn.Load()
	if m.Flags&unix.MSG_OOB != 0 && (s.typ != unix.SOCK_STREAM || c != nil || src.Len() == 0) {
		return 0, errno.EOPNOTSUPP
	}
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if s.dgram() {
		return s.sendDgram(ctx, src, m)
	}
	c = s.conn.Load()
	if len(m.Addr) > 0 && s.typ == unix.SOCK_STREAM {
		if c != nil {
			return 0, errno.EISCONN
		}
		return 0, errno.EOPNOTSUPP
	}
	if c == nil {
		if s.typ == unix.SOCK_STREAM {
			s.mu.Lock()
			shut := s.shut&shutSend != 0
			s.mu.Unlock()
			if shut {
				return 0, errno.EPIPE
			}
		}
		return 0, errno.ENOTCONN
	}
	return c.send(ctx, s, src, m)
}

// sendDgram sends one datagram. Precondition: s.writeMu.
func (s *Socket) sendDgram(ctx kctx.Ctx, src *usermem.Buf, m *socket.SendMsg) (int64, error) {
	s.mu.Lock()
	o, from, shut, e := s.peer, s.addr, s.shut, s.err
	s.err = 0
	s.mu.Unlock()
	if e != 0 {
		return 0, e
	}
	if shut&shutSend != 0 {
		return 0, errno.EPIPE
	}
	explicit := len(m.Addr) > 0
	if explicit {
		var err error
		if o, err = s.fam.find(ctx, s.ns, m.Addr, s.typ, nil); err != nil {
			return 0, err
		}
	}
	n := src.Len()
	if !explicit && o == nil && n > int64(s.sndbuf.Load())-32 {
		return 0, errno.EMSGSIZE
	}
	if o == nil {
		return 0, errno.ENOTCONN
	}
	if n > int64(s.sndbuf.Load())-32 {
		return 0, errno.EMSGSIZE
	}
	check := func() error {
		switch {
		case o.closed:
			return errno.ECONNREFUSED
		case o.peer != nil && o.peer != s:
			return errno.EPERM
		case o.shut&shutRecv != 0:
			return errno.EPIPE
		case o != s && (o.inLen >= maxQueue || o.in.bytes+int(n) > int(s.sndbuf.Load()) && o.inLen > 0):
			if o.senders == nil {
				o.senders = make(map[*Socket]struct{})
			}
			o.senders[s] = struct{}{}
			return errno.EAGAIN
		}
		return nil
	}
	o.mu.Lock()
	err := check()
	o.mu.Unlock()
	if err == nil {
		data := make([]byte, n)
		if n > 0 {
			if _, err := src.Take(data); err != nil {
				return 0, err
			}
		}
		msg := &message{data: data, cred: s.credFor(ctx, m), from: from, src: s}
		if err := msg.attach(ctx, m.Files); err != nil {
			return 0, err
		}
		o.mu.Lock()
		if err = check(); err == nil || err == errno.EAGAIN {
			err = nil // what was taken from the caller must go
			delete(o.senders, s)
			o.in.push(msg)
			o.inLen++
		}
		o.mu.Unlock()
		if err != nil {
			dropFiles(ctx, msg.detach())
		}
	}
	if err == errno.ECONNREFUSED && !explicit {
		// The pair is cut; what waits to be read is lost too (linux:
		// unix_dgram_disconnected).
		s.mu.Lock()
		var lost queue
		if s.peer == o {
			s.peer = nil
			lost, s.in, s.inLen = s.in, queue{}, 0
		}
		s.mu.Unlock()
		for m := lost.first; m != nil; m = m.next {
			dropFiles(ctx, m.detach())
		}
	}
	if err != nil {
		return 0, err
	}
	o.q.Notify(wait.In | wait.RdNorm)
	return n, nil
}

// Receive implements socket.Ops.
func (s *Socket) Receive(ctx kctx.Ctx, dst *usermem.Buf, m *socket.RecvMsg) (int64, error) {
	if m.Flags&unix.MSG_OOB != 0 {
		if s.typ == unix.SOCK_STREAM {
			return 0, errno.EINVAL // there is none
		}
		return 0, errno.EOPNOTSUPP
	}
	s.readMu.Lock()
	defer s.readMu.Unlock()
	if !s.dgram() {
		c := s.conn.Load()
		if c == nil {
			if s.typ == unix.SOCK_STREAM {
				return 0, errno.EINVAL
			}
			return 0, errno.ENOTCONN
		}
		if m.WantAddr {
			if a, _ := c.side[1-s.at].SockName(ctx); len(a) > 2 {
				m.Addr = a
			}
		}
		return c.receive(ctx, s, dst, m)
	}
	peek := m.Flags&unix.MSG_PEEK != 0
	s.mu.Lock()
	p := s.in.first
	if p == nil {
		shut, e := s.shut&shutRecv != 0, s.err
		s.err = 0
		s.mu.Unlock()
		if e != 0 {
			return 0, e
		}
		if shut && !m.NonBlock {
			return 0, nil // a datagram socket tells the end only to those who wait
		}
		return 0, errno.EAGAIN
	}
	var w map[*Socket]struct{}
	if !peek {
		s.in.pop()
		s.in.bytes -= len(p.data)
		s.inLen--
		w, s.senders = s.senders, nil
	}
	s.mu.Unlock()
	for x := range w {
		x.q.Notify(wait.Out | wait.WrNorm | wait.WrBand)
	}
	return s.takePacket(ctx, p, dst, m, peek)
}

// Read implements vfs.FileOps.
func (s *Socket) Read(ctx kctx.Ctx, f *vfs.File, dst *usermem.Buf, _ *int64) (int64, error) {
	if dst.Len() == 0 {
		return 0, nil // as SVr4 (linux: net/socket.c sock_read_iter)
	}
	m := socket.RecvMsg{NonBlock: f != nil && f.NonBlocking()}
	n, err := s.Receive(ctx, dst, &m)
	dropFiles(ctx, m.Files) // read(2) has no place for them
	return n, err
}

// Write implements vfs.FileOps.
func (s *Socket) Write(ctx kctx.Ctx, _ *vfs.File, src *usermem.Buf, _ *int64) (int64, error) {
	var m socket.SendMsg
	return s.Send(ctx, src, &m)
}

// Ready implements vfs.FileOps (linux: unix_poll, unix_dgram_poll).
func (s *Socket) Ready(mask wait.Events) wait.Events {
	var ev wait.Events
	const in, out = wait.In | wait.RdNorm, wait.Out | wait.WrNorm | wait.WrBand
	if c := s.conn.Load(); c != nil {
		c.mu.Lock()
		shut := c.shut[s.at]
		if c.to[s.at].first != nil {
			ev |= in
		}
		if c.to[1-s.at].bytes*4 <= int(s.sndbuf.Load()) {
			ev |= out
		}
		if c.reset[s.at] {
			ev |= wait.Err
		}
		c.mu.Unlock()
		if shut&shutRecv != 0 {
			ev |= in | wait.RdHup
		}
		if shut == shutBoth {
			ev |= wait.Hup
		}
		return ev & (mask | wait.Err | wait.Hup)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.listening:
		if len(s.pending) > 0 {
			ev |= in
		}
	case s.dgram():
		if s.in.first != nil {
			ev |= in
		}
		ev |= out
		if p := s.peer; p != nil && p != s && mask&out != 0 {
			// Only its length is looked at; its lock may be held by a peer
			// that looks at ours.
			if p.full(s) {
				ev &^= out
			}
		}
	default:
		ev |= out | wait.Hup
	}
	if s.shut&shutRecv != 0 {
		ev |= in | wait.RdHup
	}
	if s.shut == shutBoth {
		ev |= wait.Hup
	}
	if s.err != 0 {
		ev |= wait.Err
	}
	return ev & (mask | wait.Err | wait.Hup)
}

// full says whether a sender would have to wait, and if so remembers it.
func (s *Socket) full(sender *Socket) bool {
	if !s.mu.TryLock() {
		return false // a wrong "writable" costs one EAGAIN
	}
	defer s.mu.Unlock()
	if s.inLen < maxQueue && s.in.bytes*4 <= defaultBuf {
		return false
	}
	if s.senders == nil {
		s.senders = make(map[*Socket]struct{})
	}
	s.senders[sender] = struct{}{}
	return true
}

// WaitQueue implements vfs.FileOps.
func (s *Socket) WaitQueue() *wait.Queue { return &s.q }

// Ioctl implements vfs.FileOps.
func (s *Socket) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	var n int32
	switch cmd {
	case unix.SIOCINQ:
		if c := s.conn.Load(); c != nil {
			c.mu.Lock()
			if s.typ == unix.SOCK_STREAM {
				n = int32(c.to[s.at].bytes)
			} else if p := c.to[s.at].first; p != nil {
				n = int32(len(p.data))
			}
			c.mu.Unlock()
		} else {
			s.mu.Lock()
			if s.listening {
				s.mu.Unlock()
				return 0, errno.EINVAL
			}
			if p := s.in.first; p != nil {
				n = int32(len(p.data))
			}
			s.mu.Unlock()
		}
	case unix.SIOCOUTQ:
		if c := s.conn.Load(); c != nil {
			c.mu.Lock()
			n = int32(c.to[1-s.at].bytes)
			c.mu.Unlock()
		}
	default:
		return 0, errno.ENOTTY
	}
	return 0, usermem.Put(io, arg, &n)
}

// Release implements vfs.FileOps.
func (s *Socket) Release(ctx kctx.Ctx, _ *vfs.File) { s.close(ctx) }

// Close is Release for a socket that never got an open file.
func (s *Socket) Close(ctx kctx.Ctx) { s.close(ctx) }

func (s *Socket) close(ctx kctx.Ctx) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	pending, waiting, path, peer := s.pending, s.waiting, s.path, s.peer
	in, senders := s.in, s.senders
	s.pending, s.waiting, s.path, s.peer, s.in, s.senders, s.inLen = nil, nil, vfs.Path{}, nil, queue{}, nil, 0
	s.shut = shutBoth
	s.mu.Unlock()

	s.ns.mu.Lock()
	delete(s.ns.all, s)
	if s.abstract != "" || len(s.addr) > 2 && s.addr[2] == 0 {
		if s.ns.abstract[s.abstract] == s {
			delete(s.ns.abstract, s.abstract)
		}
	}
	s.ns.mu.Unlock()
	if path.Ok() {
		s.fam.sys.BindSocket(path.Inode(), nil)
		path.DecRef()
	}
	if c := s.conn.Load(); c != nil {
		c.close(ctx, s.at)
	}
	for _, p := range pending {
		c := p.conn.Load()
		c.mu.Lock()
		c.reset[1-p.at] = true
		c.mu.Unlock()
		p.close(ctx)
	}
	for _, w := range waiting {
		w.q.Notify(wait.Out | wait.WrNorm)
	}
	for w := range senders {
		w.q.Notify(wait.Out | wait.WrNorm)
	}
	for m := in.first; m != nil; m = m.next {
		dropFiles(ctx, m.detach())
	}
	if s.dgram() && peer != nil && peer != s {
		// A connected peer learns that nobody listens.
		peer.mu.Lock()
		hit := peer.peer == s
		peer.mu.Unlock()
		if hit {
			peer.q.Notify(wait.Out | wait.WrNorm)
		}
	}
}

func (s *Socket) info() Info {
	i := Info{Refs: 2, Type: s.typ, State: 1, Ino: s.ino.Load()}
	if !s.mu.TryLock() {
		return i
	}
	defer s.mu.Unlock()
	if s.listening {
		i.Flags = 0x10000 // __SO_ACCEPTCON
	}
	if s.conn.Load() != nil || s.dgram() && s.peer != nil {
		i.State = 3
	}
	if len(s.addr) > 2 {
		if s.addr[2] == 0 {
			i.Name = "@" + string(s.addr[3:])
		} else {
			i.Name = string(s.addr[2 : len(s.addr)-1])
		}
	}
	return i
}
