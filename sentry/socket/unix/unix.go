// Package unix has AF_UNIX sockets (unix(7)): streams, datagrams and sequenced
// packets; named by path, by abstract name, or not at all.
//
// Two connected stream or seqpacket sockets share a conn, which has the data
// of both directions under one lock. A datagram socket has a queue of its own.
// Data is copied from and to user memory outside these locks; readers and
// writers of one socket are kept apart by sleeping locks of their own.
//
// A socket sent over itself and closed everywhere is never freed: there is no
// search for such cycles.
//
// Lock order: Socket.readMu, Socket.writeMu; Socket.mu (a listener's before
// the connecting socket's); conn.mu; names.mu. Queues are notified without any
// of them.
package unix

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/vfs"
)

// Family makes AF_UNIX sockets.
type Family struct{ sys *vfs.System }

// New returns the family; paths are walked in sys.
func New(sys *vfs.System) *Family { return &Family{sys} }

// Paths is a Ctx that has a root and a working directory; *kernel.Task is one.
type Paths interface {
	// PathOp returns the operation on a path and what to call after it.
	PathOp(path string) (vfs.Op, func())
	// Umask is the file mode creation mask.
	Umask() uint32
}

// names are the sockets of one network namespace.
type names struct {
	mu       sync.Mutex
	abstract map[string]*Socket
	all      map[*Socket]struct{}
	next     uint32
}

func namesOf(ns socket.Namespace) *names {
	return ns.Slot("unix", func() any {
		return &names{abstract: make(map[string]*Socket), all: make(map[*Socket]struct{})}
	}).(*names)
}

// Info is a line of /proc/net/unix.
type Info struct {
	Refs, Flags, Type, State int
	Ino                      uint64
	Name                     string // "@name" if abstract
}

// List returns the sockets of a namespace.
func List(ns socket.Namespace) []Info {
	n := namesOf(ns)
	n.mu.Lock()
	defer n.mu.Unlock()
	var l []Info
	for s := range n.all {
		l = append(l, s.info())
	}
	return l
}

func checkType(typ, protocol int) error {
	if protocol != 0 && protocol != unix.AF_UNIX {
		return errno.EPROTONOSUPPORT
	}
	switch typ {
	case unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET:
		return nil
	}
	return errno.ESOCKTNOSUPPORT
}

// Socket implements socket.Family. SOCK_RAW means SOCK_DGRAM here, as in Linux.
func (f *Family) Socket(ctx kctx.Ctx, ns socket.Namespace, typ, protocol int) (socket.Ops, error) {
	if typ == unix.SOCK_RAW {
		typ = unix.SOCK_DGRAM
	}
	if err := checkType(typ, protocol); err != nil {
		return nil, err
	}
	return f.newSocket(namesOf(ns), typ), nil
}

// Pair implements socket.Pairer.
func (f *Family) Pair(ctx kctx.Ctx, ns socket.Namespace, typ, protocol int) (socket.Ops, socket.Ops, error) {
	if typ == unix.SOCK_RAW {
		typ = unix.SOCK_DGRAM
	}
	if err := checkType(typ, protocol); err != nil {
		return nil, nil, err
	}
	n := namesOf(ns)
	a, b := f.newSocket(n, typ), f.newSocket(n, typ)
	cred := ucred(ctx)
	a.peerCred, b.peerCred = cred, cred
	if typ == unix.SOCK_DGRAM {
		a.peer, b.peer = b, a
	} else {
		join(a, b)
	}
	return a, b, nil
}

func ucred(ctx kctx.Ctx) *socket.Ucred {
	c := ctx.Creds()
	return &socket.Ucred{PID: ctx.ProcessID(), UID: c.EUID, GID: c.EGID}
}

// parseAddr checks a sockaddr_un: the path, or the abstract name, or neither
// (autobind).
func parseAddr(addr []byte) (path, abstract string, auto bool, err error) {
	if len(addr) < 2 || len(addr) > 110 || int(addr[0])|int(addr[1])<<8 != unix.AF_UNIX {
		return "", "", false, errno.EINVAL
	}
	p := addr[2:]
	if len(p) == 0 {
		return "", "", true, nil
	}
	if p[0] == 0 {
		return "", string(p[1:]), false, nil
	}
	for i, c := range p {
		if c == 0 {
			p = p[:i]
			break
		}
	}
	return string(p), "", false, nil
}

func pathAddr(path string) []byte {
	b := make([]byte, 0, len(path)+3)
	b = append(b, unix.AF_UNIX, 0)
	b = append(b, path...)
	return append(b, 0)
}

func abstractAddr(name string) []byte {
	b := make([]byte, 0, len(name)+3)
	b = append(b, unix.AF_UNIX, 0, 0)
	return append(b, name...)
}

// bindPath makes the socket's file.
func (f *Family) bindPath(ctx kctx.Ctx, s *Socket, path string) (vfs.Path, error) {
	p, ok := ctx.(Paths)
	if !ok {
		return vfs.Path{}, errno.EINVAL
	}
	op, done := p.PathOp(path)
	defer done()
	if err := f.sys.MknodAt(ctx, op, unix.S_IFSOCK|0o777&^p.Umask(), vfs.Dev{}); err != nil {
		if err == errno.EEXIST {
			err = errno.EADDRINUSE
		}
		return vfs.Path{}, err
	}
	op.Flags |= vfs.OpNoFollow
	at, err := f.sys.Walk(ctx, op)
	if err != nil {
		return vfs.Path{}, err
	}
	f.sys.BindSocket(at.Inode(), s)
	return at, nil
}

// find returns the socket that an address leads to. If that is a host's, from
// (if not nil) is connected to it, and there is neither socket nor error.
func (f *Family) find(ctx kctx.Ctx, n *names, addr []byte, typ int, from *Socket) (*Socket, error) {
	path, abstract, auto, err := parseAddr(addr)
	if err != nil || auto {
		return nil, errno.EINVAL
	}
	var s *Socket
	if path == "" {
		n.mu.Lock()
		s = n.abstract[abstract]
		n.mu.Unlock()
	} else {
		p, ok := ctx.(Paths)
		if !ok {
			return nil, errno.EINVAL
		}
		op, done := p.PathOp(path)
		defer done()
		at, err := f.sys.Walk(ctx, op)
		if err != nil {
			return nil, err
		}
		defer at.DecRef()
		if err := vfs.Permission(ctx, at.Inode(), vfs.MayWrite); err != nil {
			return nil, err
		}
		if s, _ = f.sys.Socket(at.Inode()).(*Socket); s == nil && from != nil {
			return nil, f.connectHost(ctx, from, at.Inode(), addr)
		}
	}
	if s == nil {
		return nil, errno.ECONNREFUSED
	}
	if s.typ != typ {
		return nil, errno.EPROTOTYPE
	}
	return s, nil
}

// autobind finds a free abstract name of five hexadecimal digits.
func (n *names) autobind(s *Socket) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range 1 << 20 {
		n.next = (n.next + 1) & 0xfffff
		name := fmt.Sprintf("%05x", n.next)
		if n.abstract[name] == nil {
			n.abstract[name] = s
			return name, nil
		}
	}
	return "", errno.ENOSPC
}
