package seccomp

import (
	"sync"
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/wait"
)

// Notification states.
const (
	notifyInit = iota
	notifySent
	notifyReplied
)

// Request is one system call that waits for a supervisor's answer
// (seccomp_unotify(2)).
type Request struct {
	ID   uint64
	Data Data
	// Owner is the calling task, for the layer above.
	Owner any

	state int
	val   int64
	errno int32
	cont  bool
	done  *wait.Entry
}

// Reply is what the supervisor answered: a value, an error, or that the call is
// to run after all.
type Reply struct {
	Val      int64
	Errno    int32
	Continue bool
}

// Listener has the notifications of one filter.
type Listener struct {
	// Queue is notified when a request comes, is received, or the last task goes.
	Queue wait.Queue
	// tasks counts tasks that have the filter.
	tasks atomic.Int32

	mu     sync.Mutex
	closed bool
	nextID uint64
	reqs   []*Request
}

// NewListener returns a listener whose ids start at first, so that they are
// not guessed.
func NewListener(first uint64) *Listener { return &Listener{nextID: first} }

// Hold and Drop count a task with the filter.
func (l *Listener) Hold() { l.tasks.Add(1) }

// Drop undoes Hold.
func (l *Listener) Drop() {
	if l.tasks.Add(-1) == 0 {
		l.Queue.Notify(wait.Hup)
	}
}

// Dead says whether no task has the filter any more.
func (l *Listener) Dead() bool { return l.tasks.Load() <= 0 }

// Ask registers a request; ENOSYS if nobody listens.
func (l *Listener) Ask(r *Request) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errno.ENOSYS
	}
	r.ID = l.nextID
	l.nextID++
	l.reqs = append(l.reqs, r)
	l.mu.Unlock()
	l.Queue.Notify(wait.In | wait.RdNorm)
	return nil
}

// SetEntry says what to wake when r is answered; call it before Ask.
func (r *Request) SetEntry(e *wait.Entry) { r.done = e }

// Finish takes r off and returns the answer; ok is false without one.
func (l *Listener) Finish(r *Request) (reply Reply, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, x := range l.reqs {
		if x == r {
			l.reqs = append(l.reqs[:i:i], l.reqs[i+1:]...)
			break
		}
	}
	if r.state != notifyReplied {
		return Reply{}, false
	}
	return Reply{r.val, r.errno, r.cont}, true
}

// Next receives the oldest request that was not received, or nil.
func (l *Listener) Next() *Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.reqs {
		if r.state == notifyInit {
			r.state = notifySent
			return r
		}
	}
	return nil
}

// Return puts back a request that could not be delivered.
func (l *Listener) Return(r *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.state == notifySent {
		r.state = notifyInit
	}
}

// Find returns a received request that still waits, or nil.
func (l *Listener) Find(id uint64) *Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.reqs {
		if r.ID == id && r.state == notifySent {
			return r
		}
	}
	return nil
}

// Answer answers a request: ENOENT if it is gone, EINPROGRESS if it was not
// received or has an answer.
func (l *Listener) Answer(id uint64, a Reply) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.reqs {
		if r.ID != id {
			continue
		}
		if r.state != notifySent {
			return errno.EINPROGRESS
		}
		r.state, r.val, r.errno, r.cont = notifyReplied, a.Val, a.Errno, a.Continue
		wake(r)
		return nil
	}
	return errno.ENOENT
}

func wake(r *Request) {
	select {
	case r.done.C <- struct{}{}:
	default:
	}
}

// Ready says whether a request waits to be received, or to be answered.
func (l *Listener) Ready() (receive, answer bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.reqs {
		receive = receive || r.state == notifyInit
		answer = answer || r.state == notifySent
	}
	return
}

// Close answers everything with ENOSYS: the supervisor is gone.
func (l *Listener) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, r := range l.reqs {
		if r.state != notifyReplied {
			r.state, r.errno = notifyReplied, -int32(errno.ENOSYS)
			wake(r)
		}
	}
}

// Listeners calls fn for the listener of every program of the chain.
func (f *Filters) Listeners(fn func(*Listener)) {
	for x := f; x != nil; x = x.prev {
		if x.prog.Listener != nil {
			fn(x.prog.Listener)
		}
	}
}
