package boot

import (
	"time"

	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/klog"
)

const (
	watchEvery = 30 * time.Second
	stuckAfter = 60 * time.Second
)

// seen is what the watchdog last knew of a task.
type seen struct {
	count uint64
	since time.Time
	told  bool
}

// watchdog reports tasks that have been inside one system call, not blocked,
// for longer than any call should take: a lock that is never released, a loop
// in the sentry.
func (s *server) watchdog() {
	last := make(map[*kernel.Task]seen)
	for {
		time.Sleep(watchEvery)
		now := time.Now()
		alive := make(map[*kernel.Task]seen, len(last))
		for _, tg := range s.k.RootPIDNS().ThreadGroups() {
			for _, t := range tg.Tasks() {
				nr, count := t.Call()
				if nr < 0 || t.State() != 'R' || s.k.Paused() {
					continue
				}
				w, ok := last[t]
				if !ok || w.count != count {
					w = seen{count: count, since: now}
				}
				if d := now.Sub(w.since); d >= stuckAfter && !w.told {
					w.told = true
					klog.Errorf("watchdog: task %d (%s) has been in %s for %d s; stacks:\n%s",
						t.PID().Root(), t.Name(), callName(nr), int(d.Seconds()), allStacks())
				}
				alive[t] = w
			}
		}
		last = alive
	}
}

func allStacks() string {
	b := make([]byte, 1<<20)
	return string(b[:runtimeStack(b, true)])
}
