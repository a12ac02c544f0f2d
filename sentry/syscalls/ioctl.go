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
	fioClex   = 0x5451
	fioNClex  = 0x5450
	fioNBIO   = 0x5421
	fioAsync  = 0x5452
	fioQSize  = 0x5460
	fioRead   = 0x541b
	fiGetBSZ  = 2
	fiBMap    = 1
	fiFreeze  = 0xc0045877
	fiThaw    = 0xc0045878
	fsIocFlag = 0x80086601 // FS_IOC_GETFLAGS
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
		n := int32(max(int64(st.Size)-f.Offset(), 0))
		return true, kernel.Put(t, arg, &n)
	case fioQSize:
		st, err := f.Stat(t)
		if err != nil {
			return true, err
		}
		n := int64(st.Size)
		return true, kernel.Put(t, arg, &n)
	case fiFreeze, fiThaw:
		return true, errno.EOPNOTSUPP
	}
	return false, nil
}
