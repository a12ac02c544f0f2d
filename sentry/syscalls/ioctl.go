package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/socket"
	"redoubt.dev/redoubt/sentry/socket/inet"
	"redoubt.dev/redoubt/vfs"
)

var ioctlRows = []Row{
	{16, "ioctl", sysIoctl, "fd,ioctl,ptr", Partial, "what each kind of file offers; see the FileOps"},
}

// Commands for every file that x/sys does not name.
const (
	fioClex     = 0x5451
	fioNClex    = 0x5450
	fioNBIO     = 0x5421
	fioAsync    = 0x5452
	fioQSize    = 0x5460
	fioRead     = 0x541b
	fiGetBSZ    = 2
	fiBMap      = 1
	fiFreeze    = 0xc0045877
	fiThaw      = 0xc0045878
	fsGetFlags  = 0x80086601 // FS_IOC_GETFLAGS
	fsSetFlags  = 0x40086602
	fsGetXattr  = 0x801c581f // FS_IOC_FSGETXATTR
	fsFiemap    = 0xc020660b
	fiClone     = 0x40049409
	siocAtMark  = 0x8905
	siocSetPGRP = 0x8902
	fioSetOwn   = 0x8901
	siocGetPGRP = 0x8904
	fioGetOwn   = 0x8903
)

// ioctl(2).
func sysIoctl(t *kernel.Task, a arch.Args) (uint64, error) {
	fd, cmd, arg := a.Int(0), a.Uint(1), a.Ptr(2)
	f, err := t.File(fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef(t)
	if f.IsPath() {
		return 0, errno.EBADF
	}
	switch cmd {
	case fioClex:
		return 0, t.FDs().SetCloexec(fd, true)
	case fioNClex:
		return 0, t.FDs().SetCloexec(fd, false)
	case fioNBIO:
		return 0, setFlag(t, f, fd, arg, unix.O_NONBLOCK)
	case fioAsync:
		if f.WaitQueue() == nil {
			return 0, errno.ENOTTY
		}
		return 0, setFlag(t, f, fd, arg, unix.O_ASYNC)
	}
	switch {
	case cmd == fiGetBSZ:
		st, err := f.Stat(t)
		if err != nil {
			return 0, err
		}
		n := int32(st.BlkSize)
		return 0, kernel.Put(t, arg, &n)
	case cmd == fiBMap && isReg(f):
		if !capable(t, creds.CapSysRawio) {
			return 0, errno.EPERM
		}
		var block int32
		if err := kernel.Get(t, arg, &block); err != nil {
			return 0, err
		}
		return 0, errno.EINVAL
	case cmd == fsFiemap:
		return 0, errno.EOPNOTSUPP
	case cmd == fiClone:
		return 0, cloneFile(t, int32(arg), f)
	case cmd == fsSetFlags:
		var fl int32
		if err := kernel.Get(t, arg, &fl); err != nil {
			return 0, err
		}
		if !onTmpfs(t, f) {
			return 0, errno.ENOTTY
		}
		if fl != 0 {
			return 0, errno.EOPNOTSUPP
		}
		return 0, nil
	case cmd == fsGetFlags && onTmpfs(t, f):
		var none int32
		return 0, kernel.Put(t, arg, &none)
	case cmd == fsGetXattr && onTmpfs(t, f):
		var none [28]byte
		return 0, kernel.Put(t, arg, &none)
	}
	if cmd>>8 == 0x89 {
		if handled, v, err := ownerIoctl(t, f, cmd, arg); handled {
			return v, err
		}
	}
	if isReg(f) || f.IsDir() {
		if handled, err := fileIoctl(t, f, cmd, arg); handled {
			return 0, err
		}
	}
	v, err := f.Ioctl(t, t.Mem(), cmd, arg)
	if err == errno.ENOTTY && cmd>>8 == 0x89 {
		// Sockets of every family answer for network devices (netdevice(7)).
		if _, notSocket := socket.Of(f); notSocket == nil {
			return inet.StackOf(t.NetNS()).Ioctl(t, t.Mem(), cmd, arg)
		}
	}
	return v, err
}

// onTmpfs says whether f is a file or directory of a file system with inode
// flags.
func onTmpfs(t *kernel.Task, f *vfs.File) bool {
	if !isReg(f) && !f.IsDir() {
		return false
	}
	st, err := vfsOf(t).Statfs(t, f.Path())
	return err == nil && st.Type == unix.TMPFS_MAGIC
}

// cloneFile is FICLONE, which no file system here can do (linux: fs/remap_range.c).
func cloneFile(t *kernel.Task, src int32, out *vfs.File) error {
	in, err := openFile(t, src)
	if err != nil {
		return err
	}
	defer in.DecRef(t)
	switch {
	case in.Path().Mount.Super() != out.Path().Mount.Super():
		return errno.EXDEV
	case in.IsDir() || out.IsDir():
		return errno.EISDIR
	case !isReg(in) || !isReg(out):
		return errno.EINVAL
	case !in.Readable() || !out.Writable() || out.Flags()&unix.O_APPEND != 0:
		return errno.EBADF
	}
	return errno.EOPNOTSUPP
}

// ownerIoctl answers requests about the owner of a socket's signals.
func ownerIoctl(t *kernel.Task, f *vfs.File, cmd uint32, arg uint64) (handled bool, v uint64, err error) {
	s, err := socket.Of(f)
	if err != nil {
		return false, 0, nil
	}
	switch cmd {
	case fioGetOwn, siocGetPGRP:
		o := f.Owner()
		if o.Type == vfs.OwnerPGRP {
			o.PID = -o.PID
		}
		return true, 0, kernel.Put(t, arg, &o.PID)
	case fioSetOwn, siocSetPGRP:
		var pid int32
		if err := kernel.Get(t, arg, &pid); err != nil {
			return true, 0, err
		}
		o := vfs.Owner{Type: vfs.OwnerPID, PID: pid}
		if pid < 0 {
			if pid == -1<<31 {
				return true, 0, errno.EINVAL
			}
			o = vfs.Owner{Type: vfs.OwnerPGRP, PID: -pid}
		}
		return true, 0, setOwner(t, f, o)
	case siocAtMark:
		family, typ, _ := s.Kind()
		if typ != unix.SOCK_STREAM || family == unix.AF_NETLINK {
			return false, 0, nil
		}
		var no int32 // there is no out-of-band data
		return true, 0, kernel.Put(t, arg, &no)
	}
	return false, 0, nil
}

func setFlag(t *kernel.Task, f *vfs.File, fd int32, arg uint64, flag uint32) error {
	var on int32
	if err := kernel.Get(t, arg, &on); err != nil {
		return err
	}
	fl := f.Flags() &^ flag
	if on != 0 {
		fl |= flag
	}
	f.SetStatus(t, fd, fl)
	return nil
}

// fileIoctl answers what all regular files and directories do.
func fileIoctl(t *kernel.Task, f *vfs.File, cmd uint32, arg uint64) (bool, error) {
	switch cmd {
	case fioRead:
		if f.IsDir() {
			return false, nil
		}
		st, err := f.Stat(t)
		if err != nil {
			return true, err
		}
		n := int32(int64(st.Size) - f.Offset()) // negative beyond the end
		return true, kernel.Put(t, arg, &n)
	case fioQSize:
		st, err := f.Stat(t)
		if err != nil {
			return true, err
		}
		n := int64(st.Blocks * 512)
		return true, kernel.Put(t, arg, &n)
	case fiFreeze, fiThaw:
		return true, errno.EOPNOTSUPP
	}
	return false, nil
}
