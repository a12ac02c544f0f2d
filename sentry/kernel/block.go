package kernel

import (
	"sync"
	"sync/atomic"
	"time"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/wait"
)

var noDeadline time.Time

// Block implements kctx.Ctx.
func (t *Task) Block(e *wait.Entry, deadline time.Time) error {
	select {
	case <-e.C:
		return nil
	default:
	}
	return t.block(e.C, deadline, workSignal|workTrace, stateSleeping)
}

// BlockKillable is Block that only the death of the task interrupts
// (vfork(2), execve(2)).
func (t *Task) BlockKillable(e *wait.Entry, deadline time.Time) error {
	for {
		err := t.block(e.C, deadline, workSignal, stateDiskSleep)
		if err != errno.ERESTARTSYS || t.dying() {
			return err
		}
		// Another signal: leave it pending and sleep on.
		select {
		case <-e.C:
			return nil
		default:
		}
		if err := t.blockDeaf(e.C, deadline); err != nil {
			return err
		}
		return nil
	}
}

// blockDeaf sleeps through signals but the killing one.
func (t *Task) blockDeaf(c <-chan struct{}, deadline time.Time) error {
	for {
		err := t.block(c, deadline, 0, stateDiskSleep)
		if err == nil || err == errno.ETIMEDOUT {
			return err
		}
		if t.dying() {
			return errno.ERESTARTSYS
		}
	}
}

// Sleep blocks until the deadline or an interruption.
func (t *Task) Sleep(deadline time.Time) error {
	return t.block(nil, deadline, workSignal|workTrace, stateSleeping)
}

// block sleeps until c has a token (nil), the deadline (ETIMEDOUT), or one of
// the work bits (ERESTARTSYS). With no bits any kick ends it.
func (t *Task) block(c <-chan struct{}, deadline time.Time, bits uint32, state int32) error {
	if bits != 0 && t.work.Load()&bits != 0 {
		return errno.ERESTARTSYS
	}
	var timeC <-chan time.Time
	if !deadline.IsZero() {
		d := time.Until(deadline)
		if d <= 0 {
			select {
			case <-c:
				return nil
			default:
			}
			return errno.ETIMEDOUT
		}
		if t.timer == nil {
			t.timer = time.NewTimer(d)
		} else {
			t.timer.Reset(d)
		}
		timeC = t.timer.C
		defer t.timer.Stop()
	}
	t.state.Store(state)
	t.cpu.pause(t.k)
	if p, ok := t.th.(platform.Parker); ok {
		p.Park()
	}
	err := error(nil)
loop:
	for {
		select {
		case <-c:
			break loop
		case <-t.wakeC:
			if bits == 0 || t.work.Load()&bits != 0 {
				err = errno.ERESTARTSYS
				break loop
			}
		case <-timeC:
			err = errno.ETIMEDOUT
			break loop
		}
	}
	t.cpu.start(t.k)
	t.state.Store(stateRunning)
	t.cpu.nvcsw.Add(1)
	if t.work.Load()&workPause != 0 {
		t.pausePoint()
	}
	return err
}

// Interrupted implements kctx.Ctx.
func (t *Task) Interrupted() bool { return t.work.Load()&(workSignal|workTrace) != 0 }

// pauseState stops tasks at a safe point: before user code, or asleep in block
// (where they may stay; they do not come back while paused). All tasks can be
// stopped, or those of single containers.
type pauseState struct {
	mu     sync.Mutex
	paused atomic.Bool   // something is
	gate   chan struct{} // closed, and made anew, when something is no longer
	all    bool
	some   map[string]bool // by container
}

func (p *pauseState) init() {
	p.gate = make(chan struct{})
	p.some = make(map[string]bool)
}

// holds says whether tasks of a container have to wait, and for what.
func (p *pauseState) holds(container string) (chan struct{}, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate, p.all || p.some[container]
}

// changeLocked lets those who wait look again.
func (p *pauseState) changeLocked() {
	p.paused.Store(p.all || len(p.some) > 0)
	close(p.gate)
	p.gate = make(chan struct{})
}

// Pause stops all tasks and returns when none runs.
func (k *Kernel) Pause() {
	p := &k.pause
	p.mu.Lock()
	p.all = true
	p.paused.Store(true)
	p.mu.Unlock()
	k.waitPaused(func() bool { return p.all }, func(*Task) bool { return true })
}

// PauseContainer stops the tasks of one container and returns when none runs.
func (k *Kernel) PauseContainer(id string) {
	p := &k.pause
	p.mu.Lock()
	p.some[id] = true
	p.paused.Store(true)
	p.mu.Unlock()
	k.waitPaused(func() bool { return p.some[id] }, func(t *Task) bool { return t.tg.containerID == id })
}

// waitPaused waits until no task that is meant runs, or on is false.
func (k *Kernel) waitPaused(on func() bool, meant func(*Task) bool) {
	for {
		k.pause.mu.Lock()
		still := on()
		k.pause.mu.Unlock()
		if !still {
			return
		}
		busy := false
		for _, t := range k.allTasks() {
			if !meant(t) {
				continue
			}
			t.tg.sigMu.Lock()
			if !t.dead {
				if t.cpu.running.Load() {
					busy = true
				}
				if t.work.Load()&workPause == 0 {
					t.kick(workPause)
				}
			}
			t.tg.sigMu.Unlock()
		}
		if !busy {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// Unpause lets tasks run again that Pause stopped.
func (k *Kernel) Unpause() {
	p := &k.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = false
	p.changeLocked()
}

// UnpauseContainer lets the tasks of a container run again.
func (k *Kernel) UnpauseContainer(id string) {
	p := &k.pause
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.some, id)
	p.changeLocked()
}

// Paused says whether the sandbox is paused.
func (k *Kernel) Paused() bool {
	k.pause.mu.Lock()
	defer k.pause.mu.Unlock()
	return k.pause.all
}

// ContainerPaused says whether a container is paused, or all are.
func (k *Kernel) ContainerPaused(id string) bool {
	_, held := k.pause.holds(id)
	return held
}

// pausePoint waits while the task is paused.
func (t *Task) pausePoint() {
	p := &t.k.pause
	t.work.And(^uint32(workPause))
	for p.paused.Load() && !t.k.killed.Load() {
		gate, held := p.holds(t.tg.containerID)
		if !held {
			return
		}
		t.cpu.pause(t.k)
		<-gate
		t.cpu.start(t.k)
		t.work.And(^uint32(workPause))
	}
}

// allTasks returns every task of the sandbox that was not reaped.
func (k *Kernel) allTasks() []*Task {
	k.ts.mu.RLock()
	defer k.ts.mu.RUnlock()
	l := make([]*Task, 0, len(k.ts.root.pids))
	for _, p := range k.ts.root.pids {
		if p.task != nil {
			l = append(l, p.task)
		}
	}
	return l
}

// Tasks is allTasks for ps, /proc and the watchdog.
func (k *Kernel) Tasks() []*Task { return k.allTasks() }
