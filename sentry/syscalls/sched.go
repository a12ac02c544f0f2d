package syscalls

import (
	"runtime"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/limits"
	"redoubt.dev/redoubt/sentry/usermem"
)

const schedNote = "stored and read back; the host schedules"

var schedRows = []Row{
	{24, "sched_yield", sysSchedYield, "", Full, ""},
	{140, "getpriority", sysGetpriority, "int,int", Full, ""},
	{141, "setpriority", sysSetpriority, "int,int,int", Partial, schedNote},
	{142, "sched_setparam", sysSchedSetparam, "int,ptr", Partial, schedNote},
	{143, "sched_getparam", sysSchedGetparam, "int,ptr", Full, ""},
	{144, "sched_setscheduler", sysSchedSetscheduler, "int,int,ptr", Partial, schedNote},
	{145, "sched_getscheduler", sysSchedGetscheduler, "int", Full, ""},
	{146, "sched_get_priority_max", sysSchedPrioMax, "int", Full, ""},
	{147, "sched_get_priority_min", sysSchedPrioMin, "int", Full, ""},
	{148, "sched_rr_get_interval", sysSchedRRInterval, "int,ptr", Full, ""},
	{203, "sched_setaffinity", sysSchedSetaffinity, "int,size,ptr", Partial, schedNote},
	{204, "sched_getaffinity", sysSchedGetaffinity, "int,size,ptr", Full, ""},
	{251, "ioprio_set", sysIoprioSet, "int,int,int", Partial, schedNote},
	{252, "ioprio_get", sysIoprioGet, "int,int", Full, ""},
	{309, "getcpu", sysGetcpu, "ptr,ptr,ptr", Full, ""},
	{314, "sched_setattr", sysSchedSetattr, "int,ptr,hex", Partial, "SCHED_DEADLINE is refused; " + schedNote},
	{315, "sched_getattr", sysSchedGetattr, "int,ptr,size,hex", Full, ""},
}

// Policies of sched(7).
const (
	schedNormal   = 0
	schedFIFO     = 1
	schedRR       = 2
	schedBatch    = 3
	schedIdle     = 5
	schedDeadline = 6
	resetOnFork   = 0x40000000
)

func schedTask(t *kernel.Task, pid int32) (*kernel.Task, error) {
	if pid < 0 {
		return nil, errno.EINVAL
	}
	if pid == 0 {
		return t, nil
	}
	x := t.PIDNamespace().Task(pid)
	if x == nil {
		return nil, errno.ESRCH
	}
	return x, nil
}

// sched_yield(2).
func sysSchedYield(t *kernel.Task, a arch.Args) (uint64, error) {
	runtime.Gosched()
	return 0, nil
}

// mayRenice is the permission to change another task's scheduling.
func mayRenice(t, x *kernel.Task) bool {
	c, xc := t.Creds(), x.Creds()
	return c.EUID == xc.RUID || c.EUID == xc.EUID || c.HasCap(creds.CapSysNice, xc.UserNS)
}

// targets lists what getpriority(2) and its kin mean by kind and who.
func targets(t *kernel.Task, kind, who int32) ([]*kernel.Task, error) {
	ns := t.PIDNamespace()
	var l []*kernel.Task
	switch kind {
	case unix.PRIO_PROCESS:
		x, err := schedTask(t, who)
		if err != nil {
			return nil, errno.ESRCH
		}
		l = append(l, x)
	case unix.PRIO_PGRP:
		pg := t.ThreadGroup().ProcessGroup()
		if who != 0 {
			pg = ns.FindGroup(who)
		}
		if pg == nil {
			return nil, errno.ESRCH
		}
		for _, tg := range pg.Members() {
			l = append(l, tg.Tasks()...)
		}
	case unix.PRIO_USER:
		c := t.Creds()
		uid := c.RUID
		if who != 0 {
			k, ok := c.UserNS.KUID(uint32(who))
			if !ok {
				return nil, errno.ESRCH
			}
			uid = k
		}
		for _, tg := range ns.ThreadGroups() {
			for _, x := range tg.Tasks() {
				if x.Creds().RUID == uid {
					l = append(l, x)
				}
			}
		}
	default:
		return nil, errno.EINVAL
	}
	if len(l) == 0 {
		return nil, errno.ESRCH
	}
	return l, nil
}

// getpriority(2) returns 20 - nice.
func sysGetpriority(t *kernel.Task, a arch.Args) (uint64, error) {
	l, err := targets(t, a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	best := int32(19)
	for _, x := range l {
		best = min(best, x.Sched().Nice)
	}
	return uint64(20 - best), nil
}

// setpriority(2).
func sysSetpriority(t *kernel.Task, a arch.Args) (uint64, error) {
	l, err := targets(t, a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	nice := max(-20, min(19, a.Int(2)))
	for _, x := range l {
		if e := setNice(t, x, nice); e != nil {
			err = e
		}
	}
	return 0, err
}

func setNice(t, x *kernel.Task, nice int32) error {
	if !mayRenice(t, x) {
		return errno.EPERM
	}
	s := x.Sched()
	if nice < s.Nice && !capable(t, creds.CapSysNice) && uint64(20-nice) > x.Limit(limits.Nice) {
		return errno.EACCES
	}
	s.Nice = nice
	x.SetSched(s)
	return nil
}

func setPolicy(t, x *kernel.Task, policy, prio int32, nice *int32, reset bool) error {
	rt := policy == schedFIFO || policy == schedRR
	switch policy {
	case schedNormal, schedBatch, schedIdle:
		if prio != 0 {
			return errno.EINVAL
		}
	case schedFIFO, schedRR:
		if prio < 1 || prio > 99 {
			return errno.EINVAL
		}
	case schedDeadline:
		return errno.EPERM
	default:
		return errno.EINVAL
	}
	s := x.Sched()
	if !capable(t, creds.CapSysNice) {
		if !mayRenice(t, x) {
			return errno.EPERM
		}
		if rt && (s.Policy != policy && x.Limit(limits.RTPrio) == 0 || prio > s.Prio && uint64(prio) > x.Limit(limits.RTPrio)) {
			return errno.EPERM
		}
		if s.ResetOnFork && !reset {
			return errno.EPERM
		}
	}
	s.Policy, s.Prio, s.ResetOnFork = policy, prio, reset
	if nice != nil && !rt {
		if *nice < s.Nice && !capable(t, creds.CapSysNice) && uint64(20-*nice) > x.Limit(limits.Nice) {
			return errno.EPERM
		}
		s.Nice = *nice
	}
	x.SetSched(s)
	return nil
}

// sched_setparam(2).
func sysSchedSetparam(t *kernel.Task, a arch.Args) (uint64, error) {
	var prio int32
	if a.Ptr(1) == 0 || a.Int(0) < 0 {
		return 0, errno.EINVAL
	}
	if err := usermem.Get(t.Mem(), a.Ptr(1), &prio); err != nil {
		return 0, err
	}
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	return 0, setPolicy(t, x, s.Policy, prio, nil, s.ResetOnFork)
}

// sched_getparam(2).
func sysSchedGetparam(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Ptr(1) == 0 {
		return 0, errno.EINVAL
	}
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	p := x.Sched().Prio
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &p)
}

// sched_setscheduler(2).
func sysSchedSetscheduler(t *kernel.Task, a arch.Args) (uint64, error) {
	policy := a.Int(1)
	if policy < 0 || a.Ptr(2) == 0 || a.Int(0) < 0 {
		return 0, errno.EINVAL
	}
	var prio int32
	if err := usermem.Get(t.Mem(), a.Ptr(2), &prio); err != nil {
		return 0, err
	}
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	return 0, setPolicy(t, x, policy&^resetOnFork, prio, nil, policy&resetOnFork != 0)
}

// sched_getscheduler(2).
func sysSchedGetscheduler(t *kernel.Task, a arch.Args) (uint64, error) {
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	p := s.Policy
	if s.ResetOnFork {
		p |= resetOnFork
	}
	return uint64(p), nil
}

// sched_get_priority_max(2).
func sysSchedPrioMax(t *kernel.Task, a arch.Args) (uint64, error) {
	switch a.Int(0) {
	case schedFIFO, schedRR:
		return 99, nil
	case schedNormal, schedBatch, schedIdle, schedDeadline:
		return 0, nil
	}
	return 0, errno.EINVAL
}

// sched_get_priority_min(2).
func sysSchedPrioMin(t *kernel.Task, a arch.Args) (uint64, error) {
	switch a.Int(0) {
	case schedFIFO, schedRR:
		return 1, nil
	case schedNormal, schedBatch, schedIdle, schedDeadline:
		return 0, nil
	}
	return 0, errno.EINVAL
}

// sched_rr_get_interval(2).
func sysSchedRRInterval(t *kernel.Task, a arch.Args) (uint64, error) {
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	var ts unix.Timespec
	switch x.Sched().Policy {
	case schedRR:
		ts.Nsec = 100e6
	case schedNormal, schedBatch:
		ts.Nsec = 4e6
	}
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &ts)
}

// sched_setaffinity(2).
func sysSchedSetaffinity(t *kernel.Task, a arch.Args) (uint64, error) {
	n := min(a.Uint(1), 1024)
	b := make([]byte, n)
	if err := t.CopyIn(a.Ptr(2), b); err != nil {
		return 0, err
	}
	if a.Int(0) < 0 {
		return 0, errno.ESRCH
	}
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	if !mayRenice(t, x) {
		return 0, errno.EPERM
	}
	cpus := t.Kernel().CPUs()
	m := make([]uint64, (cpus+63)/64)
	any := false
	for i := 0; i < cpus && i/8 < len(b); i++ {
		if b[i/8]>>(i%8)&1 != 0 {
			m[i/64] |= 1 << (i % 64)
			any = true
		}
	}
	if !any {
		return 0, errno.EINVAL
	}
	x.SetAffinity(m)
	return 0, nil
}

// sched_getaffinity(2) returns the size of the kernel's mask.
func sysSchedGetaffinity(t *kernel.Task, a arch.Args) (uint64, error) {
	n := uint64(a.Uint(1))
	if n&7 != 0 || n*8 < uint64(t.Kernel().CPUs()) {
		return 0, errno.EINVAL
	}
	if a.Int(0) < 0 {
		return 0, errno.ESRCH
	}
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	m := x.Affinity()
	if uint64(len(m))*8 > n {
		m = m[:n/8]
	}
	if err := usermem.PutSlice(t.Mem(), a.Ptr(2), m); err != nil {
		return 0, err
	}
	return uint64(len(m)) * 8, nil
}

// ioprioTargets lists what ioprio_get(2) means.
func ioprioTargets(t *kernel.Task, which, who int32) ([]*kernel.Task, error) {
	// IOPRIO_WHO_PROCESS, _PGRP, _USER are 1, 2, 3 where PRIO_* are 0, 1, 2.
	if which < 1 || which > 3 {
		return nil, errno.EINVAL
	}
	return targets(t, which-1, who)
}

// ioprio_set(2).
func sysIoprioSet(t *kernel.Task, a arch.Args) (uint64, error) {
	prio := a.Int(2)
	switch class := prio >> 13; class {
	case 0:
		if prio&7 != 0 {
			return 0, errno.EINVAL
		}
	case 3:
	case 1:
		if !capable(t, creds.CapSysAdmin) && !capable(t, creds.CapSysNice) {
			return 0, errno.EPERM
		}
	case 2:
	default:
		return 0, errno.EINVAL
	}
	l, err := ioprioTargets(t, a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	for _, x := range l {
		if !mayRenice(t, x) {
			return 0, errno.EPERM
		}
		s := x.Sched()
		s.IOPrio = prio
		x.SetSched(s)
	}
	return 0, nil
}

// ioprio_get(2).
func sysIoprioGet(t *kernel.Task, a arch.Args) (uint64, error) {
	l, err := ioprioTargets(t, a.Int(0), a.Int(1))
	if err != nil {
		return 0, err
	}
	if a.Int(0) == 1 { // IOPRIO_WHO_PROCESS: what was set
		return uint64(l[0].Sched().IOPrio), nil
	}
	best := int32(0)
	for _, x := range l {
		s := x.Sched()
		p := s.IOPrio
		if p>>13 == 0 {
			p = 2<<13 | (s.Nice+20)/5 // best effort, by niceness
		}
		if best == 0 || p < best {
			best = p
		}
	}
	return uint64(best), nil
}

// getcpu(2).
func sysGetcpu(t *kernel.Task, a arch.Args) (uint64, error) {
	cpu, node := uint32(t.CPU()), uint32(0)
	if a.Ptr(0) != 0 {
		if err := usermem.Put(t.Mem(), a.Ptr(0), &cpu); err != nil {
			return 0, err
		}
	}
	if a.Ptr(1) != 0 {
		return 0, usermem.Put(t.Mem(), a.Ptr(1), &node)
	}
	return 0, nil
}

// schedAttr is struct sched_attr.
type schedAttr struct {
	Size, Policy              uint32
	Flags                     uint64
	Nice                      int32
	Priority                  uint32
	Runtime, Deadline, Period uint64
	UtilMin, UtilMax          uint32
}

const (
	schedAttrSize0 = 48
	schedAttrSize1 = 56
)

// sched_setattr(2).
func sysSchedSetattr(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Ptr(1) == 0 || a.Uint(2) != 0 || a.Int(0) < 0 {
		return 0, errno.EINVAL
	}
	var size uint32
	if err := usermem.Get(t.Mem(), a.Ptr(1), &size); err != nil {
		return 0, err
	}
	if size == 0 {
		size = schedAttrSize0
	}
	if size < schedAttrSize0 || size > arch.PageSize {
		k := uint32(schedAttrSize1)
		usermem.Put(t.Mem(), a.Ptr(1), &k)
		return 0, errno.E2BIG
	}
	var w [7]uint64
	if err := copyStruct(t, a.Ptr(1), uint64(size), w[:]); err != nil {
		if err == errno.E2BIG {
			k := uint32(schedAttrSize1)
			usermem.Put(t.Mem(), a.Ptr(1), &k)
		}
		return 0, err
	}
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	flags := w[1]
	if flags&^0x7f != 0 {
		return 0, errno.EINVAL
	}
	nice := max(-20, min(19, int32(w[2])))
	policy, prio := int32(w[0]>>32), int32(w[2]>>32)
	s := x.Sched()
	if flags&8 != 0 { // SCHED_FLAG_KEEP_POLICY
		policy = s.Policy
	}
	if flags&16 != 0 { // SCHED_FLAG_KEEP_PARAMS
		prio, nice = s.Prio, s.Nice
	}
	return 0, setPolicy(t, x, policy, prio, &nice, flags&1 != 0)
}

// sched_getattr(2).
func sysSchedGetattr(t *kernel.Task, a arch.Args) (uint64, error) {
	size := a.Uint(2)
	if a.Ptr(1) == 0 || size > arch.PageSize || size < schedAttrSize0 || a.Uint(3) != 0 {
		return 0, errno.EINVAL
	}
	x, err := schedTask(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	s := x.Sched()
	at := schedAttr{Size: min(size, schedAttrSize1), Policy: uint32(s.Policy), UtilMax: 1024}
	if s.ResetOnFork {
		at.Flags = 1
	}
	if s.Policy == schedFIFO || s.Policy == schedRR {
		at.Priority = uint32(s.Prio)
	} else {
		at.Nice = s.Nice
	}
	if size < schedAttrSize1 {
		b := struct {
			Size, Policy              uint32
			Flags                     uint64
			Nice                      int32
			Priority                  uint32
			Runtime, Deadline, Period uint64
		}{at.Size, at.Policy, at.Flags, at.Nice, at.Priority, 0, 0, 0}
		return 0, usermem.Put(t.Mem(), a.Ptr(1), &b)
	}
	return 0, usermem.Put(t.Mem(), a.Ptr(1), &at)
}
