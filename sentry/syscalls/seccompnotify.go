package syscalls

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/sentry/wait"
	"redoubt.dev/redoubt/vfs"
)

// notifyFile is the descriptor of SECCOMP_FILTER_FLAG_NEW_LISTENER
// (seccomp_unotify(2)).
type notifyFile struct {
	vfs.StreamBase
	l *seccomp.Listener
}

// Requests of the descriptor.
const (
	notifRecv     = 0xc0502100
	notifSend     = 0xc0182101
	notifIDValid  = 0x40082102
	notifIDValid0 = 0x80082102 // what headers before Linux 5.8 had
	notifAddFD    = 0x40182103
	notifSetFlags = 0x40082104
)

// newListener opens the descriptor of p's notifications.
func newListener(t *kernel.Task, p *seccomp.Program) (*vfs.File, error) {
	var b [8]byte
	rand.Read(b[:])
	p.Listener = seccomp.NewListener(binary.LittleEndian.Uint64(b[:]))
	return vfs.NewAnonFileFor(t, t.Kernel().VFS(), "anon_inode:seccomp notify", &notifyFile{l: p.Listener}, unix.O_RDWR), nil
}

// Ready implements vfs.FileOps.
func (n *notifyFile) Ready(mask wait.Events) wait.Events {
	in, out := n.l.Ready()
	var r wait.Events
	if in {
		r |= wait.In | wait.RdNorm
	}
	if out {
		r |= wait.Out | wait.WrNorm
	}
	r &= mask
	if n.l.Dead() {
		r |= wait.Hup
	}
	return r
}

// WaitQueue implements vfs.FileOps.
func (n *notifyFile) WaitQueue() *wait.Queue { return &n.l.Queue }

// Release implements vfs.FileOps.
func (n *notifyFile) Release(ctx kctx.Ctx, f *vfs.File) { n.l.Close() }

// notif is struct seccomp_notif.
type notif struct {
	ID         uint64
	PID, Flags uint32
	Data       seccomp.Data
}

// notifResp is struct seccomp_notif_resp.
type notifResp struct {
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

// Ioctl implements vfs.FileOps.
func (n *notifyFile) Ioctl(ctx kctx.Ctx, f *vfs.File, io usermem.IO, cmd uint32, arg uint64) (uint64, error) {
	t, ok := ctx.(*kernel.Task)
	if !ok {
		return 0, errno.ENOTTY
	}
	switch cmd {
	case notifRecv:
		return 0, n.receive(t, io, arg)
	case notifSend:
		var r notifResp
		if err := usermem.Get(io, arg, &r); err != nil {
			return 0, err
		}
		if r.Flags&^1 != 0 || r.Flags&1 != 0 && (r.Error != 0 || r.Val != 0) {
			return 0, errno.EINVAL
		}
		return 0, n.l.Answer(r.ID, seccomp.Reply{Val: r.Val, Errno: r.Error, Continue: r.Flags&1 != 0})
	case notifIDValid, notifIDValid0:
		var id uint64
		if err := usermem.Get(io, arg, &id); err != nil {
			return 0, err
		}
		if n.l.Find(id) == nil {
			return 0, errno.ENOENT
		}
		return 0, nil
	case notifAddFD:
		return n.addFD(t, io, arg)
	case notifSetFlags:
		if arg&^1 != 0 {
			return 0, errno.EINVAL
		}
		return 0, nil // a hint to the scheduler
	}
	return 0, errno.EINVAL
}

func (n *notifyFile) receive(t *kernel.Task, io usermem.IO, arg uint64) error {
	var u notif
	if err := usermem.Get(io, arg, &u); err != nil {
		return err
	}
	if u != (notif{}) {
		return errno.EINVAL
	}
	r := n.l.Next()
	if r == nil {
		e := wait.NewEntry(wait.All)
		n.l.Queue.Add(e)
		defer n.l.Queue.Remove(e)
		for {
			if r = n.l.Next(); r != nil {
				break
			}
			if n.l.Dead() {
				return errno.ENOENT
			}
			if err := t.Block(e, time.Time{}); err != nil {
				return err
			}
		}
	}
	u.ID, u.Data = r.ID, r.Data
	u.PID = uint32(r.Owner.(*kernel.Task).TIDIn(t.PIDNamespace()))
	if err := usermem.Put(io, arg, &u); err != nil {
		n.l.Return(r)
		return err
	}
	n.l.Queue.Notify(wait.Out | wait.WrNorm)
	return nil
}

// addFD is SECCOMP_IOCTL_NOTIF_ADDFD.
func (n *notifyFile) addFD(t *kernel.Task, io usermem.IO, arg uint64) (uint64, error) {
	var u struct {
		ID                        uint64
		Flags, SrcFD, NewFD, NewF uint32
	}
	if err := usermem.Get(io, arg, &u); err != nil {
		return 0, err
	}
	const setFD, send = 1, 2
	if u.Flags&^(setFD|send) != 0 || u.NewF&^uint32(unix.O_CLOEXEC) != 0 || u.NewFD != 0 && u.Flags&setFD == 0 {
		return 0, errno.EINVAL
	}
	f, err := t.File(int32(u.SrcFD))
	if err != nil {
		return 0, err
	}
	r := n.l.Find(u.ID)
	if r == nil {
		f.DecRef(t)
		return 0, errno.ENOENT
	}
	x := r.Owner.(*kernel.Task)
	fds := x.FDs()
	if fds == nil {
		f.DecRef(t)
		return 0, errno.ENOENT
	}
	fd := int32(u.NewFD)
	limit := x.Limit(unix.RLIMIT_NOFILE)
	if u.Flags&setFD != 0 {
		err = fds.InstallAt(t, f, fd, u.NewF != 0, limit)
	} else {
		fd, err = fds.Install(t, f, 0, u.NewF != 0, limit)
	}
	if err != nil {
		f.DecRef(t)
		return 0, err
	}
	if u.Flags&send != 0 {
		if err := n.l.Answer(u.ID, seccomp.Reply{Val: int64(fd)}); err != nil {
			return 0, err
		}
	}
	return uint64(fd), nil
}
