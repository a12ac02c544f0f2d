package systrap

import (
	"runtime"
	"sync/atomic"
)

// How long a side spins before it sleeps, in pauses (26 ns each here). Waking a
// thread on another core costs 5 to 15 us, of which half is processor time;
// spinning for about as long at most doubles it.
const (
	// sentryRounds of roundSpins pauses, with a look at the other goroutines
	// between: one core polls for all threads.
	sentryRounds = 6
	roundSpins   = 50
	// wokenRounds is for a stub that had to be woken first.
	wokenRounds = 16
	stubSpins   = 300
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
func (w *spinner) spin(turn *atomic.Uint32, woke bool) bool {
	b, rounds := &w.own, sentryRounds
	if woke {
		b, rounds = &w.woken, wokenRounds
	}
	if !b.try() {
		return spin(turn, turnStub, fewSpins)
	}
	ok := false
	for i := 0; i < rounds && !ok; i++ {
		if i > 0 {
			runtime.Gosched()
		}
		ok = spin(turn, turnStub, roundSpins)
	}
	b.result(ok)
	return ok
}

// stub returns how long the stub should spin for the next answer; slept says
// that it did not get this one by spinning.
func (w *spinner) stub(slept bool) uint32 {
	if w.tried && !w.parked {
		w.theirs.result(!slept)
	}
	w.parked = false
	w.tried = w.theirs.try()
	if w.tried {
		return stubSpins
	}
	return fewSpins
}
