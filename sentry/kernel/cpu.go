package kernel

import (
	"runtime"
	"sync/atomic"
	"time"
)

// cpuTime accounts a task's processor time: the time it was runnable, less its
// share of waiting for a processor when more tasks were runnable than there
// are processors; user and system share by samples (linux:
// kernel/sched/cputime.c cputime_adjust does the same).
type cpuTime struct {
	running atomic.Bool
	mark    atomic.Int64 // monotonic ns of the last start
	total   atomic.Int64 // ns before mark
	user    atomic.Int64 // samples
	sys     atomic.Int64
	minFlt  atomic.Int64
	majFlt  atomic.Int64
	nvcsw   atomic.Int64
	nivcsw  atomic.Int64
	inBlk   atomic.Int64
	outBlk  atomic.Int64
	lastU   atomic.Int64 // what was reported last: times never go back
	lastS   atomic.Int64
	lastRun atomic.Int64
}

func (c *cpuTime) start(k *Kernel) {
	c.mark.Store(monotonic())
	c.running.Store(true)
	k.runnable.Add(1)
	k.ticker.wake(k)
}

func (c *cpuTime) pause(k *Kernel) {
	c.running.Store(false)
	c.total.Add(monotonic() - c.mark.Load())
	k.runnable.Add(-1)
}

// runtime is the processor time used until now. It never goes back, though
// waited may take something off what was counted.
func (c *cpuTime) runtime() int64 {
	n := c.total.Load()
	if c.running.Load() {
		n += max(monotonic()-c.mark.Load(), 0)
	}
	for {
		last := c.lastRun.Load()
		if n <= last {
			return last
		}
		if c.lastRun.CompareAndSwap(last, n) {
			return n
		}
	}
}

// waited takes off what a task that was runnable for a whole tick spent
// waiting, if n tasks shared fewer processors in turn.
func (c *cpuTime) waited(n, processors int64) {
	if n > processors {
		c.total.Add(-int64(tick) * (n - processors) / n)
	}
}

func split(total, u, s int64) (user, sys int64) {
	if s == 0 {
		return total, 0
	}
	user = int64(float64(total) * float64(u) / float64(u+s))
	return user, total - user
}

// times splits runtime.
func (c *cpuTime) times() (user, sys int64) {
	user, sys = split(c.runtime(), c.user.Load(), c.sys.Load())
	// Monotone, as cputime_adjust keeps it.
	user, sys = max(user, c.lastU.Load()), max(sys, c.lastS.Load())
	c.lastU.Store(user)
	c.lastS.Store(sys)
	return
}

// ticker samples running tasks and fires CPU timers, only while tasks run.
type ticker struct {
	on atomic.Bool
}

const tick = 10 * time.Millisecond

func (tk *ticker) wake(k *Kernel) {
	if tk.on.Load() || !tk.on.CompareAndSwap(false, true) {
		return
	}
	time.AfterFunc(tick, k.onTick)
}

func (k *Kernel) onTick() {
	if k.runnable.Load() <= 0 {
		k.ticker.on.Store(false)
		if k.runnable.Load() > 0 {
			k.ticker.wake(k)
		}
		return
	}
	var hot []*ThreadGroup
	now, n, processors := monotonic(), k.runnable.Load(), int64(runtime.NumCPU())
	k.ts.mu.RLock()
	for _, p := range k.ts.root.pids {
		t := p.task
		if t == nil || !t.cpu.running.Load() {
			continue
		}
		if now-t.cpu.mark.Load() >= int64(tick) {
			t.cpu.waited(int64(n), processors)
		}
		if t.inSwitch.Load() {
			t.cpu.user.Add(1)
		} else {
			t.cpu.sys.Add(1)
		}
		if t.tg.timers.cpuArmed.Load() {
			hot = append(hot, t.tg)
		}
	}
	k.ts.mu.RUnlock()
	for _, tg := range hot {
		tg.checkCPUTimers()
	}
	time.AfterFunc(tick, k.onTick)
}

// Resources is what getrusage(2) counts.
type Resources struct {
	UserNs, SysNs                  int64
	MinFlt, MajFlt, NVCSw, NIVCSw  int64
	InBlock, OutBlock, MaxRSSBytes int64
}

func (r *Resources) add(o Resources) {
	r.UserNs += o.UserNs
	r.SysNs += o.SysNs
	r.MinFlt += o.MinFlt
	r.MajFlt += o.MajFlt
	r.NVCSw += o.NVCSw
	r.NIVCSw += o.NIVCSw
	r.InBlock += o.InBlock
	r.OutBlock += o.OutBlock
	r.MaxRSSBytes = max(r.MaxRSSBytes, o.MaxRSSBytes)
}

// Resources returns what the task used.
func (t *Task) Resources() Resources {
	u, s := t.cpu.times()
	return Resources{UserNs: u, SysNs: s, MinFlt: t.cpu.minFlt.Load(), MajFlt: t.cpu.majFlt.Load(),
		NVCSw: t.cpu.nvcsw.Load(), NIVCSw: t.cpu.nivcsw.Load(),
		InBlock: t.cpu.inBlk.Load(), OutBlock: t.cpu.outBlk.Load()}
}

// AddIO counts blocks of 512 bytes read and written (getrusage, /proc/pid/io).
func (t *Task) AddIO(in, out int64) { t.cpu.inBlk.Add(in); t.cpu.outBlk.Add(out) }

// CPUTime is the processor time of the task in nanoseconds.
func (t *Task) CPUTime() int64 { return t.cpu.runtime() }

// Resources returns what the process's threads, dead ones included, used.
func (tg *ThreadGroup) Resources() Resources {
	tg.k.ts.mu.RLock()
	r := tg.resourcesLocked()
	l := tg.leader
	tg.k.ts.mu.RUnlock()
	// The space has a lock that comes before TaskSet.mu.
	if m := l.MM(); m != nil {
		r.MaxRSSBytes = max(r.MaxRSSBytes, int64(m.PeakRSS()))
	}
	return r
}

// cpuTotal is the processor time of all threads.
func (tg *ThreadGroup) cpuTotal() (user, sys int64) {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	r := tg.resourcesLocked()
	return r.UserNs, r.SysNs
}

func (tg *ThreadGroup) resourcesLocked() Resources {
	r := tg.deadRes
	for _, t := range tg.tasks {
		if t.exitState == exitNone {
			r.add(t.Resources())
		}
	}
	return r
}

// ChildResources returns what waited-for children used.
func (tg *ThreadGroup) ChildResources() Resources {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.childRes
}

// CPUTime is the processor time of the process in nanoseconds.
func (tg *ThreadGroup) CPUTime() int64 {
	u, s := tg.cpuTotal()
	return u + s
}
