package syscalls

import (
	"crypto/rand"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/usermem"
)

var miscRows = []Row{
	{63, "uname", sysUname, "ptr", Full, ""},
	{97, "getrlimit", sysGetrlimit, "resource,ptr", Full, ""},
	{99, "sysinfo", sysSysinfo, "ptr", Full, ""},
	{103, "syslog", sysSyslog, "int,ptr,int", Partial, "the log is empty"},
	{135, "personality", sysPersonality, "hex", Partial, "only ADDR_NO_RANDOMIZE has an effect"},
	{153, "vhangup", sysVhangup, "", Partial, "EPERM"},
	{139, "sysfs", sysSysfs, "int,hex,hex", Full, ""},
	{154, "modify_ldt", sysModifyLDT, "int,ptr,size", Partial, "reads only: there are no local descriptors"},
	{158, "arch_prctl", sysArchPrctl, "int,ptr", Partial, "no CET, no AMX permission"},
	{160, "setrlimit", sysSetrlimit, "resource,ptr", Full, ""},
	{163, "acct", sysAcct, "path", None, "ENOSYS, as a kernel without accounting"},
	{167, "swapon", sysEPERM, "path,hex", None, "EPERM"},
	{168, "swapoff", sysEPERM, "path", None, "EPERM"},
	{169, "reboot", sysReboot, "hex,hex,hex,ptr", Partial, "EPERM"},
	{170, "sethostname", sysSethostname, "ptr,size", Full, ""},
	{171, "setdomainname", sysSetdomainname, "ptr,size", Full, ""},
	{172, "iopl", sysEPERM, "int", None, "EPERM"},
	{173, "ioperm", sysEPERM, "hex,hex,int", None, "EPERM"},
	{175, "init_module", sysEPERM, "ptr,size,ptr", None, "EPERM"},
	{176, "delete_module", sysEPERM, "ptr,hex", None, "EPERM"},
	{248, "add_key", sysKeys, "ptr,ptr,ptr,size,int", None, "ENOSYS, as a kernel without CONFIG_KEYS"},
	{249, "request_key", sysKeys, "ptr,ptr,ptr,int", None, "ENOSYS, as a kernel without CONFIG_KEYS"},
	{250, "keyctl", sysKeys, "int,hex,hex,hex,hex", None, "ENOSYS, as a kernel without CONFIG_KEYS"},
	{302, "prlimit64", sysPrlimit, "int,resource,ptr,ptr", Full, ""},
	{312, "kcmp", sysKcmp, "int,int,int,hex,hex", Full, ""},
	{313, "finit_module", sysEPERM, "fd,ptr,hex", None, "EPERM"},
	{318, "getrandom", sysGetrandom, "ptr,size,hex", Full, ""},
	{320, "kexec_file_load", sysEPERM, "fd,fd,size,ptr,hex", None, "EPERM"},
	{246, "kexec_load", sysEPERM, "ptr,size,ptr,hex", None, "EPERM"},
	{298, "perf_event_open", sysPerf, "ptr,int,int,int,hex", None, "EACCES: no counters for guests"},
	{321, "bpf", sysEPERM, "int,ptr,size", None, "EPERM: unprivileged BPF is off"},
	{324, "membarrier", sysMembarrier, "int,hex,int", Partial, "the expedited commands wait for every thread's next entry to the sentry"},
	{334, "rseq", nil, "ptr,size,hex,hex", None, "ENOSYS: restartable sequences need the scheduler's help"},
	{425, "io_uring_setup", nil, "uint,ptr", None, "ENOSYS, as with kernel.io_uring_disabled"},
	{426, "io_uring_enter", nil, "fd,uint,uint,hex", None, "ENOSYS"},
	{427, "io_uring_register", nil, "fd,uint,ptr,uint", None, "ENOSYS"},
}

func sysEPERM(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.EPERM }

func sysKeys(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.ENOSYS }

func sysAcct(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.ENOSYS }

func sysPerf(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.EACCES }

// vhangup(2).
func sysVhangup(t *kernel.Task, a arch.Args) (uint64, error) { return 0, errno.EPERM }

// reboot(2).
func sysReboot(t *kernel.Task, a arch.Args) (uint64, error) {
	if !capable(t, creds.CapSysBoot) {
		return 0, errno.EPERM
	}
	if a.Uint(0) != unix.LINUX_REBOOT_MAGIC1 || a.Uint(1) != unix.LINUX_REBOOT_MAGIC2 {
		return 0, errno.EINVAL
	}
	switch a.Uint(2) {
	case unix.LINUX_REBOOT_CMD_CAD_ON, unix.LINUX_REBOOT_CMD_CAD_OFF:
		return 0, nil
	}
	return 0, errno.EPERM
}

// uname(2).
func sysUname(t *kernel.Task, a arch.Args) (uint64, error) {
	var u unix.Utsname
	host, domain := t.UTS().Names()
	copy(u.Sysname[:64], "Linux")
	copy(u.Nodename[:64], host)
	copy(u.Release[:64], kernel.Release)
	if t.Personality()&0x0020000 != 0 { // UNAME26
		clear(u.Release[:])
		copy(u.Release[:64], "2.6.72")
	}
	copy(u.Version[:64], kernel.Version)
	copy(u.Machine[:64], "x86_64")
	copy(u.Domainname[:64], domain)
	return 0, usermem.Put(t.Mem(), a.Ptr(0), &u)
}

func setName(t *kernel.Task, a arch.Args, set func(string)) (uint64, error) {
	if !t.Creds().HasCap(creds.CapSysAdmin, t.UTS().UserNS()) {
		return 0, errno.EPERM
	}
	n := a.Int(1)
	if n < 0 || n > 64 {
		return 0, errno.EINVAL
	}
	b := make([]byte, n)
	if err := t.CopyIn(a.Ptr(0), b); err != nil {
		return 0, err
	}
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	set(string(b))
	return 0, nil
}

// sethostname(2).
func sysSethostname(t *kernel.Task, a arch.Args) (uint64, error) {
	return setName(t, a, t.UTS().SetHost)
}

// setdomainname(2).
func sysSetdomainname(t *kernel.Task, a arch.Args) (uint64, error) {
	return setName(t, a, t.UTS().SetDomain)
}

// sysinfo(2).
func sysSysinfo(t *kernel.Task, a arch.Args) (uint64, error) {
	k := t.Kernel()
	total := k.MemTotal()
	used := min(k.Memory().Usage(), total)
	si := unix.Sysinfo_t{
		Uptime:   int64(k.Uptime().Seconds()) + 1,
		Totalram: total, Freeram: total - used,
		Procs: uint16(min(len(k.Tasks()), 65535)), Unit: 1,
	}
	l := k.LoadAvg()
	for i := range l {
		si.Loads[i] = l[i]
	}
	return 0, usermem.Put(t.Mem(), a.Ptr(0), &si)
}

// syslog(2): the log that guests see is empty.
func sysSyslog(t *kernel.Task, a arch.Args) (uint64, error) {
	if !capable(t, creds.CapSyslog) && !capable(t, creds.CapSysAdmin) {
		return 0, errno.EPERM
	}
	switch a.Int(0) {
	case 0, 1, 5, 6, 7, 8, 9:
		return 0, nil
	case 2, 3, 4:
		if a.Ptr(1) == 0 || a.Int(2) < 0 {
			return 0, errno.EINVAL
		}
		return 0, nil
	case 10:
		return 1 << 14, nil
	}
	return 0, errno.EINVAL
}

// personality(2).
func sysPersonality(t *kernel.Task, a arch.Args) (uint64, error) {
	v := a.Uint(0)
	if v == 0xffffffff {
		return uint64(t.Personality()), nil
	}
	return uint64(t.SetPersonality(v)), nil
}

// arch_prctl(2).
func sysArchPrctl(t *kernel.Task, a arch.Args) (uint64, error) {
	r := t.Regs()
	addr := a.Ptr(1)
	switch a.Int(0) {
	case 0x1001, 0x1002: // ARCH_SET_GS, ARCH_SET_FS
		if addr >= t.Kernel().Platform().MaxAddr() {
			return 0, errno.EPERM
		}
		if a.Int(0) == 0x1001 {
			r.GsBase = addr
		} else {
			r.FsBase = addr
		}
		return 0, nil
	case 0x1003:
		return 0, usermem.Put(t.Mem(), addr, &r.FsBase)
	case 0x1004:
		return 0, usermem.Put(t.Mem(), addr, &r.GsBase)
	case 0x1011: // ARCH_GET_CPUID
		return 1, nil
	case 0x1012: // ARCH_SET_CPUID
		if addr != 0 {
			return 0, nil
		}
		return 0, errno.ENODEV
	case 0x1021, 0x1022: // ARCH_GET_XCOMP_SUPP, ARCH_GET_XCOMP_PERM
		v := arch.XFeatures()
		return 0, usermem.Put(t.Mem(), addr, &v)
	case 0x1023: // ARCH_REQ_XCOMP_PERM
		return 0, errno.EOPNOTSUPP
	}
	return 0, errno.EINVAL
}

// getrandom(2).
func sysGetrandom(t *kernel.Task, a arch.Args) (uint64, error) {
	fl := a.Uint(2)
	if fl&^7 != 0 || fl&6 == 6 {
		return 0, errno.EINVAL
	}
	n := min(a.Size(1), 1<<31-1)
	done := uint64(0)
	var chunk [4096]byte
	for done < n {
		b := chunk[:min(uint64(len(chunk)), n-done)]
		rand.Read(b)
		k, err := t.Mem().CopyOut(a.Ptr(0)+done, b)
		done += uint64(k)
		if err != nil {
			return some(done, errno.EFAULT)
		}
		if t.Interrupted() {
			break
		}
	}
	return done, nil
}

// prlimit applies and reads a limit of x.
func prlimit(t, x *kernel.Task, res uint32, set *unix.Rlimit) (unix.Rlimit, error) {
	if res >= limits.Count {
		return unix.Rlimit{}, errno.EINVAL
	}
	tg := x.ThreadGroup()
	if set == nil {
		return tg.Limits().Get(int(res)), nil
	}
	if set.Cur > set.Max || res == unix.RLIMIT_NOFILE && set.Max > 1<<20 {
		if set.Cur > set.Max {
			return unix.Rlimit{}, errno.EINVAL
		}
		return unix.Rlimit{}, errno.EPERM
	}
	old, err := tg.Limits().Swap(int(res), *set, func(o unix.Rlimit) error {
		if set.Max > o.Max && !capable(t, creds.CapSysResource) {
			return errno.EPERM
		}
		return nil
	})
	if err == nil && res == unix.RLIMIT_CPU {
		tg.ArmCPULimit()
	}
	return old, err
}

// getrlimit(2).
func sysGetrlimit(t *kernel.Task, a arch.Args) (uint64, error) {
	l, err := prlimit(t, t, a.Uint(0), nil)
	if err != nil {
		return 0, err
	}
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &l)
}

// setrlimit(2).
func sysSetrlimit(t *kernel.Task, a arch.Args) (uint64, error) {
	var l unix.Rlimit
	if err := usermem.Get(t.Mem(), a.Ptr(1), &l); err != nil {
		return 0, err
	}
	_, err := prlimit(t, t, a.Uint(0), &l)
	return 0, err
}

// prlimit(2).
func sysPrlimit(t *kernel.Task, a arch.Args) (uint64, error) {
	var set *unix.Rlimit
	if a.Ptr(2) != 0 {
		set = new(unix.Rlimit)
		if err := usermem.Get(t.Mem(), a.Ptr(2), set); err != nil {
			return 0, err
		}
	}
	x := t
	if pid := a.Int(0); pid != 0 {
		x = t.PIDNamespace().Task(pid)
		if x == nil {
			return 0, errno.ESRCH
		}
	}
	if x.ThreadGroup() != t.ThreadGroup() {
		c, o := t.Creds(), x.Creds()
		same := c.RUID == o.EUID && c.RUID == o.SUID && c.RUID == o.RUID && c.RGID == o.EGID && c.RGID == o.SGID && c.RGID == o.RGID
		if !same && !c.HasCap(creds.CapSysResource, o.UserNS) {
			return 0, errno.EPERM
		}
	}
	old, err := prlimit(t, x, a.Uint(1), set)
	if err != nil {
		return 0, err
	}
	if a.Ptr(3) != 0 {
		return 0, usermem.Put(t.Mem(), a.Ptr(3), &old)
	}
	return 0, nil
}

// kcmp(2).
func sysKcmp(t *kernel.Task, a arch.Args) (uint64, error) {
	x, y := t.PIDNamespace().Task(a.Int(0)), t.PIDNamespace().Task(a.Int(1))
	if x == nil || y == nil {
		return 0, errno.ESRCH
	}
	for _, o := range []*kernel.Task{x, y} {
		if err := t.MayTrace(o, false); err != nil {
			return 0, err
		}
	}
	return t.Compare(x, y, a.Int(2), a.Int(3), a.Int(4))
}

// membarrier(2): every hand-over between a task and the sentry is a full
// barrier, so it is enough that the other threads of the process come by.
func sysMembarrier(t *kernel.Task, a arch.Args) (uint64, error) {
	const (
		query            = 0
		global           = 1
		globalExpedited  = 2
		regGlobal        = 4
		private          = 8
		regPrivate       = 16
		privateSyncCore  = 32
		regPrivateSync   = 64
		getRegistrations = 512
		supported        = global | globalExpedited | regGlobal | private | regPrivate | privateSyncCore | regPrivateSync
	)
	if a.Uint(1) != 0 {
		return 0, errno.EINVAL
	}
	switch a.Int(0) {
	case query:
		return supported, nil
	case regGlobal, regPrivate, regPrivateSync:
		t.ThreadGroup().RegisterMembarrier(a.Uint(0))
		return 0, nil
	case getRegistrations:
		return uint64(t.ThreadGroup().Membarriers()), nil
	case global, globalExpedited:
		t.Barrier(true)
		return 0, nil
	case private, privateSyncCore:
		if t.ThreadGroup().Membarriers()&(a.Uint(0)<<1) == 0 {
			return 0, errno.EPERM
		}
		t.Barrier(false)
		return 0, nil
	}
	return 0, errno.EINVAL
}

// sysfs(2).
func sysSysfs(t *kernel.Task, a arch.Args) (uint64, error) {
	l := t.Kernel().VFS().Types()
	switch a.Int(0) {
	case 1:
		name, err := t.CopyInPath(a.Ptr(1))
		if err == nil && name == "" {
			err = errno.ENOENT
		}
		if err != nil {
			return 0, err
		}
		for i, f := range l {
			if f.Name() == name {
				return uint64(i), nil
			}
		}
	case 2:
		if i := a.Uint(1); i < uint32(len(l)) {
			return 0, t.CopyOut(a.Ptr(2), append([]byte(l[i].Name()), 0))
		}
	case 3:
		return uint64(len(l)), nil
	}
	return 0, errno.EINVAL
}

// modify_ldt(2).
func sysModifyLDT(t *kernel.Task, a arch.Args) (uint64, error) {
	const defaultSize = 128
	fail := func(e errno.Errno) (uint64, error) { return uint64(-uint32(e)), nil } // Linux returns an unsigned int
	switch a.Int(0) {
	case 0:
		return 0, nil
	case 2:
		n := min(a.Size(2), defaultSize)
		if n > 0 {
			if err := t.CopyOut(a.Ptr(1), make([]byte, n)); err != nil {
				return fail(errno.EFAULT)
			}
		}
		return n, nil
	case 1, 0x11:
		if a.Size(2) != 16 {
			return fail(errno.EINVAL)
		}
	}
	return fail(errno.ENOSYS)
}
