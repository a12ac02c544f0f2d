package vfs

import (
	"sync/atomic"
	"testing"
	"time"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"
)

type flag struct {
	StreamBase
	q  wait.Queue
	on atomic.Bool
}

func (f *flag) WaitQueue() *wait.Queue { return &f.q }
func (f *flag) Ready(mask wait.Events) wait.Events {
	if f.on.Load() {
		return mask & wait.In
	}
	return 0
}
func (f *flag) set() { f.on.Store(true); f.q.Notify(wait.In) }

func TestEpoll(t *testing.T) {
	ctx := kctx.Background(rootCreds)
	s := NewSystem()
	self := NewEpoll(ctx, s)
	ep := self.Ops().(*Epoll)
	a := &flag{}
	f := NewAnonFile(s, "anon_inode:[flag]", a, 2)
	poll := func() int {
		t.Helper()
		n, err := ep.Wait(ctx, make([]EpollEvent, 4), time.Time{}, true)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("add", ep.Add(self, f, 5, EpollEvent{uint32(wait.In), 7}), nil)
	check("add again", ep.Add(self, f, 5, EpollEvent{uint32(wait.In), 7}), errno.EEXIST)
	check("nothing", poll(), 0)
	a.set()
	check("level", poll(), 1)
	check("level again", poll(), 1)
	a.on.Store(false)
	check("no longer", poll(), 0)
	check("edge", ep.Modify(f, 5, EpollEvent{uint32(wait.In) | EpollET, 7}), nil)
	a.set()
	check("edge", poll(), 1)
	check("edge again", poll(), 0)
	a.set()
	check("new edge", poll(), 1)
	check("oneshot", ep.Modify(f, 5, EpollEvent{uint32(wait.In) | EpollOneshot, 7}), nil)
	check("oneshot", poll(), 1)
	a.set()
	check("oneshot again", poll(), 0)
	check("rearm", ep.Modify(f, 5, EpollEvent{uint32(wait.In) | EpollOneshot, 7}), nil)
	check("rearmed", poll(), 1)
	other := NewEpoll(ctx, s)
	check("nest", other.Ops().(*Epoll).Add(other, self, 1, EpollEvent{uint32(wait.In), 1}), nil)
	check("loop", ep.Add(self, other, 2, EpollEvent{uint32(wait.In), 1}), errno.ELOOP)
	go func() {
		time.Sleep(10 * time.Millisecond)
		ep.Modify(f, 5, EpollEvent{uint32(wait.In), 9})
	}()
	n, err := other.Ops().(*Epoll).Wait(ctx, make([]EpollEvent, 1), time.Now().Add(5*time.Second), false)
	check("nested wake-up", n, 1)
	check("nested wake-up", err, nil)
	f.DecRef(ctx)
	check("closed", poll(), 0)
	check("empty", len(ep.Interests()), 0)
}
