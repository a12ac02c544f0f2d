package pages

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/memmap"
)

const (
	// windowShift sets the size of the sentry's mappings of a Memory.
	windowShift = 28
	windowSize  = 1 << windowShift
	// leafWindows is how many windows one entry of the top table covers.
	leafWindows = 1024
	// maxOffset bounds the file; it is far beyond what can be used up.
	maxOffset = 1 << 61
	// Freed memory goes back to the host in the background: as soon as punchAt
	// bytes have come together, or after punchDelay. Who frees when punchNow
	// bytes are waiting has to do the work.
	punchAt    = 8 << 20
	punchNow   = 256 << 20
	punchDelay = 20 * time.Millisecond
)

type window struct {
	mem atomic.Pointer[byte]
	// live counts referenced bytes of the window, under Memory.mu.
	live uint64
}

// leaf is the windows of one entry of the top table.
type leaf struct {
	windows [leafWindows]window
	live    uint64 // as of a window
}

// topTable is read without a lock; entries change under Memory.mu.
type topTable []atomic.Pointer[leaf]

// Memory is one sparse memfd from which ranges are allocated.
type Memory struct {
	ro, rw int
	top    atomic.Pointer[topTable]
	// giving is held while freed pages go back; before mu.
	giving sync.Mutex

	mu struct {
		sync.Mutex
		refs *refTree
		next uint64
		// freed has ranges without references that still hold pages.
		freed      []memmap.Range
		freedBytes uint64
		timerSet   bool
		punching   bool
	}
}

// NewMemory creates the file. It opens /proc/self/fd once, for a read-only
// descriptor of the same file.
func NewMemory(name string) (*Memory, error) {
	rw, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating memory file: %w", err)
	}
	if err := unix.Ftruncate(rw, maxOffset); err != nil {
		unix.Close(rw)
		return nil, fmt.Errorf("sizing memory file: %w", err)
	}
	ro, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", rw), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(rw)
		return nil, fmt.Errorf("opening memory file read-only: %w", &os.PathError{Op: "open", Path: name, Err: err})
	}
	m := &Memory{ro: ro, rw: rw}
	m.mu.refs = newRefTree()
	m.top.Store(new(topTable))
	return m, nil
}

// Close closes the descriptors. Only tests and the end of a sandbox use it.
func (m *Memory) Close() {
	m.giving.Lock()
	defer m.giving.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.freed = nil
	unix.Close(m.ro)
	unix.Close(m.rw)
}

// Host implements memmap.File.
func (m *Memory) Host() (ro, rw int) { return m.ro, m.rw }

// Allocate returns n bytes (rounded up to pages) of zeroes at offsets never
// used before, with one reference. Nothing is committed until it is touched.
func (m *Memory) Allocate(n uint64) (memmap.Range, error) {
	n = roundUp(n)
	if n == 0 || n > maxOffset {
		return memmap.Range{}, errno.ENOMEM
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	start := m.mu.next
	// A range that fits a window stays inside one, so that Bytes gives it
	// in one piece.
	if room := windowSize - start%windowSize; n > room && n <= windowSize {
		start += room
	}
	if start > maxOffset-n {
		return memmap.Range{}, errno.ENOMEM
	}
	r := memmap.Range{Start: start, End: start + n}
	m.mu.next = r.End
	m.growLocked(r.End)
	m.mu.refs.insert(r)
	m.liveLocked(r, true)
	return r, nil
}

const leafSpan = leafWindows * windowSize

// growLocked makes the top table reach end.
func (m *Memory) growLocked(end uint64) {
	old := *m.top.Load()
	need := int((end + leafSpan - 1) / leafSpan)
	if need <= len(old) {
		return
	}
	top := make(topTable, max(need, len(old)+len(old)/4))
	for i := range old {
		top[i].Store(old[i].Load())
	}
	m.top.Store(&top)
}

func (m *Memory) windowAt(off uint64) *window {
	top := *m.top.Load()
	i := off >> windowShift
	if i/leafWindows >= uint64(len(top)) {
		return nil
	}
	l := top[i/leafWindows].Load()
	if l == nil {
		return nil
	}
	return &l.windows[i%leafWindows]
}

// liveLocked accounts r in its windows. Windows and leaves that became empty
// and lie wholly below next, which only grows, are given up for good.
func (m *Memory) liveLocked(r memmap.Range, add bool) {
	top := *m.top.Load()
	for off := r.Start; off < r.End; {
		end := min(r.End, (off|(windowSize-1))+1)
		slot := &top[off/leafSpan]
		l := slot.Load()
		if l == nil {
			l = new(leaf)
			slot.Store(l)
		}
		w := &l.windows[off>>windowShift%leafWindows]
		if add {
			w.live += end - off
			l.live += end - off
		} else {
			w.live -= end - off
			l.live -= end - off
			if w.live == 0 && (off|(windowSize-1)) < m.mu.next {
				if p := w.mem.Swap(nil); p != nil {
					unmap(slice(p, 0, windowSize))
				}
			}
			if l.live == 0 && (off|(leafSpan-1)) < m.mu.next {
				slot.Store(nil)
			}
		}
		off = end
	}
}

// IncRef implements memmap.File.
func (m *Memory) IncRef(r memmap.Range) {
	m.mu.Lock()
	ok := m.mu.refs.add(r, 1, nil)
	m.mu.Unlock()
	if !ok {
		panic("pages: IncRef of a range without references")
	}
}

// IncRefs is IncRef of several ranges.
func (m *Memory) IncRefs(rs []memmap.Range) {
	m.mu.Lock()
	ok := true
	for _, r := range rs {
		ok = m.mu.refs.add(r, 1, nil) && ok
	}
	m.mu.Unlock()
	if !ok {
		panic("pages: IncRefs of a range without references")
	}
}

// DecRef implements memmap.File.
func (m *Memory) DecRef(r memmap.Range) {
	m.mu.Lock()
	if !m.mu.refs.add(r, -1, m.freeLocked) {
		panic("pages: DecRef of a range without references")
	}
	now := false
	switch {
	case m.mu.freedBytes >= punchNow:
		now = true
	case m.mu.freedBytes >= punchAt && !m.mu.punching:
		m.mu.punching = true
		go m.FlushFreed()
	case len(m.mu.freed) > 0 && !m.mu.timerSet:
		m.mu.timerSet = true
		time.AfterFunc(punchDelay, m.FlushFreed)
	}
	m.mu.Unlock()
	if now {
		m.FlushFreed()
	}
}

// Unique says whether each page of r has exactly one reference: the caller's
// own, so that nobody else can gain one meanwhile.
func (m *Memory) Unique(r memmap.Range) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.refs.unique(r)
}

func (m *Memory) freeLocked(r memmap.Range) {
	m.liveLocked(r, false)
	m.mu.freedBytes += r.Len()
	if n := len(m.mu.freed); n > 0 {
		switch last := &m.mu.freed[n-1]; {
		case last.End == r.Start:
			last.End = r.End
			return
		case r.End == last.Start:
			last.Start = r.Start
			return
		}
	}
	m.mu.freed = append(m.mu.freed, r)
}

func (m *Memory) punch(r memmap.Range) {
	err := unix.Fallocate(m.rw, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(r.Start), int64(r.Len()))
	if err != nil {
		klog.Errorf("pages: punching %#x-%#x: %v", r.Start, r.End, err)
	}
}

// Zero makes r, which the caller alone refers to, read as zeroes again and
// gives its pages back.
func (m *Memory) Zero(r memmap.Range) { m.punch(r) }

// FlushFreed gives all freed pages back to the host now.
func (m *Memory) FlushFreed() {
	m.giving.Lock()
	defer m.giving.Unlock()
	m.mu.Lock()
	freed := m.mu.freed
	m.mu.freed, m.mu.freedBytes = nil, 0
	m.mu.timerSet, m.mu.punching = false, false
	m.mu.Unlock()
	// No lock is needed: nobody will ever have these offsets again.
	for _, r := range freed {
		m.punch(r)
	}
}

// Bytes implements memmap.File. It never fails for a range with references,
// and touching the bytes never faults.
func (m *Memory) Bytes(off, n uint64, write bool) ([]byte, error) {
	w := m.windowAt(off)
	if w == nil {
		return nil, errno.EFAULT
	}
	p := w.mem.Load()
	if p == nil {
		var err error
		if p, err = m.mapWindow(w, off&^(windowSize-1)); err != nil {
			return nil, err
		}
	}
	at := off & (windowSize - 1)
	return slice(p, at, min(n, windowSize-at)), nil
}

func (m *Memory) mapWindow(w *window, off uint64) (*byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := w.mem.Load(); p != nil {
		return p, nil
	}
	b, err := mapFile(m.rw, off, windowSize, true)
	if err != nil {
		return nil, err
	}
	p := &b[0]
	w.mem.Store(p)
	return p, nil
}

// Copy copies n bytes at src of from (a memmap.File whose bytes may fault) to
// dst. The copy goes through a write to the file: the host then needs
// neither to clear the new pages nor to take a fault for each.
func (m *Memory) Copy(dst uint64, src []byte) error {
	for len(src) > 0 {
		n, err := unix.Pwrite(m.rw, src, int64(dst))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return errno.FromHost(err)
		}
		dst += uint64(n)
		src = src[n:]
	}
	return nil
}

// TouchedBytes is the sum of Touched.
func (m *Memory) TouchedBytes(r memmap.Range) (n uint64) {
	// Up to some size one sweep costs less than a call for every run.
	const sweep = 4 << 20
	if r.Len() <= sweep {
		var vec [sweep / pageSize]byte
		for off := m.NextTouched(r); off < r.End; {
			b, err := m.Bytes(off, r.End-off, false)
			if err != nil || mincore(b, vec[:]) != nil {
				break
			}
			for _, v := range vec[:len(b)/pageSize] {
				n += uint64(v&1) * pageSize
			}
			off += uint64(len(b))
		}
		return n
	}
	for _, t := range m.Touched(r) {
		n += t.Len()
	}
	return n
}

// Commit allocates the pages of r. (fallocate(2) would, but pages it makes
// count as holes until they are written.)
func (m *Memory) Commit(r memmap.Range) error {
	for off := r.Start; off < r.End; {
		b, err := m.Bytes(off, r.End-off, true)
		if err != nil {
			return err
		}
		if err := unix.Madvise(b, unix.MADV_POPULATE_WRITE); err != nil {
			return errno.FromHost(err)
		}
		off += uint64(len(b))
	}
	return nil
}

// NextTouched returns the first offset in r that holds a page, or r.End.
func (m *Memory) NextTouched(r memmap.Range) uint64 {
	if r.Len() == 0 {
		return r.End
	}
	d, err := unix.Seek(m.ro, int64(r.Start), unix.SEEK_DATA)
	if err != nil {
		return r.End
	}
	return min(uint64(d)&^pageMask, r.End)
}

// Usage is how many bytes of the file the host holds.
func (m *Memory) Usage() uint64 {
	var st unix.Stat_t
	if err := unix.Fstat(m.rw, &st); err != nil {
		return 0
	}
	return uint64(st.Blocks) * 512
}

// Touched returns the parts of r that hold pages; the rest reads as zeroes.
//
// SEEK_DATA skips holes quickly, but SEEK_HOLE would look at every page up to
// the next hole, far beyond r. mincore(2) is bounded; what it does not see
// (a page that is swapped out) the next SEEK_DATA finds.
func (m *Memory) Touched(r memmap.Range) []memmap.Range {
	var out []memmap.Range
	var vec [256]byte
	step := uint64(16)
	for off := r.Start; off < r.End; {
		d := m.NextTouched(memmap.Range{Start: off, End: r.End})
		if d >= r.End {
			break
		}
		end := d + pageSize
		if b, err := m.Bytes(d, min(r.End-d, step*pageSize), false); err == nil && mincore(b, vec[:]) == nil {
			n := uint64(1)
			for n < uint64(len(b))/pageSize && vec[n]&1 != 0 {
				n++
			}
			if end = d + n*pageSize; n == step {
				step = min(2*step, uint64(len(vec)))
			} else {
				step = 16
			}
		}
		if k := len(out); k > 0 && out[k-1].End == d {
			out[k-1].End = end
		} else {
			out = append(out, memmap.Range{Start: d, End: end})
		}
		off = end
	}
	return out
}

// Live lists the ranges with references (tests and debugging).
func (m *Memory) Live() []memmap.Range {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []memmap.Range
	m.mu.refs.t.Ascend(func(s seg) bool {
		out = append(out, memmap.Range{Start: s.start, End: s.end})
		return true
	})
	return out
}
