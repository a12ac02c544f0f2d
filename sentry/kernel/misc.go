package kernel

import (
	"cmp"
	"math"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"redoubt.dev/redoubt/sentry/errno"
)

// Compare is kcmp(2) for two tasks: 0 equal, 1 less, 2 greater.
func (t *Task) Compare(x, y *Task, kind, i, j int32) (uint64, error) {
	ord := func(a, b unsafe.Pointer) (uint64, error) {
		// The order only has to be stable; addresses are not shown.
		switch cmp.Compare(uintptr(a)*0x9e3779b97f4a7c15, uintptr(b)*0x9e3779b97f4a7c15) {
		case 0:
			return 0, nil
		case -1:
			return 1, nil
		}
		return 2, nil
	}
	switch kind {
	case 0: // KCMP_FILE
		fx, err := x.File(i)
		if err != nil {
			return 0, err
		}
		defer fx.DecRef(t)
		fy, err := y.File(j)
		if err != nil {
			return 0, err
		}
		defer fy.DecRef(t)
		return ord(unsafe.Pointer(fx), unsafe.Pointer(fy))
	case 1: // KCMP_VM
		return ord(unsafe.Pointer(x.MM()), unsafe.Pointer(y.MM()))
	case 2: // KCMP_FILES
		return ord(unsafe.Pointer(x.FDs()), unsafe.Pointer(y.FDs()))
	case 3: // KCMP_FS
		return ord(unsafe.Pointer(x.FS()), unsafe.Pointer(y.FS()))
	case 4: // KCMP_SIGHAND
		return ord(unsafe.Pointer(x.tg.handlersPtr()), unsafe.Pointer(y.tg.handlersPtr()))
	case 5: // KCMP_IO: contexts are per task
		return ord(unsafe.Pointer(x), unsafe.Pointer(y))
	case 6: // KCMP_SYSVSEM: undo lists are not shared; without one they are equal
		return 0, nil
	}
	return 0, errno.EINVAL
}

func (tg *ThreadGroup) handlersPtr() *SignalHandlers {
	tg.sigMu.Lock()
	defer tg.sigMu.Unlock()
	return tg.handlers
}

// RegisterMembarrier records what membarrier(2) registered.
func (tg *ThreadGroup) RegisterMembarrier(bits uint32) { tg.membarriers.Or(bits) }

// Membarriers is what was registered.
func (tg *ThreadGroup) Membarriers() uint32 { return tg.membarriers.Load() }

// Barrier returns when every other running thread of the process (with all,
// of the sandbox) has been in the sentry since.
func (t *Task) Barrier(all bool) {
	l := t.tg.Tasks()
	if all {
		l = t.k.allTasks()
	}
	type seen struct {
		t *Task
		n uint32
		c uint64
	}
	var wait []seen
	for _, x := range l {
		if x == t {
			continue
		}
		x.tg.sigMu.Lock()
		if !x.dead && x.inSwitch.Load() {
			n, c := x.entries.Load(), x.call.Load()
			if th := x.thPtr.Load(); th != nil {
				(*th).Interrupt()
			}
			wait = append(wait, seen{x, n, c})
		}
		x.tg.sigMu.Unlock()
	}
	for _, s := range wait {
		for i := 0; s.t.inSwitch.Load() && s.t.entries.Load() == s.n && s.t.call.Load() == s.c; i++ {
			if i < 100 {
				runtime.Gosched()
			} else {
				time.Sleep(20 * time.Microsecond)
			}
		}
	}
}

// loadAvg keeps the load averages, sampled when somebody asks or a tick runs.
type loadAvg struct {
	mu   sync.Mutex
	last int64
	avg  [3]float64
}

// LoadAvg is the load over 1, 5 and 15 minutes, in units of 1/65536.
func (k *Kernel) LoadAvg() [3]uint64 {
	l := &k.load
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sample(k)
	var out [3]uint64
	for i, v := range l.avg {
		out[i] = uint64(v * 65536)
	}
	return out
}

func (l *loadAvg) sample(k *Kernel) {
	now := monotonic()
	d := float64(now-l.last) / 1e9
	if l.last == 0 {
		l.last = now
		return
	}
	if d < 1 {
		return
	}
	l.last = now
	n := float64(max(k.runnable.Load(), 0))
	for i, span := range [...]float64{60, 300, 900} {
		f := math.Exp(-d / span)
		l.avg[i] = l.avg[i]*f + n*(1-f)
	}
}
