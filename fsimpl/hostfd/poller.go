package hostfd

import (
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/wait"
)

// poller watches the host descriptors that somebody waits for: one epoll
// instance and one goroutine for the whole process. Descriptors are armed
// one-shot, when a check found them not ready, so an idle one costs nothing.
type poller struct {
	once sync.Once
	epfd int

	mu    sync.Mutex
	files map[int32]*File
}

var thePoller = poller{epfd: -1, files: map[int32]*File{}}

// Start makes the poller's descriptor; boot calls it before it confines the
// process, later calls do nothing.
func Start() error {
	var err error
	thePoller.once.Do(func() {
		thePoller.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err == nil {
			go thePoller.run()
		}
	})
	return err
}

func (p *poller) run() {
	var evs [16]unix.EpollEvent
	for {
		n, err := unix.EpollWait(p.epfd, evs[:], -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			klog.Errorf("hostfd: epoll_wait: %v", err)
			return
		}
		for _, ev := range evs[:n] {
			p.mu.Lock()
			f := p.files[ev.Fd]
			if f != nil {
				f.armed = 0
			}
			p.mu.Unlock()
			if f != nil {
				f.queue.Notify(wait.Events(ev.Events) & (wait.In | wait.Out | wait.Pri | wait.Err | wait.Hup | wait.RdHup | wait.RdNorm | wait.WrNorm))
			}
		}
	}
}

// arm asks for one notification when one of ev is true of f.
func (p *poller) arm(f *File, ev uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.closed || f.armed&ev == ev {
		return
	}
	op := unix.EPOLL_CTL_MOD
	if !f.watched {
		op = unix.EPOLL_CTL_ADD
		f.watched = true
		p.files[int32(f.fd)] = f
	}
	f.armed |= ev
	e := unix.EpollEvent{Events: f.armed | unix.EPOLLONESHOT, Fd: int32(f.fd)}
	if err := unix.EpollCtl(p.epfd, op, f.fd, &e); err != nil {
		klog.Warningf("hostfd: epoll_ctl on descriptor %d: %v", f.fd, err)
	}
}

func (p *poller) forget(f *File) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f.closed = true
	if f.watched {
		unix.EpollCtl(p.epfd, unix.EPOLL_CTL_DEL, f.fd, nil)
		delete(p.files, int32(f.fd))
	}
}

// pollNow is poll(2) of one descriptor without waiting.
func pollNow(fd int, ev int16) int16 {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: ev}}
	for {
		n, err := unix.Ppoll(fds[:], &unix.Timespec{}, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return 0
		}
		return fds[0].Revents
	}
}
