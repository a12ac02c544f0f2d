package syscalls

import (
	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
	"redoubt.dev/redoubt/vfs"
)

var prctlRows = []Row{
	{157, "prctl", sysPrctl, "int,hex,hex,hex,hex", Partial, "no speculation control, tagged addresses, core scheduling, MCE or endian options"},
}

func boolean(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// prctl(2).
func sysPrctl(t *kernel.Task, a arch.Args) (uint64, error) {
	arg := a[1]
	c := t.Creds()
	switch a.Int(0) {
	case unix.PR_SET_PDEATHSIG:
		if arg > signal.Max {
			return 0, errno.EINVAL
		}
		t.SetPDeathSig(int32(arg))
		return 0, nil
	case unix.PR_GET_PDEATHSIG:
		v := t.PDeathSig()
		return 0, usermem.Put(t.Mem(), arg, &v)
	case unix.PR_GET_DUMPABLE:
		return uint64(t.MM().Dumpable()), nil
	case unix.PR_SET_DUMPABLE:
		if arg > 1 {
			return 0, errno.EINVAL
		}
		t.MM().SetDumpable(mm.Dumpable(arg))
		return 0, nil
	case unix.PR_GET_UNALIGN, unix.PR_SET_UNALIGN, unix.PR_GET_FPEMU, unix.PR_SET_FPEMU,
		unix.PR_GET_FPEXC, unix.PR_SET_FPEXC, unix.PR_GET_ENDIAN, unix.PR_SET_ENDIAN:
		return 0, errno.EINVAL
	case unix.PR_GET_KEEPCAPS:
		return boolean(c.KeepCaps), nil
	case unix.PR_SET_KEEPCAPS:
		if arg > 1 {
			return 0, errno.EINVAL
		}
		if c.SecureBits&creds.SecKeepCapsLocked != 0 {
			return 0, errno.EPERM
		}
		n := c.Fork()
		n.KeepCaps = arg == 1
		n.SecureBits &^= creds.SecKeepCaps
		if n.KeepCaps {
			n.SecureBits |= creds.SecKeepCaps
		}
		t.SetCreds(n)
		return 0, nil
	case unix.PR_GET_TIMING:
		return 0, nil
	case unix.PR_SET_TIMING:
		if arg != 0 {
			return 0, errno.EINVAL
		}
		return 0, nil
	case unix.PR_SET_NAME:
		var b [16]byte
		for i := range b {
			if err := t.CopyIn(arg+uint64(i), b[i:i+1]); err != nil {
				return 0, err
			}
			if b[i] == 0 || i == 15 {
				t.SetName(string(b[:i]))
				return 0, nil
			}
		}
		return 0, nil
	case unix.PR_GET_NAME:
		var b [16]byte
		copy(b[:15], t.Name())
		return 0, t.CopyOut(arg, b[:])
	case unix.PR_GET_TSC:
		v := int32(unix.PR_TSC_ENABLE)
		return 0, usermem.Put(t.Mem(), arg, &v)
	case unix.PR_SET_TSC:
		if arg != unix.PR_TSC_ENABLE {
			return 0, errno.EINVAL
		}
		return 0, nil
	case unix.PR_GET_SECCOMP:
		return uint64(t.SeccompMode()), nil
	case unix.PR_SET_SECCOMP:
		switch arg {
		case unix.SECCOMP_MODE_STRICT:
			return 0, t.SeccompStrict()
		case unix.SECCOMP_MODE_FILTER:
			return seccompSet(t, 0, a[2])
		}
		return 0, errno.EINVAL
	case unix.PR_CAPBSET_READ:
		if arg > uint64(creds.CapLast) {
			return 0, errno.EINVAL
		}
		return boolean(c.Bounding.Has(creds.Cap(arg))), nil
	case unix.PR_CAPBSET_DROP:
		if !c.Capable(creds.CapSetpcap) {
			return 0, errno.EPERM
		}
		if arg > uint64(creds.CapLast) {
			return 0, errno.EINVAL
		}
		n := c.Fork()
		n.Bounding &^= 1 << arg
		t.SetCreds(n)
		return 0, nil
	case unix.PR_GET_SECUREBITS:
		return uint64(c.SecureBits), nil
	case unix.PR_SET_SECUREBITS:
		old := uint64(c.SecureBits)
		const locks = creds.SecNoRootLocked | creds.SecNoSetuidFixupLocked | creds.SecKeepCapsLocked | creds.SecNoAmbientLocked
		if arg&^creds.SecAll != 0 || old&locks&^arg != 0 || (old&locks>>1)&(old^arg) != 0 || !c.Capable(creds.CapSetpcap) {
			return 0, errno.EPERM
		}
		n := c.Fork()
		n.SecureBits = uint32(arg)
		n.KeepCaps = arg&creds.SecKeepCaps != 0
		t.SetCreds(n)
		return 0, nil
	case unix.PR_SET_TIMERSLACK:
		if arg == 0 || int64(arg) < 0 {
			arg = 50000
		}
		t.SetTimerSlack(arg)
		return 0, nil
	case unix.PR_GET_TIMERSLACK:
		return t.TimerSlack(), nil
	case unix.PR_MCE_KILL_GET:
		if a[1]|a[2]|a[3]|a[4] != 0 {
			return 0, errno.EINVAL
		}
		return unix.PR_MCE_KILL_DEFAULT, nil
	case unix.PR_MCE_KILL:
		return 0, errno.EINVAL
	case unix.PR_TASK_PERF_EVENTS_DISABLE, unix.PR_TASK_PERF_EVENTS_ENABLE:
		return 0, nil
	case unix.PR_SET_MM:
		return prctlSetMM(t, a)
	case unix.PR_SET_PTRACER:
		// No Yama here: any tracer that may is allowed.
		return 0, errno.EINVAL
	case unix.PR_SET_CHILD_SUBREAPER:
		t.ThreadGroup().SetSubreaper(arg != 0)
		return 0, nil
	case unix.PR_GET_CHILD_SUBREAPER:
		v := int32(boolean(t.ThreadGroup().Subreaper()))
		return 0, usermem.Put(t.Mem(), arg, &v)
	case unix.PR_SET_NO_NEW_PRIVS:
		if arg != 1 || a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, errno.EINVAL
		}
		if !c.NoNewPrivs {
			n := c.Fork()
			n.NoNewPrivs = true
			t.SetCreds(n)
		}
		return 0, nil
	case unix.PR_GET_NO_NEW_PRIVS:
		if arg != 0 || a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, errno.EINVAL
		}
		return boolean(c.NoNewPrivs), nil
	case unix.PR_GET_TID_ADDRESS:
		v := t.ClearTID()
		return 0, usermem.Put(t.Mem(), arg, &v)
	case unix.PR_SET_THP_DISABLE:
		if a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, errno.EINVAL
		}
		t.ThreadGroup().SetTHPDisable(arg != 0)
		return 0, nil
	case unix.PR_GET_THP_DISABLE:
		if a[1]|a[2]|a[3]|a[4] != 0 {
			return 0, errno.EINVAL
		}
		return boolean(t.ThreadGroup().THPDisable()), nil
	case unix.PR_CAP_AMBIENT:
		return prctlAmbient(t, a)
	case unix.PR_SET_IO_FLUSHER, unix.PR_GET_IO_FLUSHER:
		if !c.Capable(creds.CapSysResource) {
			return 0, errno.EPERM
		}
		return 0, nil
	case unix.PR_GET_SPECULATION_CTRL:
		if a[2]|a[3]|a[4] != 0 {
			return 0, errno.EINVAL
		}
		if arg > 2 {
			return 0, errno.ENODEV
		}
		return 0, nil // not affected
	case unix.PR_SET_SPECULATION_CTRL:
		switch {
		case a[3]|a[4] != 0:
			return 0, errno.EINVAL
		case arg > 2:
			return 0, errno.ENODEV
		}
		return 0, errno.ENXIO
	case 0x53564d41: // PR_SET_VMA: names of anonymous mappings
		return 0, errno.EINVAL
	case 65: // PR_SET_MDWE
		if arg == 0 {
			return 0, nil
		}
		return 0, errno.EINVAL
	case 66: // PR_GET_MDWE
		if a[1]|a[2]|a[3]|a[4] != 0 {
			return 0, errno.EINVAL
		}
		return 0, nil
	}
	return 0, errno.EINVAL
}

func prctlAmbient(t *kernel.Task, a arch.Args) (uint64, error) {
	c := t.Creds()
	if a[1] == unix.PR_CAP_AMBIENT_CLEAR_ALL {
		if a[2] != 0 || a[3] != 0 || a[4] != 0 {
			return 0, errno.EINVAL
		}
		n := c.Fork()
		n.Ambient = 0
		t.SetCreds(n)
		return 0, nil
	}
	if a[2] > uint64(creds.CapLast) || a[3] != 0 || a[4] != 0 {
		return 0, errno.EINVAL
	}
	bit := creds.CapSet(1) << a[2]
	switch a[1] {
	case unix.PR_CAP_AMBIENT_IS_SET:
		return boolean(c.Ambient&bit != 0), nil
	case unix.PR_CAP_AMBIENT_RAISE:
		if c.Permitted&bit == 0 || c.Inheritable&bit == 0 || c.SecureBits&creds.SecNoAmbient != 0 {
			return 0, errno.EPERM
		}
		n := c.Fork()
		n.Ambient |= bit
		t.SetCreds(n)
		return 0, nil
	case unix.PR_CAP_AMBIENT_LOWER:
		n := c.Fork()
		n.Ambient &^= bit
		t.SetCreds(n)
		return 0, nil
	}
	return 0, errno.EINVAL
}

// prctlSetMM is PR_SET_MM.
func prctlSetMM(t *kernel.Task, a arch.Args) (uint64, error) {
	if a[4] != 0 && a[1] != unix.PR_SET_MM_AUXV && a[1] != unix.PR_SET_MM_MAP {
		return 0, errno.EINVAL
	}
	if a[1] == unix.PR_SET_MM_MAP_SIZE {
		v := uint32(104)
		return 0, usermem.Put(t.Mem(), a[2], &v)
	}
	if !capable(t, creds.CapSysResource) {
		return 0, errno.EPERM
	}
	m := t.MM()
	i := m.Info()
	switch a[1] {
	case unix.PR_SET_MM_EXE_FILE:
		f, err := t.File(int32(a[2]))
		if err != nil {
			return 0, err
		}
		defer f.DecRef(t)
		if !f.IsRegular() {
			return 0, errno.EACCES
		}
		if err := vfs.Permission(t, f.Inode(), vfs.MayExec); err != nil {
			return 0, err
		}
		m.SetExe(t, f)
		return 0, nil
	case unix.PR_SET_MM_START_CODE:
		i.StartCode = a[2]
	case unix.PR_SET_MM_END_CODE:
		i.EndCode = a[2]
	case unix.PR_SET_MM_START_DATA:
		i.StartData = a[2]
	case unix.PR_SET_MM_END_DATA:
		i.EndData = a[2]
	case unix.PR_SET_MM_START_STACK:
		i.StartStack = a[2]
	case unix.PR_SET_MM_ARG_START:
		i.ArgStart = a[2]
	case unix.PR_SET_MM_ARG_END:
		i.ArgEnd = a[2]
	case unix.PR_SET_MM_ENV_START:
		i.EnvStart = a[2]
	case unix.PR_SET_MM_ENV_END:
		i.EnvEnd = a[2]
	case unix.PR_SET_MM_AUXV:
		if a[3] > 512 {
			return 0, errno.EINVAL
		}
		b := make([]byte, a[3])
		if err := t.CopyIn(a[2], b); err != nil {
			return 0, err
		}
		m.SetAuxv(b)
		return 0, nil
	default:
		return 0, errno.EINVAL
	}
	m.SetInfo(i)
	return 0, nil
}
