package lock

// The lock order of the whole sentry, first to last. A lock may be taken only
// while locks listed above it are held. Locks that are leaves inside one
// package (nothing else is taken under them) may be plain sync.Mutex.
type (
	// MountMu is vfs.System.mountMu: the mount tree.
	MountMu struct{}
	// RenameMu is vfs.Super's rename lock: directory topology of one file system.
	RenameMu struct{}
	// DirMu is vfs.Dentry.mu of a directory: its children; parent before child.
	DirMu struct{}
	// SpaceMu is mm.Space.mu: VMAs and what is mapped. Taken under no vfs lock.
	SpaceMu struct{}
	// InodeMu is a filesystem inode's own lock.
	InodeMu struct{}
	// PagesMu is pages.File.mu.
	PagesMu struct{}
	// TaskSetMu is kernel.TaskSet.mu: the process tree, sessions, PID namespaces.
	TaskSetMu struct{}
	// SignalMu is kernel.ThreadGroup.sigMu: signals, stops, of one process.
	SignalMu struct{}
	// TaskMu is kernel.Task.mu.
	TaskMu struct{}
	// FDTableMu is fdtable.Table.mu.
	FDTableMu struct{}
	// FutexMu is a futex.Table bucket.
	FutexMu struct{}
)

func (MountMu) rank() int   { return 10 }
func (RenameMu) rank() int  { return 20 }
func (DirMu) rank() int     { return 30 }
func (SpaceMu) rank() int   { return 40 }
func (InodeMu) rank() int   { return 50 }
func (PagesMu) rank() int   { return 60 }
func (TaskSetMu) rank() int { return 70 }
func (SignalMu) rank() int  { return 80 }
func (TaskMu) rank() int    { return 90 }
func (FDTableMu) rank() int { return 100 }
func (FutexMu) rank() int   { return 110 }
