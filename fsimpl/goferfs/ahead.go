package goferfs

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// walkStarts is how many directories in a row are fetched one by one before
// it counts as a walk of the tree.
const walkStarts = 3

// spare says that there are processors for fetching beside the walker, its
// user code and the gofer. Where there are not it is faster to take turns.
var spare = runtime.NumCPU() > 2

// readAhead fetches the directories that a walk of the tree will come to next,
// while the walker works on what it has.
type readAhead struct {
	fs   *Super
	stop atomic.Bool

	mu   sync.Mutex
	busy chan struct{} // closed at the end of the fetch under way; nil if none
}

// wait waits for the fetch under way; false if there is none.
func (r *readAhead) wait() bool {
	r.mu.Lock()
	c := r.busy
	r.mu.Unlock()
	if c == nil {
		return false
	}
	<-c
	return true
}

// from starts fetching what comes after directory i, if a walk is under way.
func (r *readAhead) from(i *inode) {
	s := r.fs
	if !s.exclusive || s.walking.Load() <= walkStarts || !spare || r.stop.Load() {
		return
	}
	r.mu.Lock()
	if r.busy != nil {
		r.mu.Unlock()
		return
	}
	d := s.nextAfter(i)
	if d == nil {
		r.mu.Unlock()
		return
	}
	c := make(chan struct{})
	r.busy = c
	r.mu.Unlock()
	go func() {
		d.fetch(1<<31, 1024)
		r.mu.Lock()
		r.busy = nil
		r.mu.Unlock()
		close(c)
	}()
}

// aheadSteps bounds the search for a directory to fetch.
const aheadSteps = 256

// nextAfter returns the first directory in the order of a walk, from i on,
// that is not complete; nil if there is none nearby or the cache is full.
func (s *Super) nextAfter(i *inode) *inode {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.nodes > nodeLimit*3/4 {
		return nil
	}
	steps := aheadSteps
	if d := i.firstOpenLocked(&steps, ""); d != nil {
		return d
	}
	for i.parent != nil && !i.gone && steps > 0 {
		if d := i.parent.firstOpenLocked(&steps, i.name); d != nil {
			return d
		}
		i = i.parent
	}
	return nil
}

// firstOpenLocked looks below directory i, behind the entry after.
func (i *inode) firstOpenLocked(steps *int, after string) *inode {
	if !i.dir.complete {
		if after == "" {
			return i
		}
		return nil
	}
	skip := after != ""
	for n := range i.dir.listing {
		e := &i.dir.listing[n]
		if skip {
			skip = e.name != after
			continue
		}
		if e.typ != 4 {
			continue
		}
		if *steps--; *steps < 0 {
			return nil
		}
		if k := i.dir.kids[e.name]; k != nil && k.dir != nil && !k.gone {
			if d := k.firstOpenLocked(steps, ""); d != nil || *steps < 0 {
				return d
			}
		}
	}
	return nil
}
