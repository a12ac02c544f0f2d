package syscalls

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/sysv"
	"redoubt.dev/redoubt/sentry/usermem"
)

var sysvRows = []Row{
	{29, "shmget", sysShmget, "key:hex,size,flags:hex", Partial, "SHM_HUGETLB is refused"},
	{30, "shmat", sysShmat, "id:int,ptr,flags:hex", Full, ""},
	{31, "shmctl", sysShmctl, "id:int,cmd:int,ptr", Full, ""},
	{64, "semget", sysSemget, "key:hex,n:int,flags:hex", Full, ""},
	{65, "semop", sysSemop, "id:int,ptr,n:int", Full, ""},
	{66, "semctl", sysSemctl, "id:int,num:int,cmd:int,arg:hex", Full, ""},
	{67, "shmdt", sysShmdt, "ptr", Full, ""},
	{68, "msgget", sysMsgget, "key:hex,flags:hex", Full, ""},
	{69, "msgsnd", sysMsgsnd, "id:int,ptr,size,flags:hex", Full, ""},
	{70, "msgrcv", sysMsgrcv, "id:int,ptr,size,type:long,flags:hex", Full, ""},
	{71, "msgctl", sysMsgctl, "id:int,cmd:int,ptr", Full, ""},
	{220, "semtimedop", sysSemtimedop, "id:int,ptr,n:int,timespec", Full, ""},
}

// SysV returns the System V objects of an IPC namespace (also /proc/sysvipc).
func SysV(n *kernel.IPCNamespace) *sysv.Namespace {
	return n.Slot("sysv", func() any { return sysv.New(n.UserNS()) }).(*sysv.Namespace)
}

// Commands and flags of the *ctl calls (include/uapi/linux/{ipc,sem,msg,shm}.h).
const (
	ipcRMID, ipcSet, ipcStat, ipcInfo    = 0, 1, 2, 3
	shmLock, shmUnlock                   = 11, 12
	shmStat, shmInfo, shmStatAny         = 13, 14, 15
	semGetPID, semGetVal, semGetAll      = 11, 12, 13
	semGetNCnt, semGetZCnt               = 14, 15
	semSetVal, semSetAll                 = 16, 17
	semStat, semInfo, semStatAny         = 18, 19, 20
	msgStat, msgInfo, msgStatAny         = 11, 12, 13
	shmRdonly, shmRnd, shmRemap, shmExec = 0o10000, 0o20000, 0o40000, 0o100000
	shmHugeTLB                           = 0o4000
)

// ipcPerm is struct ipc64_perm.
type ipcPerm struct {
	Key                  int32
	UID, GID, CUID, CGID uint32
	Mode                 uint32
	Seq, _               uint16
	_                    uint32
	_                    [2]uint64
}

func permOut(t *kernel.Task, p *sysv.Perm) ipcPerm {
	ns := t.UserNS()
	return ipcPerm{Key: p.Key, UID: ns.UID(p.UID), GID: ns.GID(p.GID), CUID: ns.UID(p.CUID), CGID: ns.GID(p.CGID),
		Mode: p.Mode, Seq: uint16(p.Seq())}
}

func permIn(t *kernel.Task, p *ipcPerm) (sysv.SetPerm, error) {
	u, uok := t.UserNS().KUID(p.UID)
	g, gok := t.UserNS().KGID(p.GID)
	if !uok || !gok {
		return sysv.SetPerm{}, errno.EINVAL
	}
	return sysv.SetPerm{UID: u, GID: g, Mode: p.Mode}, nil
}

// shmidDS is struct shmid64_ds.
type shmidDS struct {
	Perm                ipcPerm
	Size                uint64
	Atime, Dtime, Ctime int64
	CPid, LPid          int32
	Nattch              uint64
	_                   [2]uint64
}

// shmget(2).
func sysShmget(t *kernel.Task, a arch.Args) (uint64, error) {
	if a.Uint(2)&shmHugeTLB != 0 && a.Uint(2)&0o1000 != 0 {
		switch a.Uint(2) >> 26 & 0x3f { // log2 of the page size
		case 0, 21, 30:
			return 0, errno.ENOMEM
		}
		return 0, errno.EINVAL
	}
	id, err := SysV(t.IPC()).ShmGet(t, t.Kernel().Memory(), a.Int(0), a.Size(1), a.Uint(2))
	return uint64(id), err
}

// shmat(2).
func sysShmat(t *kernel.Task, a arch.Args) (uint64, error) {
	addr, flags := a.Ptr(1), a.Uint(2)
	o := mm.MMapOpts{Flags: unix.MAP_SHARED, Prot: platform.Read}
	if addr != 0 {
		if addr%arch.PageSize != 0 {
			if flags&shmRnd == 0 {
				return 0, errno.EINVAL
			}
			addr &^= arch.PageMask
			if addr == 0 && flags&shmRemap != 0 {
				return 0, errno.EINVAL
			}
		}
		o.Addr = addr
		if flags&shmRemap != 0 {
			o.Flags |= unix.MAP_FIXED
		} else {
			o.Flags |= unix.MAP_FIXED_NOREPLACE
		}
	} else if flags&shmRemap != 0 {
		return 0, errno.EINVAL
	}
	if flags&shmRdonly == 0 {
		o.Prot |= platform.Write
	} else {
		o.MaxProt = platform.Read | platform.Exec
	}
	if flags&shmExec != 0 {
		o.Prot |= platform.Exec
	}
	s, size, err := SysV(t.IPC()).ShmAttach(t, a.Int(0), flags&shmRdonly == 0, flags&shmExec != 0)
	if err != nil {
		return 0, err
	}
	o.Length, o.Mappable = size, s
	at, err := t.MM().MMap(t, o)
	if err == errno.EEXIST {
		err = errno.EINVAL
	}
	if err != nil {
		return 0, err
	}
	s.Touched(t, true)
	return at, nil
}

// shmdt(2).
func sysShmdt(t *kernel.Task, a arch.Args) (uint64, error) {
	addr := a.Ptr(0)
	var seg *sysv.Shm
	var pieces []usermem.Vec
	t.MM().ForEachVMA(t, false, func(v mm.VMA) bool {
		if s, ok := v.Mappable.(*sysv.Shm); ok && v.Start >= addr && v.Start-v.Offset == addr && (seg == nil || seg == s) {
			if seg == nil && v.Start != addr {
				return true
			}
			seg = s
			pieces = append(pieces, usermem.Vec{Addr: v.Start, Len: v.End - v.Start})
		}
		return true
	})
	if seg == nil || addr%arch.PageSize != 0 {
		return 0, errno.EINVAL
	}
	seg.Touched(t, false)
	for _, p := range pieces {
		if err := t.MM().Munmap(t, p.Addr, p.Len); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// shmctl(2).
func sysShmctl(t *kernel.Task, a arch.Args) (uint64, error) {
	ns, id, ptr := SysV(t.IPC()), a.Int(0), a.Ptr(2)
	if id < 0 {
		return 0, errno.EINVAL
	}
	switch cmd := a.Int(1); cmd {
	case ipcRMID:
		return 0, ns.ShmRemove(t, id)
	case ipcSet:
		var ds shmidDS
		if err := usermem.Get(t.Mem(), ptr, &ds); err != nil {
			return 0, err
		}
		p, err := permIn(t, &ds.Perm)
		if err != nil {
			return 0, err
		}
		return 0, ns.ShmSetPerm(t, id, p)
	case shmLock, shmUnlock:
		return 0, ns.ShmLock(t, id, cmd == shmLock)
	case ipcStat, shmStat, shmStatAny:
		var i sysv.ShmInfo
		var ret int32
		var err error
		if cmd == ipcStat {
			i, err = ns.ShmStat(t, id)
		} else {
			i, ret, err = ns.ShmStatSlot(t, id, cmd == shmStatAny)
		}
		if err != nil {
			return 0, err
		}
		ds := shmidDS{Perm: permOut(t, &i.Perm), Size: i.Size, Atime: i.Atime, Dtime: i.Dtime, Ctime: i.Ctime,
			CPid: pidOf(t, i.CPid), LPid: pidOf(t, i.LPid), Nattch: i.Attached}
		if i.Dest {
			ds.Perm.Mode |= sysv.ShmDest
		}
		if i.Locked {
			ds.Perm.Mode |= sysv.ShmLocked
		}
		return uint64(ret), usermem.Put(t.Mem(), ptr, &ds)
	case ipcInfo:
		info := [9]uint64{sysv.ShmMax, sysv.ShmMin, 4096, 4096, sysv.ShmMax / 4096}
		return uint64(ns.ShmMaxSlot()), usermem.Put(t.Mem(), ptr, &info)
	case shmInfo:
		n, pages := ns.ShmUsage()
		info := struct {
			Used                                       int32
			_                                          int32
			Total, Resident, Swapped, Tries, Successes uint64
		}{Used: int32(n), Total: pages, Resident: pages}
		return uint64(ns.ShmMaxSlot()), usermem.Put(t.Mem(), ptr, &info)
	}
	return 0, errno.EINVAL
}

// semget(2).
func sysSemget(t *kernel.Task, a arch.Args) (uint64, error) {
	id, err := SysV(t.IPC()).SemGet(t, a.Int(0), int(a.Int(1)), a.Uint(2))
	return uint64(id), err
}

// undos has the adjustments of processes that used SEM_UNDO, by process.
// Differs: threads share one by process, not by CLONE_SYSVSEM.
var undos struct {
	sync.Mutex
	m map[*kernel.ThreadGroup]*sysv.Undo
	t map[*kernel.Task]bool
}

func undoOf(t *kernel.Task) *sysv.Undo {
	undos.Lock()
	defer undos.Unlock()
	if undos.m == nil {
		undos.m, undos.t = map[*kernel.ThreadGroup]*sysv.Undo{}, map[*kernel.Task]bool{}
	}
	tg := t.ThreadGroup()
	u := undos.m[tg]
	switch {
	case u == nil:
		u = sysv.NewUndo()
		undos.m[tg] = u
	case undos.t[t]:
		return u
	default:
		u.Share()
	}
	undos.t[t] = true
	pid := t.ProcessID()
	t.AtExit(func() {
		undos.Lock()
		delete(undos.t, t)
		if u.Users() == 1 {
			delete(undos.m, tg)
		}
		undos.Unlock()
		u.Exit(pid)
	})
	return u
}

func doSemop(t *kernel.Task, id int32, ptr uint64, n uint64, deadline time.Time) (uint64, error) {
	if n > sysv.SemOPM {
		return 0, errno.E2BIG
	}
	if n < 1 {
		return 0, errno.EINVAL
	}
	ops := make([]sysv.SemOp, n)
	if err := usermem.GetSlice(t.Mem(), ptr, ops); err != nil {
		return 0, err
	}
	if id < 0 {
		return 0, errno.EINVAL
	}
	var u *sysv.Undo
	for _, op := range ops {
		if op.Flag&0x1000 != 0 {
			u = undoOf(t)
			break
		}
	}
	return 0, SysV(t.IPC()).SemOp(t, id, ops, deadline, u)
}

// semop(2).
func sysSemop(t *kernel.Task, a arch.Args) (uint64, error) {
	return doSemop(t, a.Int(0), a.Ptr(1), uint64(a.Uint(2)), time.Time{})
}

// semtimedop(2).
func sysSemtimedop(t *kernel.Task, a arch.Args) (uint64, error) {
	deadline, err := copyTimeout(t, a.Ptr(3))
	if err != nil {
		return 0, err
	}
	return doSemop(t, a.Int(0), a.Ptr(1), uint64(a.Uint(2)), deadline)
}

// semidDS is struct semid64_ds of x86-64.
type semidDS struct {
	Perm     ipcPerm
	Otime, _ int64
	Ctime, _ int64
	N        uint64
	_        [2]uint64
}

// semctl(2).
func sysSemctl(t *kernel.Task, a arch.Args) (uint64, error) {
	ns, id, num, ptr := SysV(t.IPC()), a.Int(0), int(a.Int(1)), a.Ptr(3)
	if id < 0 {
		return 0, errno.EINVAL
	}
	switch cmd := a.Int(2); cmd {
	case ipcRMID:
		return 0, ns.SemRemove(t, id)
	case ipcSet:
		var ds semidDS
		if err := usermem.Get(t.Mem(), ptr, &ds); err != nil {
			return 0, err
		}
		p, err := permIn(t, &ds.Perm)
		if err != nil {
			return 0, err
		}
		return 0, ns.SemSetPerm(t, id, p)
	case ipcStat, semStat, semStatAny:
		var i sysv.SemInfo
		var ret int32
		var err error
		if cmd == ipcStat {
			i, err = ns.SemStat(t, id)
		} else {
			i, ret, err = ns.SemStatSlot(t, id, cmd == semStatAny)
		}
		if err != nil {
			return 0, err
		}
		ds := semidDS{Perm: permOut(t, &i.Perm), Otime: i.Otime, Ctime: i.Ctime, N: uint64(i.N)}
		return uint64(ret), usermem.Put(t.Mem(), ptr, &ds)
	case ipcInfo, semInfo:
		info := [10]int32{sysv.SemMNS, 32000, sysv.SemMNS, sysv.SemMNS, sysv.SemMSL, sysv.SemOPM, sysv.SemOPM, 20, sysv.SemVMX, sysv.SemVMX}
		if cmd == semInfo {
			sets, sems := ns.SemUsage()
			info[7], info[9] = int32(sets), int32(sems)
		}
		return uint64(ns.SemMaxSlot()), usermem.Put(t.Mem(), ptr, &info)
	case semGetAll:
		vals, err := ns.SemGetAll(t, id)
		if err != nil {
			return 0, err
		}
		return 0, usermem.PutSlice(t.Mem(), ptr, vals)
	case semSetAll:
		n, err := ns.SemCount(t, id)
		if err != nil {
			return 0, err
		}
		vals := make([]uint16, n)
		if err := usermem.GetSlice(t.Mem(), ptr, vals); err != nil {
			return 0, err
		}
		return 0, ns.SemSetAll(t, id, vals)
	case semSetVal:
		return 0, ns.SemSetVal(t, id, num, int32(ptr))
	case semGetVal, semGetPID, semGetNCnt, semGetZCnt:
		what := map[int32]sysv.SemQuery{semGetVal: sysv.SemVal, semGetPID: sysv.SemPid, semGetNCnt: sysv.SemNcnt, semGetZCnt: sysv.SemZcnt}[cmd]
		v, err := ns.SemGetOne(t, id, num, what)
		if cmd == semGetPID {
			v = pidOf(t, v)
		}
		return uint64(v), err
	}
	return 0, errno.EINVAL
}

// msgget(2).
func sysMsgget(t *kernel.Task, a arch.Args) (uint64, error) {
	id, err := SysV(t.IPC()).MsgGet(t, a.Int(0), a.Uint(1))
	return uint64(id), err
}

// msgsnd(2).
func sysMsgsnd(t *kernel.Task, a arch.Args) (uint64, error) {
	n := a.Size(2)
	var typ int64
	if err := usermem.Get(t.Mem(), a.Ptr(1), &typ); err != nil {
		return 0, err
	}
	if n > sysv.MsgMax || a.Int(0) < 0 || typ < 1 {
		return 0, errno.EINVAL
	}
	data := make([]byte, n)
	if err := usermem.GetSlice(t.Mem(), a.Ptr(1)+8, data); err != nil {
		return 0, err
	}
	return 0, SysV(t.IPC()).MsgSend(t, a.Int(0), typ, data, a.Uint(3))
}

// msgrcv(2).
func sysMsgrcv(t *kernel.Task, a arch.Args) (uint64, error) {
	typ, data, err := SysV(t.IPC()).MsgReceive(t, a.Int(0), a.Int64(3), a.Size(2), a.Uint(4))
	if err != nil {
		return 0, err
	}
	if err := usermem.Put(t.Mem(), a.Ptr(1), &typ); err != nil {
		return 0, err
	}
	return uint64(len(data)), usermem.PutSlice(t.Mem(), a.Ptr(1)+8, data)
}

// msqidDS is struct msqid64_ds.
type msqidDS struct {
	Perm                ipcPerm
	Stime, Rtime, Ctime int64
	Bytes, Num, Limit   uint64
	LSPid, LRPid        int32
	_                   [2]uint64
}

// msgctl(2).
func sysMsgctl(t *kernel.Task, a arch.Args) (uint64, error) {
	ns, id, ptr := SysV(t.IPC()), a.Int(0), a.Ptr(2)
	if id < 0 {
		return 0, errno.EINVAL
	}
	switch cmd := a.Int(1); cmd {
	case ipcRMID:
		return 0, ns.MsgRemove(t, id)
	case ipcSet:
		var ds msqidDS
		if err := usermem.Get(t.Mem(), ptr, &ds); err != nil {
			return 0, err
		}
		p, err := permIn(t, &ds.Perm)
		if err != nil {
			return 0, err
		}
		return 0, ns.MsgSetPerm(t, id, p, ds.Limit)
	case ipcStat, msgStat, msgStatAny:
		var i sysv.MsgInfo
		var ret int32
		var err error
		if cmd == ipcStat {
			i, err = ns.MsgStat(t, id)
		} else {
			i, ret, err = ns.MsgStatSlot(t, id, cmd == msgStatAny)
		}
		if err != nil {
			return 0, err
		}
		ds := msqidDS{Perm: permOut(t, &i.Perm), Stime: i.Stime, Rtime: i.Rtime, Ctime: i.Ctime, Bytes: i.Bytes,
			Num: i.Num, Limit: i.Limit, LSPid: pidOf(t, i.LSPid), LRPid: pidOf(t, i.LRPid)}
		return uint64(ret), usermem.Put(t.Mem(), ptr, &ds)
	case ipcInfo, msgInfo:
		// struct msginfo: pool, map, max, mnb, mni, ssz, tql, and a short seg.
		info := [8]int32{512000, sysv.MsgMNB, sysv.MsgMax, sysv.MsgMNB, 32000, 16, sysv.MsgMNB, 0xffff}
		if cmd == msgInfo {
			q, m, b := ns.MsgUsage()
			info[0], info[1], info[6] = int32(q), int32(m), int32(b)
		}
		return uint64(ns.MsgMaxSlot()), usermem.Put(t.Mem(), ptr, &info)
	}
	return 0, errno.EINVAL
}

// pidOf translates a process id of the root namespace to t's.
func pidOf(t *kernel.Task, root int32) int32 {
	ns := t.PIDNamespace()
	if ns.Parent() == nil {
		return root
	}
	for ns.Parent() != nil {
		ns = ns.Parent()
	}
	if p := ns.LookupPID(root); p != nil {
		return p.In(t.PIDNamespace())
	}
	return 0
}
