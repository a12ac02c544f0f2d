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
	prog, err := buildFilter(stubELF)
	if err != nil {
		return nil, err
	}
	exe, err := memfd("stub", stubELF, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(exe)
	conf, err := memfd("conf", confPage(prog), 4096)
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
	if p.leader.mem != nil {
		unmapArea(p.leader.mem, p.leader.cmd)
	}
}

// pool keeps a few forked processes ready.
type pool struct {
	z     *zygote
	ready chan *proc
	want  chan struct{}
}

func newPool(z *zygote, size int) *pool {
	p := &pool{z: z, ready: make(chan *proc, size), want: make(chan struct{}, size)}
	go p.fill()
	for range size {
		p.want <- struct{}{}
	}
	return p
}

// fill forks one process for each token in want.
func (p *pool) fill() {
	for range p.want {
		pr, err := p.z.fork()
		if err != nil {
			if !errors.Is(err, errZygote) {
				klog.Warningf("systrap: refilling the pool: %v", err)
			}
			continue
		}
		p.ready <- pr
	}
	close(p.ready)
}

// get returns a process that is ready or makes one.
func (p *pool) get() (*proc, error) {
	select {
	case pr, ok := <-p.ready:
		if ok {
			select {
			case p.want <- struct{}{}:
			default:
			}
			return pr, nil
		}
	default:
	}
	return p.z.fork()
}
