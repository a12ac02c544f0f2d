package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/vfs"
)

var fcntlRows = []Row{
	{32, "dup", sysDup, "fd", Full, ""},
	{33, "dup2", sysDup2, "fd,fd", Full, ""},
	{72, "fcntl", sysFcntl, "fd,fcntl,hex", Partial, "read and write hints kept nowhere"},
	{73, "flock", sysFlock, "fd,int", Full, ""},
	{292, "dup3", sysDup3, "fd,fd,oflags", Full, ""},
}

// dup(2).
func sysDup(t *kernel.Task, a arch.Args) (uint64, error) { return dupFrom(t, a.Int(0), 0, false) }

func dupFrom(t *kernel.Task, fd, min int32, cloexec bool) (uint64, error) {
	f, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	limit := t.Limit(unix.RLIMIT_NOFILE)
	if min < 0 || uint64(min) >= limit {
		f.DecRef(t)
		return 0, errno.EINVAL
	}
	n, err := t.FDs().Install(t, f, min, cloexec, limit)
	if err != nil {
		f.DecRef(t)
		return 0, err
	}
	return uint64(n), nil
}

func dupTo(t *kernel.Task, from, to int32, cloexec bool) (uint64, error) {
	f, err := t.File(from)
	if err != nil {
		return 0, err
	}
	if err := t.FDs().InstallAt(t, f, to, cloexec, t.Limit(unix.RLIMIT_NOFILE)); err != nil {
		f.DecRef(t)
		return 0, err
	}
	return uint64(to), nil
}

// dup2(2).
func sysDup2(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(0) == a.Int(1) {
		f, err := t.File(a.Int(0))
		if err != nil {
			return 0, err
		}
		f.DecRef(t)
		return uint64(a.Int(0)), nil
	}
	return dupTo(t, a.Int(0), a.Int(1), false)
}

// dup3(2).
func sysDup3(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Int(0) == a.Int(1) || a.Uint(2)&^unix.O_CLOEXEC != 0 {
		return 0, errno.EINVAL
	}
	return dupTo(t, a.Int(0), a.Int(1), a.Uint(2) != 0)
}

// flock(2).
func sysFlock(t *kernel.Task, a arch.Args) (uint64, error) {
	const mandatory = 32 // LOCK_MAND: accepted and ignored since Linux 5.16
	if a.Int(1)&mandatory != 0 {
		return 0, nil
	}
	op := a.Int(1)
	switch op &^ unix.LOCK_NB {
	case unix.LOCK_SH, unix.LOCK_EX, unix.LOCK_UN:
	default:
		return 0, errno.EINVAL
	}
	f, err := openFile(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	return 0, f.Flock(t, op)
}

// Commands of fcntl(2) that x/sys does not name.
const (
	fDupFDQuery  = 1027
	fCreatedQury = 1028
	fGetRWHint   = 1035
	fSetRWHint   = 1036
	fGetFileHint = 1037
	fSetFileHint = 1038
	fCancelLK    = 1029
	fGetOwnUIDs  = 17
)

// fcntl(2).
func sysFcntl(t *kernel.Task, a arch.Args) (uint64, error) {
	fd, cmd, arg := a.Int(0), a.Int(1), a.Uint64(2)
	f, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	switch cmd {
	case unix.F_DUPFD:
		return dupFrom(t, fd, int32(arg), false)
	case unix.F_DUPFD_CLOEXEC:
		return dupFrom(t, fd, int32(arg), true)
	case unix.F_GETFD:
		if t.FDs().Cloexec(fd) {
			return unix.FD_CLOEXEC, nil
		}
		return 0, nil
	case unix.F_SETFD:
		return 0, t.FDs().SetCloexec(fd, arg&unix.FD_CLOEXEC != 0)
	case unix.F_GETFL:
		return uint64(f.Flags()), nil
	case fDupFDQuery:
		g, err := t.File(int32(arg))
		if err != nil {
			return 0, err
		}
		defer g.DecRef(t)
		if f == g {
			return 1, nil
		}
		return 0, nil
	case fCreatedQury:
		if f.Created() {
			return 1, nil
		}
		return 0, nil
	}
	if f.IsPath() {
		return 0, errno.EBADF
	}
	switch cmd {
	case unix.F_SETFL:
		if arg&unix.O_NOATIME != 0 && f.Flags()&unix.O_NOATIME == 0 {
			if _, uid, _ := f.Inode().Attr(); t.Creds().FSUID != uid && !vfs.Capable(t.Creds(), creds.CapFowner, f.Inode()) {
				return 0, errno.EPERM
			}
		}
		if arg&unix.O_DIRECT != 0 && !directIO(t, f) {
			return 0, errno.EINVAL
		}
		f.SetStatus(t, fd, uint32(arg))
		return 0, nil
	case fGetOwnUIDs:
		var ids [2]uint32
		if o := f.Owner(); o.PID != 0 {
			c := t.Creds() // Differs: not the ids of the setter
			ids = [2]uint32{t.UserNS().UID(c.RUID), t.UserNS().UID(c.EUID)}
		}
		return 0, kernel.Put(t, arg, &ids)
	case unix.F_GETLK, unix.F_SETLK, unix.F_SETLKW:
		return 0, recordLock(t, f, cmd-unix.F_GETLK, arg, false)
	case unix.F_OFD_GETLK, unix.F_OFD_SETLK, unix.F_OFD_SETLKW:
		return 0, recordLock(t, f, cmd-unix.F_OFD_GETLK, arg, true)
	case unix.F_GETOWN:
		o := f.Owner()
		if o.Type == vfs.OwnerPGRP {
			return uint64(-int64(o.PID)), nil
		}
		return uint64(o.PID), nil
	case unix.F_SETOWN:
		o := vfs.Owner{Type: vfs.OwnerPID, PID: int32(arg)}
		if o.PID < 0 {
			if o.PID == -1<<31 {
				return 0, errno.EINVAL
			}
			o = vfs.Owner{Type: vfs.OwnerPGRP, PID: -o.PID}
		}
		return 0, setOwner(t, f, o)
	case unix.F_GETOWN_EX:
		o := f.Owner()
		v := [2]int32{o.Type, o.PID}
		return 0, kernel.Put(t, arg, &v)
	case unix.F_SETOWN_EX:
		var v [2]int32
		if err := kernel.Get(t, arg, &v); err != nil {
			return 0, err
		}
		if v[0] < 0 || v[0] > vfs.OwnerPGRP {
			return 0, errno.EINVAL
		}
		return 0, setOwner(t, f, vfs.Owner{Type: v[0], PID: v[1]})
	case unix.F_GETSIG:
		return uint64(f.Sig()), nil
	case unix.F_SETSIG:
		if uint32(arg) > 64 {
			return 0, errno.EINVAL
		}
		f.SetSig(int32(arg))
		return 0, nil
	case unix.F_GETPIPE_SZ, unix.F_SETPIPE_SZ:
		p, ok := f.Ops().(pipeSizer)
		if !ok {
			return 0, errno.EBADF
		}
		if cmd == unix.F_GETPIPE_SZ {
			return uint64(p.PipeSize()), nil
		}
		n, err := p.SetPipeSize(arg&0xffffffff, t.Creds().Capable(creds.CapSysResource))
		return uint64(n), err
	case unix.F_GET_SEALS, unix.F_ADD_SEALS:
		if cmd == unix.F_ADD_SEALS && !f.Writable() {
			return 0, errno.EPERM
		}
		s, ok := f.Inode().(sealer)
		if !ok {
			return 0, errno.EINVAL
		}
		if cmd == unix.F_GET_SEALS {
			return uint64(s.Seals()), nil
		}
		return 0, s.AddSeals(uint32(arg))
	case unix.F_GETLEASE:
		return uint64(f.Lease()), nil
	case unix.F_SETLEASE:
		ownSelf(t, f)
		return 0, f.SetLease(t, fd, int16(min(uint32(arg), 99)))
	case unix.F_NOTIFY:
		if uint32(arg)&^(1<<31) == 0 && !f.IsDir() {
			return 0, nil
		}
		if uint32(arg)&^(1<<31) != 0 {
			ownSelf(t, f)
		}
		return 0, f.Notify(t, fd, uint32(arg))
	case fGetRWHint, fGetFileHint:
		var zero uint64
		return 0, kernel.Put(t, arg, &zero)
	case fSetRWHint, fSetFileHint:
		var h uint64
		if err := kernel.Get(t, arg, &h); err != nil {
			return 0, err
		}
		if h > 5 {
			return 0, errno.EINVAL
		}
		return 0, nil
	}
	return 0, errno.EINVAL
}

// directIO says whether O_DIRECT means something for f: files of storage and
// pipes (FMODE_CAN_ODIRECT).
func directIO(t *kernel.Task, f *vfs.File) bool {
	if _, ok := f.Ops().(pipeSizer); ok {
		return true
	}
	if !isReg(f) {
		return false
	}
	st, err := vfsOf(t).Statfs(t, f.Path())
	if err != nil {
		return false
	}
	switch st.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC:
		return false
	}
	return true
}

// pipeSizer is a pipe's FileOps.
type pipeSizer interface {
	PipeSize() int
	SetPipeSize(n uint64, privileged bool) (int, error)
}

// sealer is an inode with seals (memfd_create(2)).
type sealer interface {
	Seals() uint32
	AddSeals(s uint32) error
}

// ownSelf makes the caller the owner of a file that has none.
func ownSelf(t *kernel.Task, f *vfs.File) {
	if f.Owner().PID == 0 {
		f.SetOwner(vfs.Owner{Type: vfs.OwnerPID, PID: t.TGID(), Target: t.ThreadGroup()})
	}
}

// setOwner finds who will get the signals.
func setOwner(t *kernel.Task, f *vfs.File, o vfs.Owner) error {
	if o.PID == 0 {
		f.SetOwner(vfs.Owner{Type: o.Type})
		return nil
	}
	o.Target = ioTarget(t, o)
	if o.Target == nil {
		return errno.ESRCH
	}
	f.SetOwner(o)
	return nil
}

// flock64 is struct flock.
type flock64 struct {
	Type, Whence int16
	_            [4]byte
	Start, Len   int64
	PID          int32
	_            [4]byte
}

// recordLock does F_GETLK (which 0), F_SETLK (1) and F_SETLKW (2), and the OFD
// forms of them.
func recordLock(t *kernel.Task, f *vfs.File, which int32, addr uint64, ofd bool) error {
	var l flock64
	if err := kernel.Get(t, addr, &l); err != nil {
		return err
	}
	if ofd && l.PID != 0 {
		return errno.EINVAL
	}
	switch l.Whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		l.Start += f.Offset()
	case unix.SEEK_END:
		st, err := f.Stat(t)
		if err != nil {
			return err
		}
		l.Start += int64(st.Size)
	default:
		return errno.EINVAL
	}
	r := vfs.Record{Type: l.Type, Start: l.Start, End: vfs.LockMax, Owner: t.FDs(), PID: t.ProcessID()}
	if ofd {
		r.Owner, r.PID = f, -1
	}
	switch {
	case l.Len > 0:
		if r.End = l.Start + l.Len - 1; r.End < l.Start {
			return errno.EOVERFLOW
		}
	case l.Len < 0:
		r.Start, r.End = l.Start+l.Len, l.Start-1
	}
	if r.Start < 0 {
		return errno.EINVAL
	}
	if which == 0 {
		if l.Type != unix.F_RDLCK && l.Type != unix.F_WRLCK && !(ofd && l.Type == unix.F_UNLCK) {
			return errno.EINVAL
		}
		return getLock(t, f, addr, &l, r)
	}
	switch l.Type {
	case unix.F_RDLCK:
		if !f.Readable() {
			return errno.EBADF
		}
	case unix.F_WRLCK:
		if !f.Writable() {
			return errno.EBADF
		}
	case unix.F_UNLCK:
	default:
		return errno.EINVAL
	}
	return f.SetLock(t, r, which == 2)
}

func getLock(t *kernel.Task, f *vfs.File, addr uint64, l *flock64, r vfs.Record) error {
	in, ok := f.TestLock(r)
	if !ok {
		l.Type = unix.F_UNLCK
		return kernel.Put(t, addr, l)
	}
	l.Type, l.Whence, l.Start, l.PID = in.Type, unix.SEEK_SET, in.Start, in.PID
	if in.PID > 0 {
		l.PID = pidSeenBy(t, in.PID)
	}
	l.Len = 0
	if in.End != vfs.LockMax {
		l.Len = in.End - in.Start + 1
	}
	return kernel.Put(t, addr, l)
}
