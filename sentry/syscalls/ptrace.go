package syscalls

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kernel"
	"redoubt.dev/redoubt/sentry/seccomp"
	"redoubt.dev/redoubt/sentry/signal"
	"redoubt.dev/redoubt/sentry/usermem"
)

var ptraceRows = []Row{
	{101, "ptrace", sysPtrace, "int,int,hex,hex", Partial, "no hardware debug registers, no block stepping"},
}

// Requests of ptrace(2).
const (
	ptTraceme        = 0
	ptPeektext       = 1
	ptPeekdata       = 2
	ptPeekuser       = 3
	ptPoketext       = 4
	ptPokedata       = 5
	ptPokeuser       = 6
	ptCont           = 7
	ptKill           = 8
	ptSinglestep     = 9
	ptGetregs        = 12
	ptSetregs        = 13
	ptGetfpregs      = 14
	ptSetfpregs      = 15
	ptAttach         = 16
	ptDetach         = 17
	ptSyscall        = 24
	ptArchPrctl      = 30
	ptSysemu         = 31
	ptSysemuStep     = 32
	ptSetoptions     = 0x4200
	ptGeteventmsg    = 0x4201
	ptGetsiginfo     = 0x4202
	ptSetsiginfo     = 0x4203
	ptGetregset      = 0x4204
	ptSetregset      = 0x4205
	ptSeize          = 0x4206
	ptInterrupt      = 0x4207
	ptListen         = 0x4208
	ptPeeksiginfo    = 0x4209
	ptGetsigmask     = 0x420a
	ptSetsigmask     = 0x420b
	ptSeccompFilter  = 0x420c
	ptGetSyscallInfo = 0x420e
	ptOptions        = 0xff | unix.PTRACE_O_EXITKILL
	userSize         = 928 // sizeof(struct user)
	userDebugReg     = 848
	regsSize         = 27 * 8 // of arch.Regs: struct user_regs_struct
)

// sysPtrace is ptrace(2).
func sysPtrace(t *kernel.Task, a arch.Args) (uint64, error) {
	req, addr, data := a.Int64(0), a[2], a[3]
	if req == ptTraceme {
		return 0, t.TraceMe()
	}
	x := t.PIDNamespace().Task(a.Int(1))
	if x == nil {
		return 0, errno.ESRCH
	}
	switch req {
	case ptAttach:
		return 0, t.Attach(x, false, 0)
	case ptSeize:
		if addr != 0 || data&^uint64(ptOptions) != 0 {
			return 0, errno.EIO
		}
		return 0, t.Attach(x, true, uint32(data))
	}
	if err := t.Tracee(x, req == ptKill || req == ptInterrupt); err != nil {
		return 0, err
	}
	switch req {
	case ptCont:
		return 0, t.Resume(x, kernel.ResumeCont, int32(data))
	case ptSyscall:
		return 0, t.Resume(x, kernel.ResumeSyscall, int32(data))
	case ptSinglestep:
		return 0, t.Resume(x, kernel.ResumeStep, int32(data))
	case ptSysemu:
		return 0, t.Resume(x, kernel.ResumeEmu, int32(data))
	case ptSysemuStep:
		return 0, t.Resume(x, kernel.ResumeEmuStep, int32(data))
	case ptDetach:
		return 0, t.Detach(x, int32(data))
	case ptKill:
		x.ThreadGroup().SendSignalFrom(int32(unix.SIGKILL))
		return 0, nil
	case ptInterrupt:
		return 0, t.InterruptTracee(x)
	case ptListen:
		return 0, t.Listen(x)
	case ptSetoptions:
		if data&^uint64(ptOptions) != 0 {
			return 0, errno.EINVAL
		}
		t.SetTraceOptions(x, uint32(data))
		return 0, nil
	case ptGeteventmsg:
		_, msg, _, _ := x.TraceStop()
		return 0, usermem.Put(t.Mem(), data, &msg)
	case ptGetsiginfo:
		info, _, _, _ := x.TraceStop()
		if info == nil {
			return 0, errno.EINVAL
		}
		return 0, usermem.Put(t.Mem(), data, info)
	case ptSetsiginfo:
		var info signal.Info
		if err := usermem.Get(t.Mem(), data, &info); err != nil {
			return 0, err
		}
		return 0, x.SetTraceInfo(&info)
	case ptPeeksiginfo:
		return ptracePeekSignals(t, x, addr, data)
	case ptGetsigmask, ptSetsigmask:
		if addr != sigsetSize {
			return 0, errno.EINVAL
		}
		if req == ptGetsigmask {
			m := x.TraceMask(nil)
			return 0, usermem.Put(t.Mem(), data, &m)
		}
		var m signal.Set
		if err := usermem.Get(t.Mem(), data, &m); err != nil {
			return 0, err
		}
		x.TraceMask(&m)
		return 0, nil
	case ptSeccompFilter:
		return ptraceFilter(t, x, addr, data)
	case ptGetSyscallInfo:
		return ptraceSyscallInfo(t, x, addr, data)
	}
	return ptraceState(t, x, req, addr, data)
}

// ptraceState has the requests on memory and registers.
func ptraceState(t, x *kernel.Task, req int64, addr, data uint64) (uint64, error) {
	mem := x.MM()
	if mem == nil {
		return 0, errno.ESRCH
	}
	switch req {
	case ptPeektext, ptPeekdata:
		var v uint64
		if err := usermem.Get(mem.Forced(t), addr, &v); err != nil {
			return 0, errno.EIO
		}
		return 0, usermem.Put(t.Mem(), data, &v)
	case ptPoketext, ptPokedata:
		if err := usermem.Put(mem.Forced(t), addr, &data); err != nil {
			return 0, errno.EIO
		}
		return 0, nil
	case ptPeekuser:
		if addr&7 != 0 || addr >= userSize {
			return 0, errno.EIO
		}
		var v uint64
		if addr < regsSize {
			b := regsBytes(x)
			v = binary.LittleEndian.Uint64(b[addr:])
		}
		return 0, usermem.Put(t.Mem(), data, &v)
	case ptPokeuser:
		if addr&7 != 0 || addr >= userSize {
			return 0, errno.EIO
		}
		if addr < regsSize {
			b := regsBytes(x)
			binary.LittleEndian.PutUint64(b[addr:], data)
			return 0, setRegs(t, x, b)
		}
		if addr >= userDebugReg && data != 0 {
			return 0, errno.EINVAL
		}
		return 0, nil
	case ptGetregs:
		return 0, t.CopyOut(data, regsBytes(x))
	case ptSetregs:
		b := make([]byte, regsSize)
		if err := t.CopyIn(data, b); err != nil {
			return 0, err
		}
		return 0, setRegs(t, x, b)
	case ptGetfpregs:
		return 0, t.CopyOut(data, x.FPState()[:512])
	case ptSetfpregs:
		fp := append([]byte(nil), x.FPState()...)
		if err := t.CopyIn(data, fp[:512]); err != nil {
			return 0, err
		}
		return 0, x.SetFPState(markLegacy(fp))
	case ptGetregset, ptSetregset:
		return ptraceRegset(t, x, req == ptSetregset, addr, data)
	case ptArchPrctl:
		r := x.Regs()
		switch data {
		case 0x1001:
			r.GsBase = addr
		case 0x1002:
			r.FsBase = addr
		case 0x1003:
			return 0, usermem.Put(t.Mem(), addr, &r.FsBase)
		case 0x1004:
			return 0, usermem.Put(t.Mem(), addr, &r.GsBase)
		default:
			return 0, errno.EINVAL
		}
		return 0, nil
	}
	return 0, errno.EIO
}

// markLegacy says that the x87 and SSE parts of an XSAVE area are in use.
func markLegacy(fp []byte) []byte {
	if len(fp) >= 520 {
		fp[512] |= 3
	}
	return fp
}

func regsBytes(x *kernel.Task) []byte {
	r := *x.Regs()
	return append([]byte(nil), usermem.AsBytes(&r)...)
}

// setRegs validates and stores registers of a tracee.
func setRegs(t, x *kernel.Task, b []byte) error {
	var n arch.Regs
	copy(usermem.AsBytes(&n), b)
	limit := t.Kernel().Platform().MaxAddr()
	if n.FsBase >= limit || n.GsBase >= limit || n.Cs&3 != 3 || n.Ss&3 != 3 {
		return errno.EIO
	}
	r := x.Regs()
	n.Eflags = r.Eflags&^arch.UserEflagsMask | n.Eflags&arch.UserEflagsMask
	n.Cs, n.Ss = r.Cs, r.Ss
	*r = n
	return nil
}

func ptraceRegset(t, x *kernel.Task, set bool, kind, iovAddr uint64) (uint64, error) {
	const (
		ntPrstatus = 1
		ntPrfpreg  = 2
		ntXstate   = 0x202
	)
	var iov unix.Iovec
	if err := usermem.Get(t.Mem(), iovAddr, &iov); err != nil {
		return 0, err
	}
	var cur []byte
	unit := uint64(8)
	switch kind {
	case ntPrstatus:
		cur = regsBytes(x)
	case ntPrfpreg:
		cur = append([]byte(nil), x.FPState()[:512]...)
	case ntXstate:
		cur = append([]byte(nil), x.FPState()...)
		// Bytes 464 and on tell the reader which states there are.
		binary.LittleEndian.PutUint64(cur[464:], arch.XFeatures())
	default:
		return 0, errno.EINVAL
	}
	if iov.Len%unit != 0 {
		return 0, errno.EINVAL
	}
	n := min(iov.Len, uint64(len(cur)))
	base := userAddr(&iov)
	if set {
		if err := t.CopyIn(base, cur[:n]); err != nil {
			return 0, err
		}
		var err error
		switch kind {
		case ntPrstatus:
			err = setRegs(t, x, cur)
		case ntPrfpreg:
			fp := append([]byte(nil), x.FPState()...)
			copy(fp, cur)
			err = x.SetFPState(markLegacy(fp))
		default:
			clear(cur[464:512])
			err = x.SetFPState(cur)
		}
		if err != nil {
			return 0, errno.EINVAL
		}
	} else if err := t.CopyOut(base, cur[:n]); err != nil {
		return 0, err
	}
	return 0, usermem.Put(t.Mem(), iovAddr+8, &n)
}

// userAddr is the guest address in a struct iovec that was copied in.
func userAddr(v *unix.Iovec) uint64 { return binary.LittleEndian.Uint64(usermem.AsBytes(v)) }

func ptracePeekSignals(t, x *kernel.Task, addr, data uint64) (uint64, error) {
	var arg struct {
		Off   uint64
		Flags uint32
		Nr    int32
	}
	if err := usermem.Get(t.Mem(), addr, &arg); err != nil {
		return 0, err
	}
	if arg.Flags&^1 != 0 || arg.Nr < 0 {
		return 0, errno.EINVAL
	}
	l := x.PeekSignals(arg.Flags&1 != 0, arg.Off, int(min(arg.Nr, 1024)))
	return uint64(len(l)), usermem.PutSlice(t.Mem(), data, l)
}

func ptraceFilter(t, x *kernel.Task, i, data uint64) (uint64, error) {
	if !capable(t, creds.CapSysAdmin) {
		return 0, errno.EACCES
	}
	f := x.Filters()
	if f == nil || i >= uint64(f.Count()) {
		return 0, errno.ENOENT
	}
	insns := f.Program(f.Count() - 1 - int(i))
	if data != 0 {
		if err := usermem.PutSlice(t.Mem(), data, insns); err != nil {
			return 0, err
		}
	}
	return uint64(len(insns)), nil
}

// ptraceSyscallInfo is PTRACE_GET_SYSCALL_INFO.
func ptraceSyscallInfo(t, x *kernel.Task, size, data uint64) (uint64, error) {
	var b [88]byte // struct ptrace_syscall_info
	le := binary.LittleEndian
	_, _, kind, ret := x.TraceStop()
	r := x.Regs()
	b[0] = byte(kind)
	le.PutUint32(b[4:], seccomp.ArchX8664)
	le.PutUint64(b[8:], r.Rip)
	le.PutUint64(b[16:], r.Rsp)
	n := uint64(24)
	switch kind {
	case kernel.StopEntry, kernel.StopSeccomp:
		le.PutUint64(b[24:], r.OrigRax)
		for i, v := range r.SyscallArgs() {
			le.PutUint64(b[32+8*i:], v)
		}
		n = 80
		if kind == kernel.StopSeccomp {
			le.PutUint32(b[80:], uint32(ret))
			n = 84
		}
	case kernel.StopExit:
		le.PutUint64(b[24:], r.Rax)
		if v := int64(r.Rax); v < 0 && v >= -4095 {
			b[32] = 1
		}
		n = 33
	}
	if err := t.CopyOut(data, b[:min(n, size)]); err != nil {
		return 0, err
	}
	return n, nil
}
