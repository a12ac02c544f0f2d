package pages

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/memmap"
)

// hostWindow is the size of the sentry's mappings of a HostFile. Up to
// keptWindows of them stay when nobody refers to their file: programs come
// and go, and map the same libraries.
const (
	hostWindow  = 16 << 20
	keptWindows = 1024
)

// windowCount is how many windows of host files there are.
var windowCount atomic.Int64

// HostFile is a donated host file. It owns the descriptors. References count
// users of the whole file; windows live as long as there is one.
type HostFile struct {
	ro, rw int

	mu struct {
		sync.RWMutex
		refs    int64 // referenced pages
		closed  bool
		windows map[uint64]*hostWin // by offset / hostWindow
	}
}

type hostWin struct {
	mem   []byte
	write bool
}

// NewHostFile wraps the descriptors of one file: ro opened read-only, rw
// opened for writing or -1. sizeHint is the file's size as last known.
func NewHostFile(ro, rw int, sizeHint uint64) *HostFile { return &HostFile{ro: ro, rw: rw} }

// Host implements memmap.File.
func (f *HostFile) Host() (ro, rw int) { return f.ro, f.rw }

// IncRef implements memmap.File.
func (f *HostFile) IncRef(r memmap.Range) {
	f.mu.Lock()
	f.mu.refs += int64(r.Len() / pageSize)
	f.mu.Unlock()
}

// DecRef implements memmap.File.
func (f *HostFile) DecRef(r memmap.Range) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.refs -= int64(r.Len() / pageSize)
	if f.mu.refs < 0 {
		panic("pages: DecRef of a host file without references")
	}
	f.cleanLocked()
}

// Close gives up the descriptors; they are closed when the last reference goes.
func (f *HostFile) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.closed = true
	f.cleanLocked()
}

func (f *HostFile) cleanLocked() {
	if f.mu.refs != 0 {
		return
	}
	if !f.mu.closed && windowCount.Load() <= keptWindows {
		return
	}
	for i, w := range f.mu.windows {
		unmap(w.mem)
		delete(f.mu.windows, i)
		windowCount.Add(-1)
	}
	if !f.mu.closed {
		return
	}
	if f.ro >= 0 {
		unix.Close(f.ro)
	}
	if f.rw >= 0 && f.rw != f.ro {
		unix.Close(f.rw)
	}
	f.ro, f.rw = -1, -1
}

// Bytes implements memmap.File. The caller has a reference on the range.
// Touching the result can fault.
func (f *HostFile) Bytes(off, n uint64, write bool) ([]byte, error) {
	i, at := off/hostWindow, off%hostWindow
	n = min(n, hostWindow-at)
	f.mu.RLock()
	w := f.mu.windows[i]
	f.mu.RUnlock()
	if w != nil && (w.write || !write) {
		return w.mem[at : at+n], nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w = f.mu.windows[i]
	if w != nil && (w.write || !write) {
		return w.mem[at : at+n], nil
	}
	if write && f.rw < 0 {
		return nil, errno.EFAULT
	}
	// A file open for writing is mapped so at once: a window handed out
	// cannot be replaced before all references are gone.
	fd, wr := f.rw, true
	if fd < 0 {
		fd, wr = f.ro, false
	}
	mem, err := mapFile(fd, i*hostWindow, hostWindow, wr)
	if err != nil {
		return nil, err
	}
	if f.mu.windows == nil {
		f.mu.windows = make(map[uint64]*hostWin)
	}
	f.mu.windows[i] = &hostWin{mem, wr}
	windowCount.Add(1)
	return mem[at : at+n], nil
}
