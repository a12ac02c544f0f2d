package systrap

import "sync/atomic"

// Pauses (about 20-40 ns each) that a side spins before it sleeps.
const (
	sentrySpins = 1000
	stubSpins   = 1000
)

// spinner decides how long the sentry's side of one thread spins.
type spinner struct {
	misses uint32 // spins in a row that ended in sleep
	skip   uint32 // waits that sleep at once
}

// spin reports whether *turn left turnStub while it spun.
func (w *spinner) spin(p *Platform, turn *atomic.Uint32) bool {
	if p.user.Load() >= p.ncpu {
		return spin(turn, turnStub, 50)
	}
	if w.skip > 0 {
		w.skip--
		return spin(turn, turnStub, 50)
	}
	if spin(turn, turnStub, sentrySpins) {
		w.misses = 0
		return true
	}
	if w.misses < 6 {
		w.misses++
	}
	w.skip = 1 << w.misses
	return false
}

// stubSpin is how long a stub spins for the sentry's next answer.
func (p *Platform) stubSpin() uint32 {
	if p.user.Load() > 1 {
		return 50
	}
	return stubSpins
}
