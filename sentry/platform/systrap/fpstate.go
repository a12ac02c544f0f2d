package systrap

import (
	"encoding/binary"
	"errors"
)

// Offsets in the XSAVE area of a signal frame
// (linux: arch/x86/include/uapi/asm/sigcontext.h).
const (
	fxMxcsr     = 24
	fxMxcsrMask = 28
	fxSw        = 464 // struct _fpx_sw_bytes
	xHeader     = 512
	xData       = 576
	swMagic1    = 0x46505853
	swMagic2    = 0x46505845
)

// xstate is the format of the host's signal frames.
type xstate struct {
	size     int    // of the state, without the magic number behind it
	features uint64 // components in it
	mxcsr    uint32 // bits MXCSR may have
	sw       [48]byte
}

var errFPState = errors.New("systrap: malformed floating-point state")

// learnXState reads the format from a frame that user code never touched.
func learnXState(mem []byte, fp uint32) *xstate {
	x := &xstate{size: 512, features: 3, mxcsr: 0xffff}
	if fp < 4096 || int(fp)+xData > len(mem) {
		return x
	}
	m := mem[fp:]
	if mask := binary.LittleEndian.Uint32(m[fxMxcsrMask:]); mask != 0 {
		x.mxcsr = mask
	}
	copy(x.sw[:], m[fxSw:])
	if binary.LittleEndian.Uint32(x.sw[0:]) != swMagic1 {
		return x
	}
	if n := int(binary.LittleEndian.Uint32(x.sw[16:])); n >= xData && int(fp)+n+4 <= len(mem) {
		x.size = n
		x.features = binary.LittleEndian.Uint64(x.sw[8:])
	}
	return x
}

// initial returns the state of execve(2).
func (x *xstate) initial() []byte {
	b := make([]byte, x.size)
	binary.LittleEndian.PutUint16(b, 0x37f)
	binary.LittleEndian.PutUint32(b[fxMxcsr:], 0x1f80)
	binary.LittleEndian.PutUint32(b[fxMxcsrMask:], x.mxcsr)
	return b
}

// frame returns the XSAVE area of t's signal frame. Its place comes from the
// stub; anything that does not fit is replaced by the end of the area, where
// it harms only the process that lied.
func (t *Thread) fpFrame(x *xstate) []byte {
	fp := int(t.a.fp)
	if fp < 4096 || fp%64 != 0 || fp+x.size+4 > altTop {
		fp = (altTop - x.size - 64) &^ 63
	}
	return t.mem[fp : fp+x.size+4]
}

// FPState implements platform.Thread.
func (t *Thread) FPState() []byte {
	x := t.s.p.xstate.Load()
	if !t.boot() || !t.deepen() {
		return x.initial()
	}
	b := make([]byte, x.size)
	copy(b, t.fpFrame(x))
	x.clean(b)
	return b
}

// clean makes b a state that XRSTOR takes.
func (x *xstate) clean(b []byte) {
	mxcsr := binary.LittleEndian.Uint32(b[fxMxcsr:])
	binary.LittleEndian.PutUint32(b[fxMxcsr:], mxcsr&x.mxcsr)
	binary.LittleEndian.PutUint32(b[fxMxcsrMask:], x.mxcsr)
	copy(b[fxSw:], x.sw[:])
	if len(b) >= xData {
		bv := binary.LittleEndian.Uint64(b[xHeader:])
		binary.LittleEndian.PutUint64(b[xHeader:], bv&x.features)
		for i := xHeader + 8; i < xData; i++ {
			b[i] = 0
		}
	}
}

// SetFPState implements platform.Thread.
func (t *Thread) SetFPState(data []byte) error {
	if !t.boot() || !t.deepen() {
		return errDied
	}
	x := t.s.p.xstate.Load()
	b := x.initial()
	if data != nil {
		if len(data) < 512 || len(data) > x.size {
			return errFPState
		}
		copy(b, data)
		if len(data) < xData && x.size >= xData {
			b[xHeader] = 3 // only x87 and SSE were given
		}
	}
	x.clean(b)
	f := t.fpFrame(x)
	copy(f, b)
	if x.size > 512 {
		binary.LittleEndian.PutUint32(f[x.size:], swMagic2)
	}
	return nil
}
