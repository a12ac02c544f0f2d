package wire

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
)

// A side may look for the next packet for a while before it sleeps: a wake-up
// across cores costs 10 us and more, and most answers come sooner. With two
// processors or less the other side needs the one that we would spin on, and
// so do the sentry and the user code: then the client gives way at each look,
// and the server does not spin. On a busy machine giving way is worse than
// sleeping (Linux 6.18 takes the rest of its share from who yields, up to 3 ms
// of other processes' work), so the client measures which pays.
var (
	clientSpin, serverSpin = 25 * time.Microsecond, 25 * time.Microsecond
	busyLooks              = 5 * time.Microsecond
)

func init() {
	if runtime.NumCPU() <= 2 {
		serverSpin, busyLooks = 0, 0
	}
}

// pace learns whether spinning answers sooner than sleeping: the mean latency
// of each way, and now and then a try of the one that was slower.
type pace struct {
	mean [2]atomic.Int64 // ns, of sleeping and of spinning
	n    atomic.Uint32
}

// tryOther is how many calls there are to each try of the slower way.
const tryOther = 32

// choose returns the way to wait for the next answer: 1 to spin.
func (p *pace) choose() int {
	way := 0
	if p.mean[1].Load() < p.mean[0].Load() {
		way = 1
	}
	if p.n.Add(1)%tryOther == 0 {
		way ^= 1
	}
	return way
}

// learn notes how long an answer took. One that took very long says more of
// the call than of the waiting.
func (p *pace) learn(way int, d time.Duration) {
	m := p.mean[way].Load()
	p.mean[way].Store(m + (int64(min(d, time.Millisecond))-m)/8)
}

var packets = sync.Pool{New: func() any { b := make([]byte, MaxPacket); return &b }}

// recvSpin receives a packet, spinning first.
func recvSpin(fd int, p []byte, fds *[MaxFDs]int, spin time.Duration, hold bool) (int, int, error) {
	if spin > 0 {
		start := time.Now()
		for i := 0; ; i++ {
			n, nf, err := recvPacket(fd, p, fds, unix.MSG_DONTWAIT, true)
			if err != unix.EAGAIN {
				return n, nf, err
			}
			d := time.Since(start)
			if d > spin {
				break
			}
			if d > busyLooks {
				schedYield()
			}
		}
	}
	for {
		n, nf, err := recvPacket(fd, p, fds, 0, hold)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN: // the descriptor is non-blocking, or time is up
			pfd := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			unix.Poll(pfd, -1)
			continue
		}
		return n, nf, err
	}
}

// Client is the sentry's end of a lane. Any number of goroutines may call.
type Client struct {
	fd   int
	recv chan struct{} // held by the one who receives
	dead atomic.Bool
	pace pace
	// posted is how many posted calls have no answer yet.
	posted atomic.Int32
	// OnDeath is called once when the connection is lost.
	OnDeath func()

	mu      sync.Mutex
	next    uint32
	pending map[uint32]*call
}

type call struct {
	done   chan struct{}
	err    error
	body   []byte
	fds    []int
	maxFDs int
	sink   func(body []byte) // of packets, for listings
	post   func(err error)   // of a posted call, which nobody waits for
}

// MaxPosted is how many posted calls may be without an answer: their answers
// must fit the socket while nobody receives (net.unix.max_dgram_qlen is 10).
const MaxPosted = 8

// NewClient returns a client on a SOCK_SEQPACKET socket that it owns.
func NewClient(fd int) *Client {
	return &Client{fd: fd, recv: make(chan struct{}, 1), pending: make(map[uint32]*call)}
}

// Close ends the connection.
func (c *Client) Close() {
	c.OnDeath = nil
	c.fail()
	unix.Shutdown(c.fd, unix.SHUT_RDWR)
	c.recv <- struct{}{} // nobody receives any more
	unix.Close(c.fd)
	c.fd = -1
	<-c.recv
}

// fail ends all calls.
func (c *Client) fail() {
	first := !c.dead.Swap(true)
	c.mu.Lock()
	p := c.pending
	c.pending = make(map[uint32]*call)
	c.mu.Unlock()
	for _, k := range p {
		k.err = errno.ENOTCONN
		c.finish(k)
	}
	if first && c.OnDeath != nil {
		c.OnDeath()
	}
}

// Call makes one call and returns the body of its reply and at most maxFDs
// descriptors, which the caller owns.
func (c *Client) Call(e *Enc, maxFDs int) (Dec, []int, error) {
	k := &call{done: make(chan struct{}), maxFDs: maxFDs}
	err := c.run(e, k)
	return Dec{B: k.body}, k.fds, err
}

func (c *Client) finish(k *call) {
	if k.post != nil {
		c.posted.Add(-1)
		k.post(k.err)
		return
	}
	close(k.done)
}

// Post makes a call whose answer nobody waits for: done is called, without
// locks, when it is received beside another's or by Settle. Calls are answered
// in the order in which they are sent. false if too many are outstanding.
func (c *Client) Post(e *Enc, done func(err error)) bool {
	if c.posted.Add(1) > MaxPosted {
		c.posted.Add(-1)
		return false
	}
	if c.send(e, &call{post: done}) != nil {
		c.posted.Add(-1)
		return false
	}
	return true
}

// Settle waits until every posted call has its answer.
func (c *Client) Settle() {
	for c.posted.Load() > 0 && !c.dead.Load() {
		c.recv <- struct{}{}
		if c.posted.Load() > 0 && !c.receive(0) {
			c.fail()
		}
		<-c.recv
	}
}

// Stream makes a call whose reply may have many packets; sink gets each body
// in order and must not keep it.
func (c *Client) Stream(e *Enc, sink func(body []byte)) error {
	return c.run(e, &call{done: make(chan struct{}), sink: sink})
}

// send registers a call and sends its packet.
func (c *Client) send(e *Enc, k *call) error {
	if len(e.B) > MaxPacket {
		return errno.E2BIG
	}
	c.mu.Lock()
	if c.dead.Load() {
		c.mu.Unlock()
		return errno.ENOTCONN
	}
	for {
		c.next++
		if _, used := c.pending[c.next]; !used {
			break
		}
	}
	token := c.next
	c.pending[token] = k
	c.mu.Unlock()
	e.B[0], e.B[1], e.B[2], e.B[3] = byte(token), byte(token>>8), byte(token>>16), byte(token>>24)
	for {
		err := sendPacket(c.fd, e.B, nil, 0)
		if err == unix.EAGAIN {
			pfd := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}
			unix.Poll(pfd, -1)
			continue
		}
		if err != nil {
			c.fail()
		}
		return nil
	}
}

func (c *Client) run(e *Enc, k *call) error {
	start := time.Now()
	if err := c.send(e, k); err != nil {
		return err
	}
	for {
		select {
		case <-k.done:
			return k.err
		case c.recv <- struct{}{}:
			way := 1
			if busyLooks == 0 {
				way = c.pace.choose()
			}
			for !isDone(k) {
				if !c.receive(clientSpin * time.Duration(way)) {
					c.fail()
				}
			}
			<-c.recv
			if k.sink == nil {
				c.pace.learn(way, time.Since(start))
			}
			return k.err
		}
	}
}

func isDone(k *call) bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// receive takes one packet to the call it belongs to; false if the connection
// is lost or the peer breaks the rules.
func (c *Client) receive(spin time.Duration) bool {
	if c.dead.Load() {
		return false
	}
	bp := packets.Get().(*[]byte)
	defer packets.Put(bp)
	var fds [MaxFDs]int
	n, nf, err := recvSpin(c.fd, *bp, &fds, spin, false)
	if err != nil || n == 0 {
		return false
	}
	r, ok := ParseReply((*bp)[:n])
	c.mu.Lock()
	k := c.pending[r.Token]
	if ok = ok && k != nil && nf == int(r.Count) && nf <= k.maxFDs && !(r.More && k.sink == nil); ok && !r.More {
		delete(c.pending, r.Token)
	}
	c.mu.Unlock()
	if !ok {
		for _, f := range fds[:nf] {
			unix.Close(f)
		}
		return false
	}
	if nf > 0 {
		k.fds = append(k.fds, fds[:nf]...)
	}
	if r.Errno != 0 {
		k.err = errno.Errno(r.Errno)
	} else if k.sink != nil {
		k.sink(r.Body)
	} else {
		k.body = append([]byte(nil), r.Body...)
	}
	if !r.More {
		c.finish(k)
	}
	return true
}

// Server is the gofer's end of a lane: one goroutine receives and answers.
type Server struct {
	fd   int
	out  Enc
	busy bool
	buf  []byte
	// holds says that the socket has the timeout holdTime, so that waiting
	// may hold the goroutine's thread and P.
	holds bool
}

// holdTime is how long the server waits for the next request without telling
// the Go scheduler. Whenever a system call takes more than 20 us the scheduler
// takes the P away, and then the request is handled only after another thread
// was woken; and its monitor runs after each. The price is that a collection
// of garbage may wait as long.
const holdTime = 5 * time.Millisecond

// NewServer returns a server on a SOCK_SEQPACKET socket that it owns.
func NewServer(fd int) *Server { return &Server{fd: fd} }

// MayHold tells s that its socket was prepared by Prepare.
func (s *Server) MayHold() { s.holds = true }

// Prepare gives the server's socket its timeout. It is for whoever starts the
// server, which may itself not change options of sockets.
func Prepare(fd int) error {
	tv := unix.NsecToTimeval(int64(holdTime))
	return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
}

// Next receives the next request; false at the end of the connection. The
// request's arguments are valid until the next call.
func (s *Server) Next() (Request, bool) {
	if s.buf == nil {
		s.buf = make([]byte, MaxPacket)
	}
	spin := time.Duration(0)
	if s.busy {
		spin = serverSpin
	}
	for {
		var fds [MaxFDs]int
		n, nf, err := recvSpin(s.fd, s.buf, &fds, spin, s.busy && s.holds)
		for _, f := range fds[:nf] { // none is ever asked for
			unix.Close(f)
		}
		if err != nil || n == 0 {
			return Request{}, false
		}
		s.busy = true
		r, ok := ParseRequest(s.buf[:n])
		if !ok {
			if n < 4 || !s.Fail(r.Token, errno.EINVAL) {
				return Request{}, false
			}
			continue
		}
		return r, true
	}
}

// Fail answers with an error.
func (s *Server) Fail(token uint32, err error) bool {
	e, _ := errno.Of(errno.FromHost(err))
	if e == 0 {
		e = errno.EIO
	}
	return s.Send(token, uint16(e), false, nil, nil)
}

// Send sends one packet of a reply.
func (s *Server) Send(token uint32, e uint16, more bool, body []byte, fds []int) bool {
	s.out.B = s.out.B[:0]
	s.out.StartReply(token, e, more, len(fds))
	s.out.B = append(s.out.B, body...)
	for {
		err := sendPacket(s.fd, s.out.B, fds, 0)
		if err == unix.EAGAIN {
			unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}, -1)
			continue
		}
		return err == nil
	}
}

// Close closes the socket.
func (s *Server) Close() { unix.Close(s.fd) }

// Room is how much body fits a packet.
const Room = MaxPacket - replyHeader

func schedYield() { unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
