package kernel

import (
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/signal"

	"golang.org/x/sys/unix"
)

// TTY is a terminal that can control a session (fsimpl/devpts).
type TTY interface {
	// TTYDev is the device number for /proc/pid/stat.
	TTYDev() (major, minor uint32)
	// Disassociated is called, with no kernel lock held, after the session
	// lost the terminal because its leader exited.
	Disassociated()
}

// Session is a set of process groups with at most one terminal (setsid(2)).
// Under TaskSet.mu.
type Session struct {
	pid    *PID
	leader *ThreadGroup // nil once it exited
	groups int
	tty    TTY
	fg     *ProcessGroup // foreground group of tty
}

// ProcessGroup is a set of processes (setpgid(2)). Under TaskSet.mu.
type ProcessGroup struct {
	k       *Kernel
	pid     *PID
	session *Session
	members tgList
	n       int
}

// PID identifies the group.
func (pg *ProcessGroup) PID() *PID { return pg.pid }

// Members are the processes in the group.
func (pg *ProcessGroup) Members() []*ThreadGroup {
	pg.k.ts.mu.RLock()
	defer pg.k.ts.mu.RUnlock()
	return pg.membersLocked()
}

func (pg *ProcessGroup) membersLocked() []*ThreadGroup {
	var l []*ThreadGroup
	for tg := pg.members.head; tg != nil; tg = tg.pgLinks.next {
		l = append(l, tg)
	}
	return l
}

// newSessionLocked makes tg the leader of a new session and group.
func (k *Kernel) newSessionLocked(tg *ThreadGroup) *Session {
	s := &Session{pid: tg.pid, leader: tg}
	tg.pid.session = s
	pg := k.newGroupLocked(tg.pid, s)
	tg.joinLocked(pg)
	return s
}

func (k *Kernel) newGroupLocked(p *PID, s *Session) *ProcessGroup {
	pg := &ProcessGroup{k: k, pid: p, session: s}
	p.pgrp = pg
	s.groups++
	return pg
}

func (tg *ThreadGroup) joinLocked(pg *ProcessGroup) {
	old := tg.pgrp
	if old == pg {
		return
	}
	pg.members.moveMember(tg, old)
	pg.n++
	tg.pgrp = pg
	if old != nil {
		old.droppedLocked()
	}
}

// moveMember moves tg from old's list to l.
func (l *tgList) moveMember(tg *ThreadGroup, old *ProcessGroup) {
	if old != nil {
		old.members.removeMember(tg)
		old.n--
	}
	l.addMember(tg)
}

func (tg *ThreadGroup) leaveGroupLocked() {
	pg := tg.pgrp
	if pg == nil {
		return
	}
	pg.members.removeMember(tg)
	pg.n--
	tg.pgrp = nil
	pg.droppedLocked()
}

func (pg *ProcessGroup) droppedLocked() {
	if pg.n > 0 {
		return
	}
	s := pg.session
	pg.pid.pgrp = nil
	pg.pid.releaseLocked()
	// A dead group stays in the foreground: everyone else is in the
	// background until somebody says otherwise (linux keeps the struct pid).
	s.groups--
	if s.groups == 0 {
		s.pid.session = nil
		s.pid.releaseLocked()
	}
}

// orphanedLocked says whether no member has a parent in another group of the
// session (POSIX; linux: will_become_orphaned_pgrp). ignore is left out.
func (pg *ProcessGroup) orphanedLocked(ignore *ThreadGroup) bool {
	for tg := pg.members.head; tg != nil; tg = tg.pgLinks.next {
		if tg == ignore || tg.leader.exitState != exitNone && tg.live == 0 {
			continue
		}
		p := tg.parent
		if p == nil {
			continue
		}
		if p.pgrp != nil && p.pgrp != pg && p.pgrp.session == pg.session {
			return false
		}
	}
	return true
}

func (t *Task) orphaned() bool {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	return t.tg.pgrp != nil && t.tg.pgrp.orphanedLocked(nil)
}

// Orphaned says whether t's process group is orphaned (tty job control).
func (t *Task) Orphaned() bool { return t.orphaned() }

// hasStoppedLocked says whether a member is stopped.
func (pg *ProcessGroup) hasStoppedLocked() bool {
	for tg := pg.members.head; tg != nil; tg = tg.pgLinks.next {
		tg.sigMu.Lock()
		st := tg.stop.sig != 0 && tg.stop.done
		tg.sigMu.Unlock()
		if st {
			return true
		}
	}
	return false
}

// Setsid is setsid(2).
func (t *Task) Setsid() (int32, error) {
	k := t.k
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	tg := t.tg
	if tg.pid.pgrp != nil || tg.pid.session != nil {
		return 0, errno.EPERM
	}
	k.newSessionLocked(tg)
	return tg.pid.In(t.pid.Load().ns), nil
}

// Setpgid is setpgid(2) with numbers of t's namespace.
func (t *Task) Setpgid(pid, pgid int32) error {
	if pgid < 0 || pgid == 0 && pid < 0 {
		return errno.EINVAL
	}
	k := t.k
	ns := t.pid.Load().ns
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	tg := t.tg
	if pid != 0 {
		p := ns.pids[pid]
		if p == nil || p.task == nil {
			return errno.ESRCH
		}
		if p.tg == nil {
			return errno.EINVAL
		}
		tg = p.tg
	}
	if tg != t.tg {
		if tg.parent != t.tg {
			return errno.ESRCH
		}
		if tg.pgrp == nil || tg.pgrp.session != t.tg.pgrp.session {
			return errno.EPERM
		}
		if tg.execed {
			return errno.EACCES
		}
	}
	if tg.pid.session != nil && tg.pid.session.leader == tg {
		return errno.EPERM
	}
	target := tg.pid
	if pgid != 0 {
		target = ns.pids[pgid]
		if target == nil {
			return errno.EPERM
		}
	}
	if tg.pgrp == nil {
		return errno.ESRCH
	}
	if target != tg.pid {
		if target.pgrp == nil || target.pgrp.session != t.tg.pgrp.session {
			return errno.EPERM
		}
		tg.joinLocked(target.pgrp)
		return nil
	}
	pg := target.pgrp
	if pg == nil {
		pg = k.newGroupLocked(target, tg.pgrp.session)
	}
	tg.joinLocked(pg)
	return nil
}

// Getpgid and Getsid return ids seen from t; pid 0 is t itself.
func (t *Task) Getpgid(pid int32) (int32, error) {
	return t.groupOf(pid, func(pg *ProcessGroup) *PID { return pg.pid })
}

// Getsid is getsid(2).
func (t *Task) Getsid(pid int32) (int32, error) {
	return t.groupOf(pid, func(pg *ProcessGroup) *PID { return pg.session.pid })
}

func (t *Task) groupOf(pid int32, pick func(*ProcessGroup) *PID) (int32, error) {
	ns := t.pid.Load().ns
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	tg := t.tg
	if pid != 0 {
		p := ns.pids[pid]
		if p == nil || p.task == nil {
			return 0, errno.ESRCH
		}
		tg = p.task.tg
	}
	if tg.pgrp == nil {
		return 0, errno.ESRCH
	}
	return pick(tg.pgrp).In(ns), nil
}

// ProcessGroup returns tg's group, nil if it is reaped.
func (tg *ThreadGroup) ProcessGroup() *ProcessGroup {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	return tg.pgrp
}

// FindGroup returns the process group numbered pgid in ns, or nil.
func (ns *PIDNamespace) FindGroup(pgid int32) *ProcessGroup {
	ns.k.ts.mu.RLock()
	defer ns.k.ts.mu.RUnlock()
	if p := ns.pids[pgid]; p != nil {
		return p.pgrp
	}
	return nil
}

// SessionInfo is what /proc/pid/stat shows: numbers seen from ns (0 if
// unseen), the terminal or nil, and its foreground group (-1 without one).
func (tg *ThreadGroup) SessionInfo(ns *PIDNamespace) (pgid, sid int32, tty TTY, fg int32) {
	tg.k.ts.mu.RLock()
	defer tg.k.ts.mu.RUnlock()
	fg = -1
	if tg.pgrp == nil {
		return 0, 0, nil, fg
	}
	s := tg.pgrp.session
	if tty = tg.ttyLocked(); tty != nil {
		if s.fg != nil {
			fg = s.fg.pid.In(ns)
		}
	}
	return tg.pgrp.pid.In(ns), s.pid.In(ns), tty, fg
}

// TTY is the controlling terminal of t's session, or nil (/dev/tty).
func (t *Task) TTY() TTY {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	return t.tg.ttyLocked()
}

// ttyLocked is the process's controlling terminal: its session's, unless it
// gave it up on its own (TIOCNOTTY).
func (tg *ThreadGroup) ttyLocked() TTY {
	if tg.pgrp == nil || tg.pgrp.session.tty == nil || tg.pgrp.session.tty == tg.noTTY {
		return nil
	}
	return tg.pgrp.session.tty
}

// SetTTY is TIOCSCTTY, and the open of a terminal by a session leader without
// one: tty becomes the controlling terminal of t's session. With steal (and
// CAP_SYS_ADMIN) it is taken from the session that has it.
func (t *Task) SetTTY(tty TTY, steal, mayRead bool) error {
	k := t.k
	k.ts.mu.Lock()
	defer k.ts.mu.Unlock()
	tg := t.tg
	if tg.pgrp == nil {
		return errno.EPERM
	}
	s := tg.pgrp.session
	if s.tty == tty && s.leader == tg {
		return nil
	}
	if s.leader != tg || s.tty != nil {
		return errno.EPERM
	}
	if o := k.ttySessionLocked(tty); o != nil {
		if !steal || !t.Creds().Capable(creds.CapSysAdmin) {
			return errno.EPERM
		}
		o.tty, o.fg = nil, nil
	}
	if !mayRead && !t.Creds().Capable(creds.CapSysAdmin) {
		return errno.EPERM
	}
	s.tty, s.fg = tty, tg.pgrp
	return nil
}

// ttySessionLocked finds the session controlled by tty.
func (k *Kernel) ttySessionLocked(tty TTY) *Session {
	for _, p := range k.ts.root.pids {
		if p.session != nil && p.session.tty == tty {
			return p.session
		}
	}
	return nil
}

// DropTTY is TIOCNOTTY.
func (t *Task) DropTTY(tty TTY) error {
	k := t.k
	k.ts.mu.Lock()
	tg := t.tg
	if tg.ttyLocked() != tty {
		k.ts.mu.Unlock()
		return errno.ENOTTY
	}
	s := tg.pgrp.session
	if s.leader != tg {
		tg.noTTY = tty
		k.ts.mu.Unlock()
		return nil
	}
	fg := s.fg
	s.tty, s.fg = nil, nil
	var l []*ThreadGroup
	if fg != nil {
		l = fg.membersLocked()
	}
	k.ts.mu.Unlock()
	hangup(l)
	return nil
}

func hangup(l []*ThreadGroup) {
	for _, tg := range l {
		tg.SendSignal(signal.Kernel(int32(unix.SIGHUP)))
		tg.SendSignal(signal.Kernel(sigCONT))
	}
}

// HangupTTY is what the loss of the carrier does (master closed): SIGHUP and
// SIGCONT to the session leader alone (linux: __tty_hangup); the session loses
// the terminal.
func (k *Kernel) HangupTTY(tty TTY) {
	k.ts.mu.Lock()
	s := k.ttySessionLocked(tty)
	if s == nil {
		k.ts.mu.Unlock()
		return
	}
	leader := s.leader
	s.tty, s.fg = nil, nil
	k.ts.mu.Unlock()
	if leader != nil {
		hangup([]*ThreadGroup{leader})
	}
}

// Foreground is TIOCGPGRP: the foreground group's id seen from t, 0 if none.
// ENOTTY unless tty controls t's session (any tty if master).
func (t *Task) Foreground(tty TTY, master bool) (int32, error) {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	s := t.ttySession(tty, master)
	if s == nil {
		return 0, errno.ENOTTY
	}
	if s.fg == nil {
		return 0, nil
	}
	return s.fg.pid.In(t.pid.Load().ns), nil
}

func (t *Task) ttySession(tty TTY, master bool) *Session {
	if master {
		return t.k.ttySessionLocked(tty)
	}
	if t.tg.ttyLocked() != tty {
		return nil
	}
	return t.tg.pgrp.session
}

// SetForeground is TIOCSPGRP, after the job-control check.
func (t *Task) SetForeground(tty TTY, pgid int32) error {
	t.k.ts.mu.Lock()
	defer t.k.ts.mu.Unlock()
	s := t.ttySession(tty, false)
	if s == nil {
		return errno.ENOTTY
	}
	if pgid < 0 {
		return errno.EINVAL
	}
	p := t.pid.Load().ns.pids[pgid]
	if p == nil || p.pgrp == nil {
		return errno.ESRCH
	}
	if p.pgrp.session != s {
		return errno.EPERM
	}
	s.fg = p.pgrp
	return nil
}

// SessionOfTTY is TIOCGSID.
func (t *Task) SessionOfTTY(tty TTY, master bool) (int32, error) {
	t.k.ts.mu.RLock()
	defer t.k.ts.mu.RUnlock()
	s := t.ttySession(tty, master)
	if s == nil {
		return 0, errno.ENOTTY
	}
	return s.pid.In(t.pid.Load().ns), nil
}

// SignalForeground sends sig from the terminal to its foreground group.
func (k *Kernel) SignalForeground(tty TTY, sig int32) {
	k.ts.mu.RLock()
	var l []*ThreadGroup
	if s := k.ttySessionLocked(tty); s != nil && s.fg != nil {
		l = s.fg.membersLocked()
	}
	k.ts.mu.RUnlock()
	for _, tg := range l {
		tg.SendSignal(signal.Kernel(sig))
	}
}

// CheckTTY is the job-control check of a terminal access: nil if t may go on.
// sig is SIGTTIN for reads and SIGTTOU for writes and settings; a background
// group gets it and the call restarts (ERESTARTSYS), or fails with EIO if the
// signal cannot stop it (linux: __tty_check_change).
func (t *Task) CheckTTY(tty TTY, sig int32) error {
	t.k.ts.mu.RLock()
	pg := t.tg.pgrp
	if pg == nil || t.tg.ttyLocked() != tty || pg.session.fg == nil || pg.session.fg == pg {
		t.k.ts.mu.RUnlock()
		return nil
	}
	orphan := pg.orphanedLocked(nil)
	l := pg.membersLocked()
	t.k.ts.mu.RUnlock()
	t.tg.sigMu.Lock()
	ignored := t.mask.Has(sig) || t.tg.handlers.get(sig).Handler == signal.Ignore
	t.tg.sigMu.Unlock()
	if ignored {
		if sig == int32(unix.SIGTTIN) {
			return errno.EIO
		}
		return nil
	}
	if orphan {
		return errno.EIO
	}
	for _, tg := range l {
		tg.SendSignal(signal.Kernel(sig))
	}
	return errno.ERESTARTSYS
}
