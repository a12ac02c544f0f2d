package arch

import (
	"encoding/binary"

	"redoubt.dev/redoubt/sentry/errno"
)

// Memory is what frame building needs of an address space (usermem.IO has it).
type Memory interface {
	CopyIn(addr uint64, dst []byte) (int, error)
	CopyOut(addr uint64, src []byte) (int, error)
}

// Layout of struct rt_sigframe (linux: arch/x86/include/asm/sigframe.h).
const (
	frUC       = 8
	frFlags    = frUC
	frLink     = frUC + 8
	frStack    = frUC + 16
	frMC       = frUC + 40
	frMask     = frMC + 256
	frInfo     = frMask + 8
	frSize     = frInfo + 128
	mcSegs     = 144
	mcErr      = 152
	mcFP       = 184
	redZone    = 128
	ucFlags    = 7 // UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS
	ucStrictSS = 4
)

// Frame is what goes into a signal frame.
type Frame struct {
	Signo                     int32
	Info                      []byte // 128 bytes
	Handler, Restorer         uint64
	Mask                      uint64 // to restore
	StackAddr, StackSize      uint64 // uc_stack as it is shown
	StackFlags                uint32
	Top                       uint64 // where to start from, if not the current rsp (alternate stack)
	LowLimit                  uint64 // frame may not go below (alternate stack); 0 for none
	TrapNo, ErrCode, CR2, Old uint64
	FP                        []byte // XSAVE area, standard format; PushFrame writes its software bytes
}

// PushFrame writes a signal frame to user memory and points r at the handler
// (linux: arch/x86/kernel/signal_64.c x64_setup_rt_frame).
func PushFrame(m Memory, r *Regs, f *Frame) error {
	sp := r.Rsp - redZone
	if f.Top != 0 {
		sp = f.Top
	}
	fpAddr := uint64(0)
	if len(f.FP) >= xsaveMin {
		sp = (sp - uint64(len(f.FP)) - 4) &^ 63
		fpAddr = sp
	}
	sp = (sp-frSize)&^15 - 8
	if f.LowLimit != 0 && sp < f.LowLimit {
		return errno.EFAULT
	}
	if fpAddr != 0 {
		fillSW(f.FP)
		var end [4]byte
		binary.LittleEndian.PutUint32(end[:], fpMagic2)
		if _, err := m.CopyOut(fpAddr, f.FP); err != nil {
			return errno.EFAULT
		}
		if _, err := m.CopyOut(fpAddr+uint64(len(f.FP)), end[:]); err != nil {
			return errno.EFAULT
		}
	}
	var b [frSize]byte
	le := binary.LittleEndian
	le.PutUint64(b[0:], f.Restorer)
	le.PutUint64(b[frFlags:], ucFlags)
	le.PutUint64(b[frStack:], f.StackAddr)
	le.PutUint32(b[frStack+8:], f.StackFlags)
	le.PutUint64(b[frStack+16:], f.StackSize)
	mc := b[frMC : frMC+256]
	for i, v := range [...]uint64{r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15,
		r.Rdi, r.Rsi, r.Rbp, r.Rbx, r.Rdx, r.Rax, r.Rcx, r.Rsp, r.Rip, r.Eflags} {
		le.PutUint64(mc[8*i:], v)
	}
	le.PutUint16(mc[mcSegs:], UserCS)
	le.PutUint16(mc[mcSegs+6:], UserSS)
	le.PutUint64(mc[mcErr:], f.ErrCode)
	le.PutUint64(mc[mcErr+8:], f.TrapNo)
	le.PutUint64(mc[mcErr+16:], f.Mask)
	le.PutUint64(mc[mcErr+24:], f.CR2)
	le.PutUint64(mc[mcFP:], fpAddr)
	le.PutUint64(b[frMask:], f.Mask)
	copy(b[frInfo:], f.Info)
	if _, err := m.CopyOut(sp, b[:]); err != nil {
		return errno.EFAULT
	}
	r.Rdi = uint64(f.Signo)
	r.Rsi = sp + frInfo
	r.Rdx = sp + frUC
	r.Rax = 0
	r.Rip = f.Handler
	r.Rsp = sp
	r.Cs, r.Ss = UserCS, UserSS
	r.Eflags &^= 0x400 | 0x10000 | 0x100 // DF RF TF
	return nil
}

// Return is what rt_sigreturn(2) takes from a frame.
type Return struct {
	Mask                 uint64
	StackAddr, StackSize uint64
	StackFlags           uint32
	// FP is the floating-point state to restore; nil for the initial one.
	FP []byte
}

// PopFrame reads the frame that r.Rsp (behind the popped return address)
// belongs to and restores r from it. An error means SIGSEGV.
func PopFrame(m Memory, r *Regs) (Return, error) {
	var b [frSize]byte
	if _, err := m.CopyIn(r.Rsp-8, b[:]); err != nil {
		return Return{}, errno.EFAULT
	}
	le := binary.LittleEndian
	ret := Return{
		Mask:       le.Uint64(b[frMask:]),
		StackAddr:  le.Uint64(b[frStack:]),
		StackFlags: le.Uint32(b[frStack+8:]),
		StackSize:  le.Uint64(b[frStack+16:]),
	}
	mc := b[frMC : frMC+256]
	if fpAddr := le.Uint64(mc[mcFP:]); fpAddr != 0 {
		fp, err := readFP(m, fpAddr)
		if err != nil {
			return Return{}, err
		}
		ret.FP = fp
	}
	for i, p := range [...]*uint64{&r.R8, &r.R9, &r.R10, &r.R11, &r.R12, &r.R13, &r.R14, &r.R15,
		&r.Rdi, &r.Rsi, &r.Rbp, &r.Rbx, &r.Rdx, &r.Rax, &r.Rcx, &r.Rsp, &r.Rip} {
		*p = le.Uint64(mc[8*i:])
	}
	fl := le.Uint64(mc[8*17:])
	r.Eflags = r.Eflags&^UserEflagsMask | fl&UserEflagsMask
	r.Cs, r.Ss = UserCS, UserSS
	r.OrigRax = ^uint64(0)
	return ret, nil
}

// Floating-point frame (linux: arch/x86/include/uapi/asm/sigcontext.h).
const (
	fpMagic1  = 0x46505853
	fpMagic2  = 0x46505845
	swOffset  = 464
	fxSize    = 512
	xsaveMin  = fxSize + 64
	mxcsrMask = 0xffff
)

// fillSW writes the software bytes of an XSAVE area of len(fp) bytes.
func fillSW(fp []byte) {
	le := binary.LittleEndian
	features := le.Uint64(fp[swOffset+8:])
	if le.Uint32(fp[swOffset:]) != fpMagic1 || features == 0 {
		features = XFeatures()
	}
	clear(fp[swOffset:fxSize])
	le.PutUint32(fp[swOffset:], fpMagic1)
	le.PutUint32(fp[swOffset+4:], uint32(len(fp))+4)
	le.PutUint64(fp[swOffset+8:], features)
	le.PutUint32(fp[swOffset+16:], uint32(len(fp)))
}

// readFP copies a floating-point state in. Without (valid) extended state
// only the legacy part counts, as in Linux.
func readFP(m Memory, addr uint64) ([]byte, error) {
	var fx [fxSize]byte
	if _, err := m.CopyIn(addr, fx[:]); err != nil {
		return nil, errno.EFAULT
	}
	le := binary.LittleEndian
	size := le.Uint32(fx[swOffset+16:])
	ext := le.Uint32(fx[swOffset+4:])
	if le.Uint32(fx[swOffset:]) == fpMagic1 && size >= xsaveMin && size <= maxXSave && ext >= size+4 {
		buf := make([]byte, size+4)
		if _, err := m.CopyIn(addr, buf); err != nil {
			return nil, errno.EFAULT
		}
		if le.Uint32(buf[size:]) == fpMagic2 {
			copy(buf, fx[:])
			return buf[:size:size], nil
		}
	}
	buf := make([]byte, xsaveMin)
	copy(buf, fx[:])
	clear(buf[swOffset:fxSize])
	le.PutUint64(buf[fxSize:], 3) // x87 and SSE are present
	return buf, nil
}

// maxXSave bounds what a frame may claim.
const maxXSave = 16384
