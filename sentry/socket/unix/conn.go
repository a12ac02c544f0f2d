package unix

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Shutdown bits of one side.
const (
	shutRecv = 1
	shutSend = 2
	shutBoth = 3
)

// conn joins two stream or seqpacket sockets.
type conn struct {
	mu    sync.Mutex
	side  [2]*Socket
	to    [2]queue // data on its way to a side
	shut  [2]uint8
	reset [2]bool // the peer went away with data unread: one ECONNRESET
}

// queue is data on its way: in chunks for a stream, else one message each.
type queue struct {
	first, last *message
	bytes       int
}

// message is a chunk of a stream or a whole packet.
type message struct {
	next   *message
	data   []byte // what is not read yet
	buf    []byte // of a stream: backs data and has room behind it
	files  []*vfs.File
	flight *atomic.Int64 // counts files of the sender's user, nil if nobody does
	own    bool          // came with files: nothing is added to it
	cred   *socket.Ucred
	from   []byte // address of a datagram's sender
	src    *Socket
}

func (q *queue) push(m *message) {
	if q.last == nil {
		q.first = m
	} else {
		q.last.next = m
	}
	q.last = m
	q.bytes += len(m.data)
}

func (q *queue) pop() *message {
	m := q.first
	if q.first = m.next; q.first == nil {
		q.last = nil
	}
	m.next = nil
	return m
}

// chunkSize is how a stream's data is kept: small writes share a chunk.
const chunkSize = 16 << 10

var chunks = sync.Pool{New: func() any { return &message{buf: make([]byte, chunkSize)} }}

// free gives a chunk back; nobody may use m afterwards.
func (m *message) free() {
	if m.buf != nil {
		*m = message{buf: m.buf}
		chunks.Put(m)
	}
}

// dropping are sockets whose last reference may have been in the queue of
// another socket. One task at a time lets go of them, in a loop: a chain of a
// million sockets, each in the queue of the next, must not become recursion.
var dropping struct {
	sync.Mutex
	files []*vfs.File
	busy  bool
}

func dropFiles(ctx kctx.Ctx, l []*vfs.File) {
	var socks []*vfs.File
	for _, f := range l {
		if _, ok := f.Ops().(*Socket); ok {
			socks = append(socks, f)
			continue
		}
		f.DecRef(ctx)
	}
	if len(socks) == 0 {
		return
	}
	d := &dropping
	d.Lock()
	defer d.Unlock()
	d.files = append(d.files, socks...)
	if d.busy {
		return
	}
	d.busy = true
	for n := len(d.files); n > 0; n = len(d.files) {
		f := d.files[n-1]
		d.files[n-1] = nil
		d.files = d.files[:n-1]
		d.Unlock()
		f.DecRef(ctx)
		d.Lock()
	}
	d.files, d.busy = nil, false
}

// inFlight is implemented by a Ctx whose user may not have any number of
// descriptors under way (linux: net/core/scm.c too_many_unix_fds).
type inFlight interface {
	// FilesInFlight returns the user's count and whether it is too high.
	FilesInFlight() (count *atomic.Int64, tooMany bool)
}

// attach puts references to l into the message.
func (m *message) attach(ctx kctx.Ctx, l []*vfs.File) error {
	if len(l) == 0 {
		return nil
	}
	if u, ok := ctx.(inFlight); ok {
		n, tooMany := u.FilesInFlight()
		if tooMany {
			return errno.ETOOMANYREFS
		}
		n.Add(int64(len(l)))
		m.flight = n
	}
	m.files = refFiles(l)
	return nil
}

// detach takes the files out of the message.
func (m *message) detach() []*vfs.File {
	if len(m.files) == 0 {
		return nil
	}
	if m.flight != nil {
		m.flight.Add(-int64(len(m.files)))
		m.flight = nil
	}
	l := m.files
	m.files = nil
	return l
}

func refFiles(l []*vfs.File) []*vfs.File {
	if len(l) == 0 {
		return nil
	}
	out := make([]*vfs.File, len(l))
	for i, f := range l {
		f.IncRef()
		out[i] = f
	}
	return out
}

// join connects a and b. Nobody else has b yet.
func join(a, b *Socket) {
	c := &conn{side: [2]*Socket{a, b}}
	a.at, b.at = 0, 1
	a.conn.Store(c)
	b.conn.Store(c)
}

// send puts data into the peer's queue. Precondition: s.writeMu.
func (c *conn) send(ctx kctx.Ctx, s *Socket, src *usermem.Buf, m *socket.SendMsg) (int64, error) {
	peer := 1 - s.at
	limit := int(s.sndbuf.Load())
	n := src.Len()
	c.mu.Lock()
	if c.shut[s.at]&shutSend != 0 || c.shut[peer]&shutRecv != 0 {
		// A stream keeps the error for reading (linux: net/unix/af_unix.c).
		reset := c.reset[s.at] && s.typ == unix.SOCK_SEQPACKET
		if reset {
			c.reset[s.at] = false
		}
		c.mu.Unlock()
		if reset {
			return 0, errno.ECONNRESET
		}
		return 0, errno.EPIPE
	}
	room := limit - c.to[peer].bytes
	c.mu.Unlock()
	if s.typ == unix.SOCK_SEQPACKET {
		if n > int64(limit)-32 {
			return 0, errno.EMSGSIZE
		}
		if room < int(n) && room < limit {
			return 0, errno.EAGAIN
		}
		data := make([]byte, n)
		if _, err := src.Take(data); err != nil {
			return 0, err
		}
		msg := &message{data: data, cred: s.credFor(ctx, m)}
		if err := msg.attach(ctx, m.Files); err != nil {
			return 0, err
		}
		if err := c.deliver(ctx, peer, msg); err != nil {
			return 0, err
		}
		c.side[peer].q.Notify(wait.In | wait.RdNorm)
		return n, nil
	}
	if n == 0 {
		return 0, nil // an empty write says nothing
	}
	if room <= 0 {
		return 0, errno.EAGAIN
	}
	n = min(n, int64(room))
	cred := s.credFor(ctx, m)
	if n <= smallWrite && len(m.Files) == 0 {
		if s.scratch == nil {
			s.scratch = make([]byte, smallWrite)
		}
		tmp := s.scratch
		got, err := src.Take(tmp[:n])
		if err != nil {
			return 0, err
		}
		if err := c.append(ctx, peer, tmp[:got], cred); err != nil {
			return 0, err
		}
		c.side[peer].q.Notify(wait.In | wait.RdNorm)
		return int64(got), nil
	}
	files := m.Files
	var done int64
	for done < n {
		msg := newChunk(cred)
		got, err := src.Take(msg.buf[:min(n-done, chunkSize)])
		if err == nil && got > 0 {
			msg.data = msg.buf[:got]
			msg.own = len(files) > 0
			if err = msg.attach(ctx, files); err == nil {
				files = nil
				err = c.deliver(ctx, peer, msg)
			} else {
				msg.free()
			}
		} else {
			msg.free()
		}
		if err != nil {
			if done > 0 {
				break
			}
			return 0, err
		}
		if got == 0 {
			break
		}
		done += int64(got)
	}
	c.side[peer].q.Notify(wait.In | wait.RdNorm)
	return done, nil
}

// smallWrite is how long writes are that may share a chunk.
const smallWrite = 512

// append adds bytes to the last chunk if they fit and come from the same
// sender, else in a new one. The room behind a chunk's data is the writer's; a
// reader that copies from it looks at what is before.
func (c *conn) append(ctx kctx.Ctx, peer int, p []byte, cred *socket.Ucred) error {
	c.mu.Lock()
	if t := c.to[peer].last; t != nil && t.buf != nil && !t.own && t.cred == cred && cap(t.data)-len(t.data) >= len(p) && c.shut[peer]&shutRecv == 0 {
		t.data = append(t.data, p...)
		c.to[peer].bytes += len(p)
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	m := newChunk(cred)
	m.data = append(m.data, p...)
	return c.deliver(ctx, peer, m)
}

func newChunk(cred *socket.Ucred) *message {
	m := chunks.Get().(*message)
	m.data, m.cred = m.buf[:0], cred
	return m
}

// deliver queues a message unless the peer is gone.
func (c *conn) deliver(ctx kctx.Ctx, peer int, m *message) error {
	c.mu.Lock()
	if c.shut[peer]&shutRecv != 0 {
		c.mu.Unlock()
		dropFiles(ctx, m.detach())
		m.free()
		return errno.EPIPE
	}
	c.to[peer].push(m)
	c.mu.Unlock()
	return nil
}

// receive takes data from s's queue. Precondition: s.readMu.
func (c *conn) receive(ctx kctx.Ctx, s *Socket, dst *usermem.Buf, m *socket.RecvMsg) (int64, error) {
	q := &c.to[s.at]
	peek := m.Flags&unix.MSG_PEEK != 0
	var total int64
	var cur *message // the message being read: only readers take it off
	skip := 0        // bytes of cur that a peek has shown already
	first := true
	for {
		c.mu.Lock()
		if cur == nil {
			cur, skip = q.first, 0
		}
		if cur == nil {
			if !first {
				c.mu.Unlock()
				break
			}
			if c.reset[s.at] {
				c.reset[s.at] = false
				c.mu.Unlock()
				return 0, errno.ECONNRESET
			}
			eof := c.shut[s.at]&shutRecv != 0 || c.shut[1-s.at]&shutSend != 0
			c.mu.Unlock()
			if eof {
				return 0, nil
			}
			return 0, errno.EAGAIN
		}
		if s.typ == unix.SOCK_SEQPACKET {
			if !peek {
				q.pop()
				q.bytes -= len(cur.data)
			}
			c.mu.Unlock()
			n, err := s.takePacket(ctx, cur, dst, m, peek)
			if !peek {
				c.side[1-s.at].q.Notify(wait.Out | wait.WrNorm | wait.WrBand)
			}
			return n, err
		}
		data := cur.data[skip:]
		if !first && (len(cur.files) > 0 || s.passcred.Load() && m.Creds != nil && *m.Creds != *cur.cred) {
			c.mu.Unlock()
			break // another message's control data
		}
		c.mu.Unlock()
		if first && dst.Len() == 0 {
			return 0, nil
		}
		n, err := dst.Put(data)
		if err != nil && total == 0 {
			return 0, err
		}
		total += int64(n)
		had := len(cur.files) > 0
		if first || had {
			if s.passcred.Load() {
				m.Creds = cur.cred
			}
			if had {
				if peek {
					m.Files = refFiles(cur.files)
				} else {
					m.Files = cur.detach()
				}
			}
		}
		first = false
		stop := err != nil || dst.Len() == 0
		if peek {
			skip += n
			c.mu.Lock()
			end := skip == len(cur.data)
			next := cur.next
			c.mu.Unlock()
			if stop || had || !end || next == nil {
				break
			}
			cur, skip = next, 0
			continue
		}
		c.mu.Lock()
		cur.data = cur.data[n:]
		q.bytes -= n
		empty := len(cur.data) == 0
		if empty {
			q.pop()
			cur.free()
		}
		c.mu.Unlock()
		if !empty {
			break
		}
		cur = nil
		if stop || had {
			break
		}
	}
	if !peek && total > 0 {
		c.side[1-s.at].q.Notify(wait.Out | wait.WrNorm | wait.WrBand)
	}
	return total, nil
}

// takePacket gives one packet to a reader. Unless it peeks the packet is its
// own now.
func (s *Socket) takePacket(ctx kctx.Ctx, p *message, dst *usermem.Buf, m *socket.RecvMsg, peek bool) (int64, error) {
	m.FullLen = int64(len(p.data))
	if m.WantAddr {
		m.Addr = p.from
	}
	if s.passcred.Load() {
		m.Creds = p.cred
	}
	if len(p.files) > 0 {
		if peek {
			m.Files = refFiles(p.files)
		} else {
			m.Files = p.detach()
		}
	}
	trunc := m.Flags&unix.MSG_TRUNC != 0
	m.Flags &^= unix.MSG_TRUNC
	if dst.Len() < int64(len(p.data)) {
		m.Flags |= unix.MSG_TRUNC
	}
	n, err := 0, error(nil)
	if dst.Len() > 0 && len(p.data) > 0 {
		n, err = dst.Put(p.data)
	}
	if err != nil {
		dropFiles(ctx, m.Files)
		m.Files = nil
		return 0, err
	}
	if trunc {
		return m.FullLen, nil
	}
	return int64(n), nil
}

// shutdown ends directions of side i; it is seen by both sides.
func (c *conn) shutdown(i int, how uint8) {
	c.mu.Lock()
	c.shut[i] |= how
	peer := uint8(0)
	if how&shutSend != 0 {
		peer |= shutRecv
	}
	if how&shutRecv != 0 {
		peer |= shutSend
	}
	c.shut[1-i] |= peer
	c.mu.Unlock()
	for _, s := range c.side {
		s.q.Notify(wait.In | wait.Out | wait.RdNorm | wait.WrNorm | wait.Hup | wait.RdHup)
	}
}

// close is shutdown when side i's last descriptor goes.
func (c *conn) close(ctx kctx.Ctx, i int) {
	c.mu.Lock()
	q := c.to[i]
	c.to[i] = queue{}
	if q.first != nil {
		c.reset[1-i] = true
	}
	c.shut[i] |= shutBoth
	c.shut[1-i] |= shutBoth
	c.mu.Unlock()
	for m := q.first; m != nil; m = m.next {
		dropFiles(ctx, m.detach())
	}
	ev := wait.In | wait.Out | wait.RdNorm | wait.WrNorm | wait.Hup | wait.RdHup
	if q.first != nil {
		ev |= wait.Err
	}
	c.side[1-i].q.Notify(ev)
}
