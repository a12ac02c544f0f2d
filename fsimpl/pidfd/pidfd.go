// Package pidfd has the files of pidfd_open(2) and CLONE_PIDFD: a process, or
// a thread, as a descriptor.
package pidfd

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/fsimpl/nsfs"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// Flags of pidfd_open(2).
const (
	NonBlock = unix.O_NONBLOCK
	Thread   = unix.O_EXCL
)

// File is one pidfd.
type File struct {
	vfs.StreamBase
	pid    *kernel.PID
	thread bool
}

// New returns an open pidfd; flags are NonBlock and Thread.
func New(ctx kctx.Ctx, sys *vfs.System, pid *kernel.PID, flags uint32) *vfs.File {
	p := &File{pid: pid, thread: flags&Thread != 0}
	return vfs.NewAnonFileFor(ctx, sys, "anon_inode:[pidfd]", p, unix.O_RDWR|flags&NonBlock)
}

// Of returns the identifier behind a pidfd, nil if f is none.
func Of(f *vfs.File) (pid *kernel.PID, thread bool) {
	if p, ok := f.Ops().(*File); ok {
		return p.pid, p.thread
	}
	return nil, false
}

// state says whether the process (thread) has exited, and whether it was
// waited for.
func (p *File) state() (exited, reaped bool) {
	if p.thread {
		t := p.pid.Task()
		return t == nil || t.State() == 'Z' || t.State() == 'X', t == nil
	}
	tg := p.pid.ThreadGroup()
	if tg == nil {
		return true, true
	}
	for _, t := range tg.Tasks() {
		if s := t.State(); s != 'Z' && s != 'X' {
			return false, false
		}
	}
	return true, false
}

// Ready implements vfs.FileOps.
func (p *File) Ready(mask wait.Events) wait.Events {
	exited, reaped := p.state()
	var r wait.Events
	if exited {
		r = wait.In | wait.RdNorm
	}
	if reaped {
		r |= wait.Hup
	}
	return r & (mask | wait.Hup)
}

// WaitQueue implements vfs.FileOps.
func (p *File) WaitQueue() *wait.Queue { return &p.pid.Exited }

// FDInfo is what /proc/pid/fdinfo shows besides the generic lines.
func (p *File) FDInfo(ns *kernel.PIDNamespace) string {
	if _, reaped := p.state(); reaped {
		return "Pid:\t-1\nNSpid:\t-1\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Pid:\t%d\nNSpid:", p.pid.In(ns))
	l := p.pid.Numbers(ns)
	if len(l) == 0 {
		l = []int32{0}
	}
	for _, n := range l {
		fmt.Fprintf(&b, "\t%d", n)
	}
	b.WriteByte('\n')
	return b.String()
}

// Requests of linux/pidfd.h.
const (
	getCgroupNS     = 0xff01
	getIPCNS        = 0xff02
	getMntNS        = 0xff03
	getNetNS        = 0xff04
	getPIDNS        = 0xff05
	getPIDForKidsNS = 0xff06
	getTimeNS       = 0xff07
	getTimeForKids  = 0xff08
	getUserNS       = 0xff09
	getUTSNS        = 0xff0a
	getInfo         = 0xc040ff0b
)

// info is struct pidfd_info.
type info struct {
	Mask                    uint64
	CgroupID                uint64
	Pid, Tgid, Ppid         uint32
	Ruid, Rgid, Euid, Egid  uint32
	Suid, Sgid, Fsuid, Fsgd uint32
	ExitCode                int32
}

const (
	infoPID    = 1
	infoCreds  = 2
	infoCgroup = 4
	infoExit   = 8
)

// Ioctl implements vfs.FileOps.
func (p *File) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	caller, ok := ctx.(*kernel.Task)
	if !ok {
		return 0, errno.ENOTTY
	}
	if cmd == getInfo {
		return 0, p.info(caller, io, arg)
	}
	if cmd < getCgroupNS || cmd > getUTSNS {
		return 0, errno.ENOTTY
	}
	if arg != 0 {
		return 0, errno.EINVAL
	}
	t := p.pid.Task()
	if t == nil {
		return 0, errno.ESRCH
	}
	if err := caller.MayTrace(t, false); err != nil {
		return 0, err
	}
	i := nsfs.New(Namespace(t, cmd))
	if i == nil {
		return 0, errno.ESRCH
	}
	vf, err := openNS(ctx, caller.Kernel().VFS(), i)
	if err != nil {
		return 0, err
	}
	fd, err := caller.InstallFile(vf, true)
	if err != nil {
		vf.DecRef(ctx)
		return 0, err
	}
	return uint64(fd), nil
}

func openNS(ctx kctx.Ctx, sys *vfs.System, i *nsfs.Inode) (*vfs.File, error) {
	ops, err := i.Open(ctx, nil, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return vfs.NewInodeFile(ctx, sys, i, ops, unix.O_RDONLY), nil
}

// Namespace returns the namespace of t that a request names.
func Namespace(t *kernel.Task, cmd uint32) any {
	switch cmd {
	case getCgroupNS:
		return t.CgroupNS()
	case getIPCNS:
		return t.IPC()
	case getMntNS:
		return t.MountNS()
	case getNetNS:
		return t.NetNS()
	case getPIDNS:
		return t.PIDNamespace()
	case getPIDForKidsNS:
		return t.PIDNSForChildren()
	case getTimeNS:
		return t.TimeNS()
	case getTimeForKids:
		return t.TimeNSForChildren()
	case getUserNS:
		return t.UserNS()
	case getUTSNS:
		return t.UTS()
	}
	return nil
}

func (p *File) info(caller *kernel.Task, io usermem.IO, arg uint64) error {
	var in info
	if err := usermem.Get(io, arg, &in); err != nil {
		return err
	}
	want := in.Mask
	in = info{}
	ns := caller.PIDNamespace()
	t := p.pid.Task()
	if t == nil {
		st, ok := p.pid.ExitStatus()
		if !ok || want&infoExit == 0 {
			return errno.ESRCH
		}
		in.Mask, in.ExitCode = infoExit, int32(st)
		return usermem.Put(io, arg, &in)
	}
	c, u := t.Creds(), caller.UserNS()
	in.Mask = infoPID | infoCreds
	in.Pid, in.Tgid = uint32(t.TIDIn(ns)), uint32(t.ThreadGroup().PIDIn(ns))
	if par := t.ThreadGroup().Parent(); par != nil {
		in.Ppid = uint32(par.PIDIn(ns))
	}
	if in.Pid == 0 {
		return errno.ESRCH
	}
	in.Ruid, in.Euid, in.Suid, in.Fsuid = u.UID(c.RUID), u.UID(c.EUID), u.UID(c.SUID), u.UID(c.FSUID)
	in.Rgid, in.Egid, in.Sgid, in.Fsgd = u.GID(c.RGID), u.GID(c.EGID), u.GID(c.SGID), u.GID(c.FSGID)
	return usermem.Put(io, arg, &in)
}

// Transfers implements vfs.OneWay: there is nothing to read or write.
func (p *File) Transfers(bool) bool { return false }

// NoSeek says that lseek(2) is refused.
func (p *File) NoSeek() bool { return true }
