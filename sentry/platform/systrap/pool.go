package systrap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/klog"
)

// Kinds of struct report, which the zygote sends.
const (
	reportReady  = 1
	reportForked = 2
	reportDied   = 3
)

var errZygote = errors.New("systrap: the zygote died")

// proc is a stub process: a leader and the pages it shares.
type proc struct {
	pid    int
	lead   int // our end of the leader's socket
	memfd  int // command slots and thread areas
	leader channel
	tramp  *trampPages // nil until there are patches
}

// zygote is the process that all stub processes are forked from.
type zygote struct {
	// vdso is where stub processes have the host's vDSO, 0 for nowhere.
	vdso   uint64
	ctl    *os.File
	raw    int // its descriptor
	forked chan int

	forkMu sync.Mutex // one fork at a time

	mu struct {
		sync.Mutex
		dead   bool
		spaces map[int]*Space // by pid
	}
}

// newZygote starts the stub and the goroutine that reads its reports.
func newZygote() (*zygote, error) {
	base, thread, err := buildFilters(stubELF)
	if err != nil {
		return nil, err
	}
	exe, err := memfd("stub", stubELF, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(exe)
	conf, err := memfd("conf", confPage(base, thread), pageSize)
	if err != nil {
		return nil, err
	}
	defer unix.Close(conf)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making the control socket: %w", err)
	}
	defer unix.Close(pair[1])
	if pair[1] == 0 {
		unix.Close(pair[0])
		return nil, errors.New("systrap: descriptor 0 must be open")
	}
	vdso := vdsoLayout()
	if _, err := startStub(exe, pair[1], vdso.sizes); err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("starting the stub: %w", err)
	}
	z := &zygote{raw: pair[0], forked: make(chan int, 1)}
	z.mu.spaces = map[int]*Space{}
	if err := sendFDs(z.raw, 1, []int32{int32(conf)}); err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("configuring the stub: %w", err)
	}
	var buf [16]byte
	n, err := unix.Read(z.raw, buf[:])
	if err != nil || n != len(buf) || buf[0] != reportReady {
		unix.Close(pair[0])
		return nil, fmt.Errorf("stub did not start: %d bytes, %v", n, err)
	}
	if buf[4] == 1 {
		z.vdso = vdsoBase + vdso.before
	}
	if err := unix.SetNonblock(z.raw, true); err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	z.ctl = os.NewFile(uintptr(z.raw), "zygote")
	go z.read()
	return z, nil
}

// memfd makes a file with the given contents, at least size bytes long.
func memfd(name string, data []byte, size int64) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("making memfd %s: %w", name, err)
	}
	if len(data) > 0 {
		if _, err := unix.Pwrite(fd, data, 0); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("filling memfd %s: %w", name, err)
		}
	}
	if size > int64(len(data)) {
		if err := unix.Ftruncate(fd, size); err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("sizing memfd %s: %w", name, err)
		}
	}
	return fd, nil
}

// read handles the zygote's reports until it is gone.
func (z *zygote) read() {
	var buf [16]byte
	for {
		n, err := z.ctl.Read(buf[:])
		if err != nil || n != len(buf) {
			break
		}
		pid := int(binary.LittleEndian.Uint32(buf[4:]))
		switch buf[0] {
		case reportForked:
			z.forked <- pid
		case reportDied:
			z.mu.Lock()
			s := z.mu.spaces[pid]
			delete(z.mu.spaces, pid)
			z.mu.Unlock()
			if s != nil {
				klog.Debugf("systrap: stub process %d died, status %#x", pid, binary.LittleEndian.Uint32(buf[8:]))
				s.died()
			}
		}
	}
	z.mu.Lock()
	z.mu.dead = true
	spaces := z.mu.spaces
	z.mu.spaces = map[int]*Space{}
	z.mu.Unlock()
	close(z.forked)
	for _, s := range spaces {
		s.died()
	}
}

// fork makes a new stub process.
func (z *zygote) fork() (*proc, error) {
	fd, err := memfd("space", nil, cmdRegion+areaRegion+trampRegion+pageSize)
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	p := &proc{lead: pair[0], memfd: fd}
	mem, cmd, err := mapArea(fd, 0)
	if err == nil {
		p.leader = channel{sock: p.lead, index: 0, mem: mem, a: areaOf(mem), cmd: cmd}
		z.forkMu.Lock()
		if err = sendFDs(z.raw, 1, []int32{int32(pair[1]), int32(fd)}); err == nil {
			pid, ok := <-z.forked
			switch {
			case !ok:
				err = errZygote
			case int32(pid) <= 0:
				err = unix.Errno(-int32(pid))
			}
			p.pid = pid
		}
		z.forkMu.Unlock()
	}
	unix.Close(pair[1])
	if err != nil {
		p.close()
		return nil, fmt.Errorf("forking a stub: %w", err)
	}
	return p, nil
}

// close gives up what the sentry holds of p.
func (p *proc) close() {
	unix.Close(p.lead)
	unix.Close(p.memfd)
	p.lead, p.memfd = -1, -1
	if p.leader.mem != nil {
		unmapArea(p.leader.mem, p.leader.cmd)
	}
}

// pool keeps a few spaces ready, each with a thread: fresh ones, and such whose
// process was used before and cleaned (recycle).
type pool struct {
	p    *Platform
	size int
	// fork asks for one more, used takes spaces to clean.
	fork chan struct{}
	used chan *Space
	stop chan struct{}

	mu struct {
		sync.Mutex
		ready   []*Space
		pending int // being forked
		closed  bool
	}
}

// maxReady bounds how many clean spaces wait.
const maxReady = 6

func newPool(p *Platform, size int) *pool {
	pl := &pool{p: p, size: size, fork: make(chan struct{}, size), used: make(chan *Space, 2*maxReady), stop: make(chan struct{})}
	go pl.fill()
	go pl.clean()
	pl.mu.Lock()
	pl.refillLocked(size)
	pl.mu.Unlock()
	return pl
}

// refillLocked has spaces forked until n are there.
func (pl *pool) refillLocked(n int) {
	for len(pl.mu.ready)+pl.mu.pending < n {
		select {
		case pl.fork <- struct{}{}:
			pl.mu.pending++
		default:
			return
		}
	}
}

func (pl *pool) fill() {
	for {
		select {
		case <-pl.stop:
			return
		case <-pl.fork:
		}
		s, err := pl.make()
		if err != nil && !errors.Is(err, errZygote) {
			klog.Warningf("systrap: refilling the pool: %v", err)
		}
		pl.mu.Lock()
		pl.mu.pending--
		pl.mu.Unlock()
		if err == nil {
			pl.put(s)
		}
	}
}

func (pl *pool) clean() {
	for {
		select {
		case <-pl.stop:
			return
		case s := <-pl.used:
			if n := s.recycle(); n != nil {
				pl.put(n)
			} else {
				s.end()
			}
		}
	}
}

// make forks a space with a thread.
func (pl *pool) make() (*Space, error) {
	pr, err := pl.p.z.fork()
	if err != nil {
		return nil, err
	}
	s, err := newSpace(pl.p, pr)
	if err != nil {
		pr.close()
		return nil, err
	}
	s.prepare()
	return s, nil
}

// put adds a clean space, or ends it if there are enough.
func (pl *pool) put(s *Space) {
	pl.mu.Lock()
	full := pl.mu.closed || len(pl.mu.ready) >= maxReady
	if !full {
		pl.mu.ready = append(pl.mu.ready, s)
	}
	pl.mu.Unlock()
	if full {
		s.end()
	}
}

// reuse takes a space that is no longer used, or says that it does not.
func (pl *pool) reuse(s *Space) bool {
	pl.mu.Lock()
	full := pl.mu.closed || len(pl.mu.ready) >= maxReady
	pl.mu.Unlock()
	if full {
		return false
	}
	select {
	case pl.used <- s:
		return true
	default:
		return false
	}
}

// get returns a space that is ready or makes one.
func (pl *pool) get() (*Space, error) {
	for {
		pl.mu.Lock()
		var s *Space
		if n := len(pl.mu.ready); n > 0 {
			s = pl.mu.ready[n-1]
			pl.mu.ready = pl.mu.ready[:n-1]
		}
		pl.refillLocked(1)
		pl.mu.Unlock()
		if s == nil {
			return pl.make()
		}
		// The guest that had the process before may have seen to it that the
		// thread does not start (recycle); that is not this one's concern.
		if s.booted() {
			return s, nil
		}
		go s.end()
	}
}

func (pl *pool) close() {
	close(pl.stop)
	pl.mu.Lock()
	pl.mu.closed = true
	ready := pl.mu.ready
	pl.mu.ready = nil
	pl.mu.Unlock()
	for _, s := range ready {
		s.end()
	}
}
