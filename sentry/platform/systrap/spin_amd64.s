#include "textflag.h"

// func spinWhile(p *uint32, v, n uint32) bool
TEXT ·spinWhile(SB),NOSPLIT,$0-17
	MOVQ p+0(FP), AX
	MOVL v+8(FP), BX
	MOVL n+12(FP), CX
loop:
	MOVL (AX), DX
	CMPL DX, BX
	JNE  done
	PAUSE
	SUBL $1, CX
	JHI  loop
	MOVB $0, ret+16(FP)
	RET
done:
	MOVB $1, ret+16(FP)
	RET

// func currentCPU() uint32
// From the limit of the segment that the vDSO has for it
// (linux: arch/x86/include/asm/vdso/processor.h).
TEXT ·currentCPU(SB),NOSPLIT,$0-4
	MOVL $0x7b, CX
	BYTE $0x0f; BYTE $0x03; BYTE $0xc1 // lsl %ecx, %eax
	ANDL $0xfff, AX
	MOVL AX, ret+0(FP)
	RET
