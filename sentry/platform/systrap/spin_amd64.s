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
