package systrap

import (
	"runtime"
	"sync/atomic"
)

// How long a side spins before it sleeps, in pauses (26 ns each here).
//
// A task that is not blocked needs one core, which its user code and its
// sentry side take in turn; to spin is to take a second one. While there are
// cores to spare that costs nobody anything, and a wake-up across cores takes
// 5 to 15 us: spin for longer than that, since a batch of mappings or a walk of
// the gofer's tree takes 20 us. Otherwise a spin takes the core from somebody,
// and a wake-up costs two switches: spin for about that long, which at most
// doubles it.
const (
	roundSpins  = 50 // before the sentry looks at its other goroutines
	idleRounds  = 20
	wokenRounds = 30 // for a stub that had to be woken first
	busyRounds  = 4
	idleStub    = 1200
	busyStub    = 200
	fewSpins    = 20
	// maxMisses bounds how rarely a spin is tried that used not to pay.
	maxMisses = 6
)

// backoff says which of a sequence of tries to make: after n failures in a
// row, one in 2^n.
type backoff struct{ misses, skip uint32 }

func (b *backoff) try() bool {
	if b.skip > 0 {
		b.skip--
		return false
	}
	return true
}

func (b *backoff) result(ok bool) {
	if ok {
		b.misses = 0
		return
	}
	b.misses = min(b.misses+1, maxMisses)
	b.skip = 1<<b.misses - 1
}

// spinner decides how long both sides of one thread spin.
type spinner struct {
	own    backoff // our own spinning
	woken  backoff // the same after waking the stub
	theirs backoff // the stub's, which we order
	tried  bool    // the stub was told to spin
	parked bool    // the stub was told to sleep
}

// spin reports whether *turn left turnStub while it spun. woke says that the
// stub was asleep when it got its turn.
func (w *spinner) spin(p *Platform, turn *atomic.Uint32, woke bool) bool {
	b, rounds := &w.own, idleRounds
	if woke {
		b, rounds = &w.woken, wokenRounds
	}
	if p.crowded() {
		rounds = busyRounds
	}
	if !b.try() {
		// Goroutines that can run do so here: to sleep with one waiting would
		// wake another thread for it.
		runtime.Gosched()
		return spin(turn, turnStub, fewSpins)
	}
	ok := false
	for i := 0; i < rounds && !ok; i++ {
		if ok = spin(turn, turnStub, roundSpins); !ok {
			runtime.Gosched()
		}
	}
	ok = ok || turn.Load() != turnStub
	b.result(ok)
	return ok
}

// stub returns how long the stub should spin for the next answer; slept says
// that it did not get this one by spinning.
func (w *spinner) stub(p *Platform, slept bool) uint32 {
	if w.tried && !w.parked {
		w.theirs.result(!slept)
	}
	w.parked = false
	w.tried = w.theirs.try()
	switch {
	case !w.tried:
		return fewSpins
	case p.crowded():
		return busyStub
	}
	return idleStub
}

// crowded says that there are no cores to spare.
func (p *Platform) crowded() bool { return p.active.Load() >= p.ncpu }

// activate counts t among the threads whose task is not blocked.
func (t *Thread) activate() {
	if !t.active {
		t.active = true
		t.s.p.active.Add(1)
	}
}

func (t *Thread) deactivate() {
	if t.active {
		t.active = false
		t.s.p.active.Add(-1)
	}
}
