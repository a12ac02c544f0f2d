// Package fdtable is a process's table of file descriptors.
//
// A Table is shared by the tasks of CLONE_FILES and counted by them. Get is the
// hot path: a lookup without a lock, safe because a File that is being
// released refuses new references and garbage collection keeps its memory.
//
// Lock order: lock.FDTableMu is last but futexes; files are released and
// flushed outside it.
package fdtable

import (
	"math/bits"
	"sync/atomic"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/lock"
	"redoubt.dev/redoubt/vfs"
)

// MaxFDs bounds a table whatever the limit says (fs.nr_open).
const MaxFDs = 1 << 20

// slots is the array behind a table; replaced as a whole to grow.
type slots struct{ f []atomic.Pointer[vfs.File] }

// Table is a table of file descriptors.
type Table struct {
	refs atomic.Int64
	s    atomic.Pointer[slots]
	mu   lock.Mutex[lock.FDTableMu]

	// Under mu: one bit per descriptor.
	used    []uint64
	cloexec []uint64
	next    int32 // no free descriptor below
	n       int
}

// New returns an empty table with one reference.
func New() *Table {
	t := &Table{}
	t.refs.Store(1)
	t.s.Store(&slots{make([]atomic.Pointer[vfs.File], 64)})
	t.used = make([]uint64, 1)
	t.cloexec = make([]uint64, 1)
	return t
}

// IncRef takes another reference.
func (t *Table) IncRef() { t.refs.Add(1) }

// Shared says whether more than one task uses the table.
func (t *Table) Shared() bool { return t.refs.Load() > 1 }

// DecRef drops a reference; the last one closes every descriptor.
func (t *Table) DecRef(ctx kctx.Ctx) {
	if t.refs.Add(-1) != 0 {
		return
	}
	for _, f := range t.takeAll(func(int32) bool { return true }) {
		t.closed(ctx, f)
	}
}

// closed finishes the close of a descriptor of f, whose reference it takes.
func (t *Table) closed(ctx kctx.Ctx, f *vfs.File) error {
	err := f.Flush(ctx, t)
	f.DecRef(ctx)
	return err
}

// Get returns the file behind fd with a reference, or EBADF.
func (t *Table) Get(fd int32) (*vfs.File, error) {
	for {
		s := t.s.Load()
		if uint32(fd) >= uint32(len(s.f)) {
			return nil, errno.EBADF
		}
		f := s.f[fd].Load()
		if f == nil {
			return nil, errno.EBADF
		}
		if f.TryIncRef() {
			return f, nil
		}
	}
}

// Peek is Get without a reference: for the only task of a table during one
// system call, or to look only.
func (t *Table) Peek(fd int32) *vfs.File {
	s := t.s.Load()
	if uint32(fd) >= uint32(len(s.f)) {
		return nil
	}
	return s.f[fd].Load()
}

// Cloexec returns the close-on-exec flag of fd.
func (t *Table) Cloexec(fd int32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fd >= 0 && int(fd>>6) < len(t.cloexec) && t.cloexec[fd>>6]>>(fd&63)&1 != 0
}

// SetCloexec sets the close-on-exec flag of fd.
func (t *Table) SetCloexec(fd int32, on bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.usedLocked(fd) {
		return errno.EBADF
	}
	t.setCloexecLocked(fd, on)
	return nil
}

func (t *Table) usedLocked(fd int32) bool {
	return fd >= 0 && int(fd>>6) < len(t.used) && t.used[fd>>6]>>(fd&63)&1 != 0
}

func (t *Table) setCloexecLocked(fd int32, on bool) {
	if on {
		t.cloexec[fd>>6] |= 1 << (fd & 63)
	} else {
		t.cloexec[fd>>6] &^= 1 << (fd & 63)
	}
}

// growLocked makes room for fd.
func (t *Table) growLocked(fd int32) {
	s := t.s.Load()
	if int(fd) < len(s.f) {
		return
	}
	n := len(s.f)
	for n <= int(fd) {
		n *= 2
	}
	g := &slots{make([]atomic.Pointer[vfs.File], n)}
	for i := range s.f {
		g.f[i].Store(s.f[i].Load())
	}
	t.used = append(t.used, make([]uint64, n/64-len(t.used))...)
	t.cloexec = append(t.cloexec, make([]uint64, n/64-len(t.cloexec))...)
	t.s.Store(g)
}

// freeLocked returns the lowest free descriptor from min on.
func (t *Table) freeLocked(min int32) int32 {
	fd := max(min, t.next)
	for i := int(fd >> 6); i < len(t.used); i++ {
		w := ^t.used[i]
		if i == int(fd>>6) {
			w &= ^uint64(0) << (fd & 63)
		}
		if w != 0 {
			return int32(i<<6 + bits.TrailingZeros64(w))
		}
	}
	return max(fd, int32(len(t.used)<<6))
}

func (t *Table) setLocked(fd int32, f *vfs.File, cloexec bool) {
	t.growLocked(fd)
	t.used[fd>>6] |= 1 << (fd & 63)
	t.setCloexecLocked(fd, cloexec)
	t.s.Load().f[fd].Store(f)
}

// Install puts f, whose reference it takes on success, at the lowest free
// descriptor from min on; EMFILE if that is not below limit (RLIMIT_NOFILE).
func (t *Table) Install(ctx kctx.Ctx, f *vfs.File, min int32, cloexec bool, limit uint64) (int32, error) {
	limit = limit2(limit)
	t.mu.Lock()
	defer t.mu.Unlock()
	fd := t.freeLocked(min)
	if uint64(fd) >= limit {
		return -1, errno.EMFILE
	}
	t.setLocked(fd, f, cloexec)
	t.n++
	if min <= t.next {
		t.next = fd + 1
	}
	return fd, nil
}

func limit2(limit uint64) uint64 {
	if limit > MaxFDs {
		return MaxFDs
	}
	return limit
}

// InstallAt puts f, whose reference it takes on success, at fd, closing what
// was there (dup2(2)); EBADF if fd is not below limit.
func (t *Table) InstallAt(ctx kctx.Ctx, f *vfs.File, fd int32, cloexec bool, limit uint64) error {
	if fd < 0 || uint64(fd) >= limit2(limit) {
		return errno.EBADF
	}
	t.mu.Lock()
	var old *vfs.File
	if t.usedLocked(fd) {
		old = t.s.Load().f[fd].Load()
	} else {
		t.n++
	}
	t.setLocked(fd, f, cloexec)
	t.mu.Unlock()
	if old != nil {
		t.closed(ctx, old)
	}
	return nil
}

// Remove takes fd out and returns its file with the table's reference.
func (t *Table) Remove(fd int32) (*vfs.File, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.removeLocked(fd)
	if f == nil {
		return nil, errno.EBADF
	}
	return f, nil
}

func (t *Table) removeLocked(fd int32) *vfs.File {
	if !t.usedLocked(fd) {
		return nil
	}
	t.used[fd>>6] &^= 1 << (fd & 63)
	t.cloexec[fd>>6] &^= 1 << (fd & 63)
	t.next = min(t.next, fd)
	t.n--
	return t.s.Load().f[fd].Swap(nil)
}

// Close is close(2).
func (t *Table) Close(ctx kctx.Ctx, fd int32) error {
	f, err := t.Remove(fd)
	if err != nil {
		return err
	}
	return t.closed(ctx, f)
}

// takeAll removes every descriptor that which selects.
func (t *Table) takeAll(which func(fd int32) bool) []*vfs.File {
	t.mu.Lock()
	defer t.mu.Unlock()
	var l []*vfs.File
	for i := range t.used {
		for w := t.used[i]; w != 0; w &= w - 1 {
			fd := int32(i<<6 + bits.TrailingZeros64(w))
			if which(fd) {
				l = append(l, t.removeLocked(fd))
			}
		}
	}
	return l
}

// CloseOnExec closes what execve(2) closes.
func (t *Table) CloseOnExec(ctx kctx.Ctx) {
	for _, f := range t.takeAll(func(fd int32) bool { return t.cloexec[fd>>6]>>(fd&63)&1 != 0 }) {
		t.closed(ctx, f)
	}
}

// CloseRange is close_range(2) without CLOSE_RANGE_UNSHARE; with setCloexec it
// only sets the flag.
func (t *Table) CloseRange(ctx kctx.Ctx, first, last uint32, setCloexec bool) {
	in := func(fd int32) bool { return uint32(fd) >= first && uint32(fd) <= last }
	if !setCloexec {
		for _, f := range t.takeAll(in) {
			t.closed(ctx, f)
		}
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.used {
		for w := t.used[i]; w != 0; w &= w - 1 {
			if fd := int32(i<<6 + bits.TrailingZeros64(w)); in(fd) {
				t.setCloexecLocked(fd, true)
			}
		}
	}
}

// Fork returns a copy with one reference, for clone(2) without CLONE_FILES.
func (t *Table) Fork() *Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := &Table{next: t.next, n: t.n}
	n.refs.Store(1)
	words := len(t.used)
	for words > 1 && t.used[words-1] == 0 {
		words--
	}
	// Keep the length a power of two times 64.
	for words&(words-1) != 0 {
		words++
	}
	n.used = append([]uint64(nil), t.used[:min(words, len(t.used))]...)
	n.cloexec = append([]uint64(nil), t.cloexec[:len(n.used)]...)
	s, old := &slots{make([]atomic.Pointer[vfs.File], len(n.used)*64)}, t.s.Load()
	for i, w := range n.used {
		for ; w != 0; w &= w - 1 {
			fd := i<<6 + bits.TrailingZeros64(w)
			f := old.f[fd].Load()
			f.IncRef()
			s.f[fd].Store(f)
		}
	}
	n.s.Store(s)
	return n
}

// Entry is one descriptor of List.
type Entry struct {
	FD      int32
	Cloexec bool
}

// List returns the descriptors in use in order.
func (t *Table) List() []Entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := make([]Entry, 0, t.n)
	for i, w := range t.used {
		for ; w != 0; w &= w - 1 {
			fd := int32(i<<6 + bits.TrailingZeros64(w))
			l = append(l, Entry{fd, t.cloexec[fd>>6]>>(fd&63)&1 != 0})
		}
	}
	return l
}

// Len is how many descriptors are in use.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

// Size is the size of the table, FDSize in /proc/pid/status.
func (t *Table) Size() int { return len(t.s.Load().f) }
