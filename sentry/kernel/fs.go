package kernel

import (
	"sync"
	"sync/atomic"

	"redoubt.dev/redoubt/vfs"
)

// FSContext has a task's root, working directory and umask, shared by tasks
// made with CLONE_FS.
type FSContext struct {
	refs  atomic.Int32
	umask atomic.Uint32

	mu        sync.RWMutex
	root, cwd vfs.Path
}

// NewFSContext takes over the caller's references on root and cwd.
func NewFSContext(root, cwd vfs.Path, umask uint32) *FSContext {
	f := &FSContext{root: root, cwd: cwd}
	f.umask.Store(umask & 0o777)
	f.refs.Store(1)
	return f
}

// Root returns the root directory with a reference.
func (f *FSContext) Root() vfs.Path {
	f.mu.RLock()
	defer f.mu.RUnlock()
	f.root.IncRef()
	return f.root
}

// Cwd returns the working directory with a reference.
func (f *FSContext) Cwd() vfs.Path {
	f.mu.RLock()
	defer f.mu.RUnlock()
	f.cwd.IncRef()
	return f.cwd
}

// SetRoot replaces the root; it takes over the reference.
func (f *FSContext) SetRoot(p vfs.Path) {
	f.mu.Lock()
	old := f.root
	f.root = p
	f.mu.Unlock()
	old.DecRef()
}

// SetCwd replaces the working directory; it takes over the reference.
func (f *FSContext) SetCwd(p vfs.Path) {
	f.mu.Lock()
	old := f.cwd
	f.cwd = p
	f.mu.Unlock()
	old.DecRef()
}

// Replace moves root and cwd that are at old to new (pivot_root(2)).
func (f *FSContext) Replace(old, new vfs.Path) {
	f.mu.Lock()
	n := 0
	if f.root == old {
		new.IncRef()
		f.root = new
		n++
	}
	if f.cwd == old {
		new.IncRef()
		f.cwd = new
		n++
	}
	f.mu.Unlock()
	for ; n > 0; n-- {
		old.DecRef()
	}
}

// Umask returns the file mode creation mask.
func (f *FSContext) Umask() uint32 { return f.umask.Load() }

// SetUmask replaces the mask and returns the old one.
func (f *FSContext) SetUmask(m uint32) uint32 { return f.umask.Swap(m & 0o777) }

// Fork returns a copy.
func (f *FSContext) Fork() *FSContext {
	f.mu.RLock()
	defer f.mu.RUnlock()
	f.root.IncRef()
	f.cwd.IncRef()
	return NewFSContext(f.root, f.cwd, f.Umask())
}

// Shared says whether more than one task uses f.
func (f *FSContext) Shared() bool { return f.refs.Load() > 1 }

// IncRef adds a task.
func (f *FSContext) IncRef() { f.refs.Add(1) }

// DecRef drops a task.
func (f *FSContext) DecRef() {
	if f.refs.Add(-1) == 0 {
		f.root.DecRef()
		f.cwd.DecRef()
	}
}

// Borrow returns root and working directory for one system call of a task that
// uses f: without references if no other task shares f (owned is false), else
// with them.
func (f *FSContext) Borrow() (root, cwd vfs.Path, owned bool) {
	if f.refs.Load() == 1 {
		return f.root, f.cwd, false
	}
	return f.Root(), f.Cwd(), true
}
