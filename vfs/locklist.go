package vfs

import "golang.org/x/sys/unix"

// LockInfo is one lock as /proc/locks shows it.
type LockInfo struct {
	Kind       string // "POSIX", "OFDLCK" or "FLOCK"
	Write      bool
	PID        int32 // in the root PID namespace, -1 if nobody's
	Start, End int64 // End is LockMax for the end of the file
}

// Locks lists the locks on f's inode.
func (f *File) Locks() []LockInfo {
	b := f.sys.peek(f.inode)
	if b == nil {
		return nil
	}
	st := b.state.Load()
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	var l []LockInfo
	for _, r := range st.locks.records {
		kind := "POSIX"
		if _, ofd := r.Owner.(*File); ofd {
			kind = "OFDLCK"
		}
		l = append(l, LockInfo{kind, r.Type == unix.F_WRLCK, r.PID, r.Start, r.End})
	}
	for _, e := range st.locks.flocks {
		l = append(l, LockInfo{"FLOCK", e.excl, -1, 0, LockMax})
	}
	return l
}
