package vfs

import (
	"sync"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/wait"
)

// Events of fcntl(2) F_NOTIFY.
const (
	dnAccess    = 0x1
	dnModify    = 0x2
	dnCreate    = 0x4
	dnDelete    = 0x8
	dnRename    = 0x10
	dnAttrib    = 0x20
	dnMultishot = 0x80000000
)

// dnotify is the watch that a directory's description has through F_NOTIFY: a
// mark like inotify's, which sends a signal.
type dnotify struct {
	f  *File
	fd int32

	mu sync.Mutex
	m  *mark
}

func (d *dnotify) push(_ int32, mask, _ uint32, name string) {
	if name == "" {
		return // of the directory itself
	}
	a := d.f.asyncPart()
	a.mu.Lock()
	o, sig := a.owner, a.sig
	a.mu.Unlock()
	if o.PID != 0 && SendIO != nil {
		go SendIO(o, sig, d.fd, wait.Msg)
	}
}

func (d *dnotify) forget(int32) {
	d.mu.Lock()
	d.m = nil
	d.mu.Unlock()
}

// Notify is F_NOTIFY; the owner (F_SETOWN) is set by the caller. No events
// end it.
func (f *File) Notify(ctx kctx.Ctx, fd int32, events uint32) error {
	if !f.IsDir() {
		return errno.ENOTDIR
	}
	var mask uint32
	for _, x := range [...]struct{ dn, in uint32 }{
		{dnAccess, unix.IN_ACCESS}, {dnModify, unix.IN_MODIFY}, {dnCreate, unix.IN_CREATE | unix.IN_MOVED_TO},
		{dnDelete, unix.IN_DELETE | unix.IN_MOVED_FROM}, {dnRename, unix.IN_MOVED_FROM | unix.IN_MOVED_TO}, {dnAttrib, unix.IN_ATTRIB},
	} {
		if events&x.dn != 0 {
			mask |= x.in
		}
	}
	if mask != 0 && events&dnMultishot == 0 {
		mask |= unix.IN_ONESHOT
	}
	a := f.asyncPart()
	a.mu.Lock()
	if a.dn == nil {
		a.dn = &dnotify{f: f, fd: fd}
	}
	d := a.dn
	d.fd = fd
	a.mu.Unlock()
	st := f.sys.base(f.inode).get()
	st.mu.Lock()
	defer st.mu.Unlock()
	d.mu.Lock()
	m := d.m
	d.mu.Unlock()
	switch {
	case mask == 0 && m != nil:
		f.sys.dropLocked(st, m)
	case mask == 0:
	case m != nil:
		m.mask |= mask &^ unix.IN_ONESHOT
		if events&dnMultishot != 0 {
			m.mask &^= unix.IN_ONESHOT
		}
	default:
		m = &mark{in: d, mask: mask, inode: f.inode}
		d.mu.Lock()
		d.m = m
		d.mu.Unlock()
		st.marks = append(st.marks, m)
		f.sys.notify.active.Add(1)
		f.path.Dentry.setFlag(dWatched)
	}
	return nil
}
