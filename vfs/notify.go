package vfs

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
)

// File notification: operations tell the watches of an inode and of its
// parent (inotify(7); linux: fs/notify). A watch holds no reference: the
// dentry it was made by is only kept from eviction, and the watch ends when the
// inode does.

// notifyState says whether anybody watches anything.
type notifyState struct {
	active atomic.Int64
	cookie atomic.Uint32
}

// mark is one watch of an inode.
type mark struct {
	in    sink
	wd    int32
	mask  uint32 // under inodeState.mu
	inode Inode
}

// sink is where the events of a mark go: an inotify instance, or a dnotify.
type sink interface {
	push(wd int32, mask, cookie uint32, name string)
	// forget is told that the mark has ended.
	forget(wd int32)
}

var kernelCtx = kctx.Background(rootCreds)

// watched returns the state of an inode with marks, else nil.
func (s *System) watched(i Inode) *inodeState {
	b := s.peek(i)
	if b == nil {
		return nil
	}
	return b.state.Load()
}

// tell sends an event to the marks of an inode.
func (s *System) tell(i Inode, mask, cookie uint32, name string, unlinked bool) {
	st := s.watched(i)
	if st == nil {
		return
	}
	st.mu.Lock()
	var hit []*mark
	for _, m := range st.marks {
		if m.mask&mask&unix.IN_ALL_EVENTS == 0 || unlinked && m.mask&unix.IN_EXCL_UNLINK != 0 {
			continue
		}
		hit = append(hit, m)
	}
	for _, m := range hit {
		m.in.push(m.wd, mask, cookie, name)
		if _, dn := m.in.(*dnotify); dn && name == "" {
			continue
		}
		if m.mask&unix.IN_ONESHOT != 0 {
			s.dropLocked(st, m)
		}
	}
	settle := st.kept > 0 && len(st.marks) == 0
	st.mu.Unlock()
	if settle {
		st.settle(i)
	}
}

// dropLocked ends a mark. Precondition: st.mu.
func (s *System) dropLocked(st *inodeState, m *mark) {
	for i, x := range st.marks {
		if x == m {
			st.marks = append(st.marks[:i], st.marks[i+1:]...)
			s.notify.active.Add(-1)
			m.in.forget(m.wd)
			return
		}
	}
}

func isDirFlag(d *Dentry) uint32 {
	if d.IsDir() {
		return unix.IN_ISDIR
	}
	return 0
}

// both tells the parent (with the name) and the inode itself.
func (s *System) both(d *Dentry, mask uint32) {
	if s.notify.active.Load() == 0 || d.inode == nil {
		return
	}
	mask |= isDirFlag(d)
	p := d.at.Load()
	if p.parent != nil && d.sb.named() {
		s.tell(p.parent.inode, mask, 0, p.name, d.Removed())
	}
	s.tell(d.inode, mask, 0, "", false)
}

func (f *File) notify(mask uint32) {
	if f.sys.notify.active.Load() != 0 {
		f.sys.both(f.path.Dentry, mask)
	}
}

func (f *File) notifyAccess() { f.notify(unix.IN_ACCESS) }
func (f *File) notifyModify() { f.notify(unix.IN_MODIFY) }
func (f *File) notifyOpen()   { f.notify(unix.IN_OPEN) }

func (f *File) notifyClose() {
	if f.mode&fWrite != 0 {
		f.notify(unix.IN_CLOSE_WRITE)
	} else {
		f.notify(unix.IN_CLOSE_NOWRITE)
	}
}

func (s *System) notifyCreate(dir, d *Dentry) {
	if s.notify.active.Load() != 0 {
		s.tell(dir.inode, unix.IN_CREATE|isDirFlag(d), 0, d.Name(), false)
	}
}

func (s *System) notifyLink(dir *Dentry, name string, target *Dentry) {
	if s.notify.active.Load() != 0 {
		s.tell(target.inode, unix.IN_ATTRIB, 0, "", false)
		s.tell(dir.inode, unix.IN_CREATE, 0, name, false)
	}
}

func (s *System) notifyDelete(dir, d *Dentry, name string) {
	if s.notify.active.Load() != 0 {
		if !d.IsDir() {
			s.tell(d.inode, unix.IN_ATTRIB, 0, "", false)
		}
		s.tell(dir.inode, unix.IN_DELETE|isDirFlag(d), 0, name, false)
	}
}

// notifyAttrib tells of a change of attributes; mask 0 is one of extended ones.
func (s *System) notifyAttrib(d *Dentry, mask SetMask) {
	if s.notify.active.Load() == 0 {
		return
	}
	ev := uint32(0)
	if mask == 0 || mask&(SetMode|SetUID|SetGID|SetCtime) != 0 {
		ev |= unix.IN_ATTRIB
	}
	if mask&SetSize != 0 {
		ev |= unix.IN_MODIFY
	}
	a, m := mask&(SetAtime|SetAtimeNow) != 0, mask&(SetMtime|SetMtimeNow) != 0
	switch {
	case a && m:
		ev |= unix.IN_ATTRIB
	case a:
		ev |= unix.IN_ACCESS
	case m:
		ev |= unix.IN_MODIFY
	}
	for _, e := range [...]uint32{unix.IN_ATTRIB, unix.IN_MODIFY, unix.IN_ACCESS} {
		if ev&e != 0 {
			s.both(d, e)
		}
	}
}

func (s *System) notifyRename(r *rename) {
	if s.notify.active.Load() == 0 {
		return
	}
	s.moved(r.oldDir, r.newDir, r.old, r.oldName, r.newName)
	switch {
	case r.flags&unix.RENAME_EXCHANGE != 0:
		s.moved(r.newDir, r.oldDir, r.new, r.newName, r.oldName)
	case r.new.inode != nil && !r.new.IsDir():
		s.tell(r.new.inode, unix.IN_ATTRIB, 0, "", false)
	}
}

func (s *System) moved(from, to, d *Dentry, oldName, newName string) {
	c := s.notify.cookie.Add(1)
	dir := isDirFlag(d)
	s.tell(from.inode, unix.IN_MOVED_FROM|dir, c, oldName, false)
	s.tell(to.inode, unix.IN_MOVED_TO|dir, c, newName, false)
	s.tell(d.inode, unix.IN_MOVE_SELF, 0, "", false)
}

// inodeGone is called when a dentry dies; if its inode goes with it the
// watches end. If not, they keep the inode: the dentry's count of it passes to
// them, and the caller must not release it.
func inodeGone(d *Dentry) (keep bool) {
	s := d.sb.sys
	if s.notify.active.Load() == 0 {
		return false
	}
	st := s.watched(d.inode)
	if st == nil {
		return false
	}
	ev := uint32(unix.IN_DELETE_SELF)
	if !d.Removed() {
		if !d.sb.dying.Load() {
			return st.keep()
		}
		ev = unix.IN_UNMOUNT
	} else if a, err := d.inode.Stat(kernelCtx); err == nil && a.Nlink > 0 && !d.IsDir() {
		return st.keep()
	}
	st.mu.Lock()
	for len(st.marks) > 0 {
		m := st.marks[0]
		if ev == unix.IN_UNMOUNT || m.mask&ev != 0 {
			m.in.push(m.wd, ev, 0, "")
		}
		s.dropLocked(st, m)
	}
	st.mu.Unlock()
	st.settle(d.inode)
	return false
}

// keep takes over a count of the inode if there are marks.
func (st *inodeState) keep() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.marks) == 0 {
		return false
	}
	st.kept++
	return true
}

// settle gives kept counts back once there is no mark.
func (st *inodeState) settle(i Inode) {
	st.mu.Lock()
	n := 0
	if len(st.marks) == 0 {
		n, st.kept = st.kept, 0
	}
	st.mu.Unlock()
	for ; n > 0; n-- {
		i.Release()
	}
}

// inotify instances and their events are in inotify.go.

// AddWatch is inotify_add_watch(2) on p.
func (in *Inotify) AddWatch(ctx kctx.Ctx, p Path, mask uint32) (int32, error) {
	s := in.sys
	if err := Permission(ctx, p.Inode(), MayRead); err != nil {
		return 0, err
	}
	st := s.base(p.Inode()).get()
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, m := range st.marks {
		if m.in != in {
			continue
		}
		if mask&unix.IN_MASK_CREATE != 0 {
			return 0, errno.EEXIST
		}
		keep := mask & (unix.IN_ALL_EVENTS | unix.IN_ONESHOT | unix.IN_EXCL_UNLINK)
		if mask&unix.IN_MASK_ADD != 0 {
			m.mask |= keep
		} else {
			m.mask = keep
		}
		return m.wd, nil
	}
	m := &mark{in: in, mask: mask & (unix.IN_ALL_EVENTS | unix.IN_ONESHOT | unix.IN_EXCL_UNLINK), inode: p.Inode()}
	if err := in.enter(m); err != nil {
		return 0, err
	}
	st.marks = append(st.marks, m)
	s.notify.active.Add(1)
	p.Dentry.setFlag(dWatched)
	return m.wd, nil
}

// RemoveWatch is inotify_rm_watch(2).
func (in *Inotify) RemoveWatch(wd int32) error {
	m := in.mark(wd)
	if m == nil {
		return errno.EINVAL
	}
	in.remove(m)
	return nil
}

func (in *Inotify) remove(m *mark) {
	st := in.sys.base(m.inode).get()
	st.mu.Lock()
	in.sys.dropLocked(st, m)
	st.mu.Unlock()
	st.settle(m.inode)
}
