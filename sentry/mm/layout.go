package mm

import (
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/memmap"
)

const (
	// minAddr is vm.mmap_min_addr.
	minAddr = 65536
	// maxAreas is vm.max_map_count.
	maxAreas = 65530
	// maxPieces is about how many mappings the host lets a stub have.
	maxPieces = 65000
	// stackGap is kept free below a growing stack (stack_guard_gap).
	stackGap = 256 * pageSize

	// Bits of randomness, in pages, as x86-64 Linux has them (mmap_rnd_bits,
	// STACK_RND_MASK, arch_randomize_brk).
	mmapRandPages  = 1 << 28
	stackRandPages = 1 << 22
	brkRandBytes   = 0x02000000

	low32Start = 0x40000000
	low32End   = 0x80000000
)

// layout says where new mappings go.
type layout struct {
	stackTop uint64 // end of the stack area
	mmapBase uint64 // mappings are placed below, top down
	peBase   uint64 // where position-independent programs go
	brkRand  uint64
}

func defaultLayout(end uint64) layout {
	return layout{stackTop: end, mmapBase: end - 128<<20, peBase: end / 3 * 2 &^ pageMask}
}

// SetLayout chooses addresses for a new program (linux: mmap_base and
// load_elf_binary). stackLimit is RLIMIT_STACK.
func (s *Space) SetLayout(stackLimit uint64, random bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := defaultLayout(s.max)
	gap := stackLimit
	gap += stackGap + stackRandPages*pageSize
	if gap < stackLimit {
		gap = stackLimit
	}
	gap = min(max(gap, 128<<20), s.max/6*5)
	l.mmapBase = s.max - gap
	if random {
		l.stackTop -= rand.Uint64N(stackRandPages) * pageSize
		l.mmapBase -= rand.Uint64N(mmapRandPages) * pageSize
		l.peBase += rand.Uint64N(mmapRandPages) * pageSize
		l.brkRand = rand.Uint64N(brkRandBytes) &^ pageMask
	}
	l.mmapBase &^= pageMask
	s.layout = l
}

// StackTop is where the stack of a new program ends.
func (s *Space) StackTop() uint64 { return s.layout.stackTop }

// PIEBase is where a position-independent program is loaded.
func (s *Space) PIEBase() uint64 { return s.layout.peBase }

// BrkRandom is the random distance of the heap from the program's end.
func (s *Space) BrkRandom() uint64 { return s.layout.brkRand }

// findGap returns a place for length bytes.
// Preconditions: s.mu is held.
func (s *Space) findGap(hint, length uint64, flags uint32) (uint64, error) {
	if length > s.max {
		return 0, errno.ENOMEM
	}
	if flags&unix.MAP_32BIT != 0 {
		if a, ok := s.gapBelow(low32End, low32Start, length); ok {
			return a, nil
		}
		return 0, errno.ENOMEM
	}
	if hint != 0 {
		hint = (hint + pageMask) &^ pageMask
		hint = max(hint, s.min)
		if hint <= s.max-length && s.free(memmap.Range{Start: hint, End: hint + length}) {
			return hint, nil
		}
	}
	if a, ok := s.gapBelow(s.layout.mmapBase, s.min, length); ok {
		return a, nil
	}
	if a, ok := s.gapBelow(s.max, s.layout.mmapBase, length); ok {
		return a, nil
	}
	return 0, errno.ENOMEM
}

// free says whether r can be mapped without touching anything, guard gaps included.
func (s *Space) free(r memmap.Range) bool {
	n := s.areas.next(r.Start)
	return n == nil || n.guardedStart() >= r.End
}

// guardedStart is the start of a with the gap that a stack keeps below it.
func (a *area) guardedStart() uint64 {
	if a.flags&fGrowsDown == 0 {
		return a.start
	}
	if a.start < stackGap {
		return 0
	}
	return a.start - stackGap
}

// gapBelow finds the highest free place that ends at or below hi and starts at
// or above lo.
func (s *Space) gapBelow(hi, lo, length uint64) (uint64, bool) {
	i := s.areas.search(hi)
	if i < len(s.areas.s) {
		// The area at or above hi may reach below it.
		hi = min(hi, s.areas.s[i].guardedStart())
	}
	for i--; ; i-- {
		end := lo
		if i >= 0 {
			end = max(lo, s.areas.s[i].end)
		}
		if hi >= end && hi-end >= length {
			return hi - length, true
		}
		if i < 0 || hi <= lo {
			return 0, false
		}
		hi = min(hi, s.areas.s[i].guardedStart())
	}
}
