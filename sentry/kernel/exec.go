package kernel

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/klog"
	"redoubt.dev/redoubt/sentry/loader"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

// ExecArgs is what execve(2) and execveat(2) ask for.
type ExecArgs struct {
	// File, if not nil, is the program, opened by OpenExec; Exec takes over the
	// reference. Otherwise Path is opened.
	File       *vfs.File
	Path       string // what AT_EXECFN and the interpreter of a script see
	Argv, Envv []string
	// Closing says that Path leads through a descriptor that this execve(2)
	// closes: the interpreter of a script could not open it (ENOENT).
	Closing bool
}

// execFile lets loader read a *vfs.File.
type execFile struct{ *vfs.File }

// Ref is what mappings keep: the file itself.
func (f execFile) Ref() mm.FileRef { return f.File }

func (f execFile) ReadAt(ctx kctx.Ctx, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := f.File.Pread(ctx, usermem.Bytes(p[done:]), off+int64(done))
		if err != nil {
			return done, err
		}
		if n == 0 {
			break
		}
		done += int(n)
	}
	return done, nil
}

func (f execFile) Mappable(ctx kctx.Ctx) (memmap.Mappable, error) { return f.File.Mmap(ctx) }

// Opener opens programs from a task's root.
type opener struct{ t *Task }

func (o opener) OpenExec(ctx kctx.Ctx, path string) (loader.File, error) {
	f, err := o.t.OpenExec(vfs.Path{}, path, 0)
	if err != nil {
		return nil, err
	}
	return execFile{f}, nil
}

// Op fills in a walk from the task's root and working directory; done drops
// the references.
func (t *Task) Op(path string, flags vfs.OpFlags) (op vfs.Op, done func()) {
	fs := t.FS()
	root, cwd := fs.Root(), fs.Cwd()
	return vfs.Op{Sys: t.k.VFS(), NS: t.MountNS(), Root: root, Start: cwd, Path: path, Flags: flags},
		func() { root.DecRef(); cwd.DecRef() }
}

// OpenExec opens a program: it must be a regular file that t may execute, on a
// mount that allows it. start is where a relative path begins, if it is set,
// else the working directory.
func (t *Task) OpenExec(start vfs.Path, path string, flags vfs.OpFlags) (*vfs.File, error) {
	op, done := t.Op(path, flags)
	defer done()
	if start.Ok() {
		op.Start = start
	}
	p, err := t.k.VFS().Walk(t, op)
	if err != nil {
		return nil, err
	}
	defer p.DecRef()
	mode, _, _ := p.Inode().Attr()
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFLNK:
		return nil, errno.ELOOP
	default:
		return nil, errno.EACCES
	}
	if p.Mount.Flags()&vfs.MountNoExec != 0 {
		return nil, errno.EACCES
	}
	if err := vfs.Permission(t, p.Inode(), vfs.MayExec); err != nil {
		return nil, err
	}
	f, err := t.k.VFS().OpenFile(t, p, unix.O_RDONLY, true)
	if err != nil {
		return nil, err
	}
	if err := f.DenyWrite(); err != nil {
		f.DecRef(t)
		return nil, err
	}
	return f, nil
}

// Exec replaces the program of t's process. On success the registers are the
// new program's.
func (t *Task) Exec(a ExecArgs) error {
	k := t.k
	f := a.File
	if f == nil {
		var err error
		f, err = t.OpenExec(vfs.Path{}, a.Path, 0)
		if err != nil {
			return err
		}
	}
	defer f.DecRef(t)
	if len(a.Argv) == 0 {
		// As Linux since 5.18: a program always has an argv[0].
		a.Argv = []string{""}
	}
	prog, err := loader.Open(t, loader.Args{
		File: execFile{f}, Path: a.Path, Argv: a.Argv, Envv: a.Envv,
		Opener:     opener{t},
		StackLimit: t.Limit(unix.RLIMIT_STACK),
		NoRandom:   t.Personality()&0x0040000 != 0,
		VDSO:       k.vdso,
	})
	if err != nil {
		return err
	}
	defer prog.Close(t)
	if a.Closing && prog.Interpreted {
		return errno.ENOENT
	}
	bin := f
	if ef, ok := prog.File.(execFile); ok {
		bin = ef.File
	}
	old := t.Creds()
	cred, secure, err := t.execCreds(old, bin)
	if err != nil {
		return err
	}
	space, err := k.newSpace()
	if err != nil {
		return err
	}
	ids := loader.IDs{
		UID: cred.UserNS.UID(cred.RUID), EUID: cred.UserNS.UID(cred.EUID),
		GID: cred.UserNS.GID(cred.RGID), EGID: cred.UserNS.GID(cred.EGID), Secure: secure,
	}
	img, err := prog.Load(t, space, ids)
	if err != nil {
		space.DecUsers(t)
		return err
	}
	space.SetExe(t, bin)
	th, err := space.NewThread()
	if err != nil {
		space.DecUsers(t)
		return errno.EAGAIN
	}
	oldTID := t.TID()
	if err := t.deThread(); err != nil {
		th.Release()
		space.DecUsers(t)
		return err
	}

	// The point of no return.
	t.releaseMM(false)
	oldTh := t.th
	t.setThread(th)
	if oldTh != nil {
		oldTh.Release()
	}
	oldSpace := t.space
	t.space = space
	t.mmPtr.Store(space)
	if oldSpace != nil {
		oldSpace.DecUsers(t)
	}
	if t.vfork != nil {
		t.vfork.release()
		t.vfork = nil
	}

	fds := t.fds.Load()
	if fds.Shared() {
		n := fds.Fork()
		t.fds.Store(n)
		fds.DecRef(t)
		fds = n
	}
	fds.CloseOnExec(t)

	tg := t.tg
	tg.timers.exec(tg)
	tg.sigMu.Lock()
	h := tg.handlers
	h.mu.Lock()
	if h.refs > 1 {
		h.refs--
		h.mu.Unlock()
		h = h.fork()
		tg.handlers = h
		h.mu.Lock()
	}
	for i := range h.actions {
		act := &h.actions[i]
		if act.Handler != signal.Ignore {
			act.Handler = signal.Default
		}
		act.Flags, act.Restorer, act.Mask = 0, 0, 0
	}
	h.mu.Unlock()
	if secure || cred.Permitted&^old.Permitted != 0 {
		t.pdeathsig = 0
	}
	tg.sigMu.Unlock()
	t.altStack = signal.Stack{Flags: signal.SSDisable}
	t.restartFn = nil
	t.robustList, t.robustLen, t.clearTID = 0, 0, 0
	t.rseq = rseqState{}
	if secure {
		t.persona.And(^uint32(0x0040000 | 0x0100000 | 0x0200000 | 0x0400000)) // PER_CLEAR_ON_SETID
	}
	readable := vfs.Permission(t, bin.Inode(), vfs.MayRead) == nil
	if old.EUID != cred.EUID || old.EGID != cred.EGID || secure || !readable {
		space.SetDumpable(mm.NotDumpable)
	} else {
		space.SetDumpable(mm.UserDumpable)
	}
	t.SetCreds(cred)
	k.ts.mu.Lock()
	tg.execed = true
	if cred.RUID != old.RUID {
		t.ucount.Store(k.user(cred.RUID))
	}
	k.ts.mu.Unlock()
	name := baseName(a.Path)
	t.SetName(name)

	t.regs = newRegs(img)
	t.traceExec(oldTID)
	if klog.On(klog.Debug) {
		klog.Debugf("task %d: exec %q", t.ThreadID(), a.Path)
	}
	return nil
}

// execCreds applies set-id bits and file capabilities.
func (t *Task) execCreds(old *creds.Credentials, bin *vfs.File) (*creds.Credentials, bool, error) {
	var p creds.Program
	inode := bin.Inode()
	mode, uid, gid := inode.Attr()
	if bin.Path().Mount.Flags()&vfs.MountNoSuid == 0 && !old.NoNewPrivs && old.UserNS.Mapped(uid, gid) {
		if mode&unix.S_ISUID != 0 {
			p.SetUID = &uid
		}
		if mode&(unix.S_ISGID|unix.S_IXGRP) == unix.S_ISGID|unix.S_IXGRP {
			p.SetGID = &gid
		}
		if v, err := inode.GetXattr(t, "security.capability"); err == nil {
			p.Caps = parseFileCaps(v, old.UserNS)
		}
	}
	if (p.SetUID != nil || p.SetGID != nil || p.Caps != nil) && t.traced.Load() && !t.tracerCapable() {
		p = creds.Program{}
	}
	return old.Exec(p)
}

// parseFileCaps decodes struct vfs_cap_data (capabilities(7)).
func parseFileCaps(v string, ns *creds.UserNamespace) *creds.FileCaps {
	b := []byte(v)
	if len(b) < 20 {
		return nil
	}
	le := binary.LittleEndian
	magic := le.Uint32(b)
	c := &creds.FileCaps{Effective: magic&1 != 0}
	switch magic &^ 0xffffff {
	case 0x02000000:
	case 0x03000000:
		if len(b) < 24 {
			return nil
		}
		root, ok := ns.KUID(0)
		if !ok || uint32(root) != le.Uint32(b[20:]) {
			return nil
		}
	default:
		return nil
	}
	c.Permitted = creds.CapSet(le.Uint32(b[4:])) | creds.CapSet(le.Uint32(b[12:]))<<32
	c.Inheritable = creds.CapSet(le.Uint32(b[8:])) | creds.CapSet(le.Uint32(b[16:]))<<32
	c.Permitted &= creds.AllCaps
	c.Inheritable &= creds.AllCaps
	return c
}

// deThread ends every other thread of the process and makes t its leader
// (linux: fs/exec.c de_thread).
func (t *Task) deThread() error {
	k, tg := t.k, t.tg
	k.ts.mu.Lock()
	tg.sigMu.Lock()
	if t.killed || tg.exiting {
		tg.sigMu.Unlock()
		k.ts.mu.Unlock()
		return errno.EINTR
	}
	if len(tg.tasks) == 1 {
		tg.sigMu.Unlock()
		k.ts.mu.Unlock()
		return nil
	}
	if tg.execing != nil {
		tg.sigMu.Unlock()
		k.ts.mu.Unlock()
		return errno.EAGAIN
	}
	tg.execing = t
	tg.stop.abort()
	for _, x := range tg.tasks {
		if x == t {
			x.stopPending = false
			continue
		}
		x.killed = true
		x.stopPending, x.stopped = false, false
		x.kick(workSignal)
	}
	tg.sigMu.Unlock()
	k.ts.mu.Unlock()
	for {
		k.ts.mu.Lock()
		alone := true
		for _, x := range tg.tasks {
			if x != t && x.exitState == exitNone {
				alone = false
			}
		}
		if alone {
			break
		}
		k.ts.mu.Unlock()
		if t.dying() {
			tg.sigMu.Lock()
			tg.execing = nil
			tg.sigMu.Unlock()
			return errno.EINTR
		}
		t.block(nil, noDeadline, 0, stateDiskSleep)
	}
	defer k.ts.mu.Unlock()
	// Only t and zombies (a leader that waits for us, traced threads) are left.
	if l := tg.leader; l != t {
		lp, tp := l.pid.Load(), t.pid.Load()
		l.pid.Store(tp)
		t.pid.Store(lp)
		lp.task, tp.task = t, l
		tg.leader = t
	}
	for _, x := range append([]*Task(nil), tg.tasks...) {
		if x != t {
			k.forgetTaskLocked(x)
		}
	}
	tg.sigMu.Lock()
	tg.publishLocked()
	tg.execing = nil
	tg.sigMu.Unlock()
	tg.exitSignal = sigCHLD
	return nil
}

func newRegs(img loader.Image) (r archRegs) {
	r.Rip, r.Rsp = img.Rip, img.Rsp
	r.Cs, r.Ss = 0x33, 0x2b
	r.Eflags = 0x202
	r.OrigRax = ^uint64(0)
	return
}

// ExeName is the path of the program for logs.
func (t *Task) ExeName() string {
	if m := t.MM(); m != nil {
		if f, ok := m.Exe().(*vfs.File); ok && f != nil {
			s := f.Path().String(vfs.Path{})
			f.DecRef(t)
			return strings.Clone(s)
		}
	}
	return ""
}
