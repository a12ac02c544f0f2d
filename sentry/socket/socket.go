// Package socket is what all socket families share: the operations behind
// socket(2), sendmsg(2) and relatives, and how the families are found.
//
// A socket is a vfs.FileOps (reads, writes, poll, close) with Ops added; its
// open file is made by NewFile. No operation of Ops blocks: what would wait
// returns EAGAIN (Connect: EINPROGRESS), and sentry/syscalls/socket.go waits on
// WaitQueue and tries again, with SO_RCVTIMEO and SO_SNDTIMEO as deadlines.
//
// Addresses are raw struct sockaddr bytes with the family first, as user code
// gave or gets them; the family checks them.
package socket

import (
	"time"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// Ops is a socket.
type Ops interface {
	vfs.FileOps

	// Kind returns what socket(2) was called with (SO_DOMAIN, SO_TYPE, SO_PROTOCOL).
	Kind() (family, typ, protocol int)

	Bind(ctx kctx.Ctx, addr []byte) error
	Listen(ctx kctx.Ctx, backlog int) error
	// Accept returns the next connection and its peer's address, or EAGAIN.
	Accept(ctx kctx.Ctx) (Ops, []byte, error)
	// Connect starts connecting: nil when connected, EINPROGRESS when under
	// way (Out or Err readiness tells the end; SO_ERROR the result).
	Connect(ctx kctx.Ctx, addr []byte) error
	Shutdown(ctx kctx.Ctx, how int) error
	SockName(ctx kctx.Ctx) ([]byte, error)
	PeerName(ctx kctx.Ctx) ([]byte, error)
	// GetOpt returns at most max bytes of an option's value; max is what user
	// code offers. Options of level SOL_SOCKET that Common has come here too.
	GetOpt(ctx kctx.Ctx, level, name, max int) ([]byte, error)
	SetOpt(ctx kctx.Ctx, level, name int, val []byte) error

	// Send sends one message (or bytes of a stream) from src; flags are MSG_*
	// without those the system call handles (DONTWAIT, NOSIGNAL). EPIPE makes the
	// caller raise SIGPIPE.
	Send(ctx kctx.Ctx, src *usermem.Buf, m *SendMsg) (int64, error)
	// Receive fills dst. m.Flags gets MSG_TRUNC, MSG_CTRUNC, MSG_EOR of the result.
	Receive(ctx kctx.Ctx, dst *usermem.Buf, m *RecvMsg) (int64, error)

	// Timeouts are SO_RCVTIMEO and SO_SNDTIMEO; 0 means none.
	Timeouts() (recv, send time.Duration)
}

// SendMsg is the rest of a sendmsg(2).
type SendMsg struct {
	Flags int
	Addr  []byte      // nil if none was given
	Ctl   []ControlIn // parsed control messages
	Files []*vfs.File // SCM_RIGHTS; Send takes references of its own
	Creds *Ucred      // SCM_CREDENTIALS, checked already
}

// ControlIn is another control message (IP_PKTINFO, IP_TTL...).
type ControlIn struct {
	Level, Type int
	Data        []byte
}

// RecvMsg is the rest of a recvmsg(2).
type RecvMsg struct {
	Flags    int // in: MSG_PEEK, MSG_TRUNC, MSG_WAITALL...; out: msg_flags
	WantAddr bool
	NonBlock bool // the call does not wait
	Addr     []byte
	// FullLen is the whole length of a datagram, for MSG_TRUNC.
	FullLen int64
	Files   []*vfs.File // SCM_RIGHTS; the receiver owns the references
	Creds   *Ucred      // SCM_CREDENTIALS if SO_PASSCRED
	Ctl     []ControlIn // others, in order
}

// Ucred is struct ucred with kernel ids.
type Ucred struct {
	PID int32
	UID creds.KUID
	GID creds.KGID
}

// Family makes sockets of one address family. ns is the caller's network
// namespace slot holder.
type Family interface {
	Socket(ctx kctx.Ctx, ns Namespace, typ, protocol int) (Ops, error)
}

// Pairer is a Family with socketpair(2).
type Pairer interface {
	Pair(ctx kctx.Ctx, ns Namespace, typ, protocol int) (a, b Ops, err error)
}

// Namespace is a network namespace as the families see it
// (*kernel.NetNamespace): named slots for their per-namespace state.
type Namespace interface {
	Slot(name string, mk func() any) any
}

var families = map[int]Family{}

// Register adds a family (AF_*); boot calls it before any task runs.
func Register(family int, f Family) { families[family] = f }

// New is socket(2) without the descriptor.
func New(ctx kctx.Ctx, ns Namespace, family, typ, protocol int) (Ops, error) {
	f := families[family]
	if f == nil {
		return nil, errno.EAFNOSUPPORT
	}
	return f.Socket(ctx, ns, typ, protocol)
}

// NewPair is socketpair(2) without the descriptors.
func NewPair(ctx kctx.Ctx, ns Namespace, family, typ, protocol int) (a, b Ops, err error) {
	f := families[family]
	if f == nil {
		return nil, nil, errno.EAFNOSUPPORT
	}
	p, ok := f.(Pairer)
	if !ok {
		// What is wrong with the socket itself comes first.
		s, err := f.Socket(ctx, ns, typ, protocol)
		if err != nil {
			return nil, nil, err
		}
		s.Release(ctx, nil)
		return nil, nil, errno.EOPNOTSUPP
	}
	return p.Pair(ctx, ns, typ, protocol)
}

// Of returns the socket behind an open file, or ENOTSOCK.
func Of(f *vfs.File) (Ops, error) {
	if s, ok := f.Ops().(Ops); ok {
		return s, nil
	}
	return nil, errno.ENOTSOCK
}
