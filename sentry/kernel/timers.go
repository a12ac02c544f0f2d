package kernel

import (
	"sync"
	"sync/atomic"
)

// timerSet has the timers of a process.
type timerSet struct {
	mu       sync.Mutex
	cpuArmed atomic.Bool
}

func (s *timerSet) exec(tg *ThreadGroup)    {}
func (s *timerSet) stopAll(tg *ThreadGroup) {}
func (tg *ThreadGroup) checkCPUTimers()     {}
