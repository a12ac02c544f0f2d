/*
 * Everything that runs while a thread may hold a descriptor, and the entry
 * points of signals.
 *
 * Between a recvmsg and the close_range behind it nothing here touches the
 * stack or any memory user code can write, and no register is used that was
 * not loaded here: user code may jump to any instruction with any registers,
 * and other threads may write to every writable page meanwhile. What selects
 * the commands is the length of the message, which comes from the sentry in a
 * register. Labels named site_* are the only instructions the seccomp filter
 * lets through (filter.go).
 */
#include "layout.h"

	.file "gate.S"
	.text

/* RUNOPS id: run the operations of the slot at r15, first error to ebp. */
.macro RUNOPS id
	mov (%r15), %r14d
	add $OP_FIRST, %r15
	cmp $SLOT_OPS, %r14d
	ja 7f
1:	test %r14d, %r14d
	jz 7f
	mov OP_ADDR(%r15), %rdi
	mov OP_LEN(%r15), %rsi
	mov OP_PROT(%r15), %edx
	mov OP_FLAGS(%r15), %r10d
	mov OP_FD(%r15), %r8d
	mov OP_OFF(%r15), %r9
	mov OP_NR(%r15), %eax
	cmp $9, %eax
	je 2f
	cmp $11, %eax
	je 3f
	cmp $10, %eax
	je 4f
.ifc \id,lead
	cmp $56, %eax
	je lead_clone
.endif
	jmp 6f
2:	mov $9, %eax
	.globl site_mmap_\id
site_mmap_\id:
	syscall
	jmp 5f
3:	mov $11, %eax
	.globl site_munmap_\id
site_munmap_\id:
	syscall
	jmp 5f
4:	mov $10, %eax
	.globl site_mprotect_\id
site_mprotect_\id:
	syscall
5:	cmp $-4095, %rax
	jb 6f
	test %ebp, %ebp
	jnz 6f
	mov %eax, %ebp
6:	add $OP_SIZE, %r15
	dec %r14d
	jmp 1b
7:
.endm

.macro CLOSEALL id
	mov $1, %edi
	mov $-1, %esi
	xor %edx, %edx
	mov $436, %eax
	.globl site_close_\id
site_close_\id:
	syscall
.endm

/* int gate_plain(u64 slot address): a batch that needs no descriptors. */
	.globl gate_plain
gate_plain:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rdi, %r15
	xor %ebp, %ebp
	jmp gate_run

/* int gate_recv(struct msg *): receive the descriptors and run the batch. */
	.globl gate_recv
gate_recv:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	mov %rdi, %rsi
	xor %edi, %edi
	mov $RECV_FLAGS, %edx
	mov $47, %eax
	.globl site_recv
site_recv:
	syscall
	mov $-71, %ebp
	dec %rax
	cmp $(MAX_THREADS * SLOTS), %rax
	jae gate_close
	shl $SLOT_SHIFT, %rax
	movabs $CMD_BASE, %r15
	add %rax, %r15
	xor %ebp, %ebp
gate_run:
	RUNOPS user
gate_close:
	CLOSEALL user
	mov %ebp, %eax
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret

/*
 * Signal entry. SIGSYS cannot come while descriptors are open (a site with
 * refused arguments kills), every other signal can: a user who sets the trap
 * flag and jumps to site_recv gets SIGTRAP with the descriptors in place.
 */
	.globl on_sys
on_sys:
	mov %rsp, %rcx
	and $-AREA_SIZE, %rcx
	jmp trap

	.globl on_other
on_other:
	mov %edi, %r12d
	mov %rsi, %r13
	mov %rdx, %r14
	CLOSEALL sig
	mov %r12d, %edi
	mov %r13, %rsi
	mov %r14, %rdx
	mov %rsp, %rcx
	and $-AREA_SIZE, %rcx
	jmp trap

/*
 * A patched call arrives here from its trampoline: number in rax, return
 * address in rcx, everything else as user code had it. Its stack is not
 * touched: gs leads to the area, and the end of the area is a stack.
 *
 * Signals are not blocked. trap() in stub.c lets an interrupt wait (area.deferred)
 * if it came anywhere in the stub but between exit_start and exit_end, where
 * area.regs already is what user code goes on with.
 */
	.globl fast_entry
fast_entry:
	rdgsbase %r11
	mov %rsp, (A_REGS + 19*8)(%r11)
	lea AREA_SIZE(%r11), %rsp
	pushfq
	cld
	mov %r15, (A_REGS + 0*8)(%r11)
	mov %r14, (A_REGS + 1*8)(%r11)
	mov %r13, (A_REGS + 2*8)(%r11)
	mov %r12, (A_REGS + 3*8)(%r11)
	mov %rbp, (A_REGS + 4*8)(%r11)
	mov %rbx, (A_REGS + 5*8)(%r11)
	mov %r10, (A_REGS + 7*8)(%r11)
	mov %r9, (A_REGS + 8*8)(%r11)
	mov %r8, (A_REGS + 9*8)(%r11)
	mov %rax, (A_REGS + 10*8)(%r11)
	mov %rcx, (A_REGS + 11*8)(%r11)
	mov %rdx, (A_REGS + 12*8)(%r11)
	mov %rsi, (A_REGS + 13*8)(%r11)
	mov %rdi, (A_REGS + 14*8)(%r11)
	mov %rcx, (A_REGS + 16*8)(%r11)
	pop %rax
	mov %rax, (A_REGS + 6*8)(%r11)
	mov %rax, (A_REGS + 18*8)(%r11)
	mov %r11, %rbx
	mov %r11, %rdi
	call fast_trap
1:	test %eax, %eax
	jnz fast_deep
	.globl exit_start
exit_start:
	cmpl $0, A_DEFERRED(%rbx)
	jne fast_again
	pushq (A_REGS + 18*8)(%rbx)
	popfq
	mov %rbx, %r11
	mov (A_REGS + 0*8)(%r11), %r15
	mov (A_REGS + 1*8)(%r11), %r14
	mov (A_REGS + 2*8)(%r11), %r13
	mov (A_REGS + 3*8)(%r11), %r12
	mov (A_REGS + 4*8)(%r11), %rbp
	mov (A_REGS + 5*8)(%r11), %rbx
	mov (A_REGS + 7*8)(%r11), %r10
	mov (A_REGS + 8*8)(%r11), %r9
	mov (A_REGS + 9*8)(%r11), %r8
	mov (A_REGS + 10*8)(%r11), %rax
	mov (A_REGS + 12*8)(%r11), %rdx
	mov (A_REGS + 13*8)(%r11), %rsi
	mov (A_REGS + 14*8)(%r11), %rdi
	mov (A_REGS + 16*8)(%r11), %rcx
	mov (A_REGS + 19*8)(%r11), %rsp
	mov (A_REGS + 6*8)(%r11), %r11
	jmp *%rcx
	.globl exit_end
exit_end:
fast_again:
	mov %rbx, %rdi
	call fast_interrupted
	jmp 1b
/* Go on in a signal handler: signals blocked, a frame with all registers. */
fast_deep:
	mov $-1, %eax
	syscall
	.globl deep_ret
deep_ret:
	hlt

	.globl restorer
restorer:
	mov $15, %eax
	.globl site_sigreturn
site_sigreturn:
	syscall
	hlt

	.globl on_child
on_child:
	ret

/* int futex(u32 *, op, val): op is 0 or 1, the filter checks. */
	.globl futex
futex:
	xor %r10d, %r10d
	mov $202, %eax
	.globl site_futex
site_futex:
	syscall
	ret

	.globl thread_exit
thread_exit:
	xor %edi, %edi
	mov $60, %eax
	.globl site_exit
site_exit:
	syscall
	hlt

/* From here on, what user code must not run at all: its filter kills. */
	.section .text.priv, "ax"

/*
 * The leader: process-level commands, no stack, area 0 only for the message
 * header and the acknowledgement. Never runs user code; all signals blocked.
 */
	.globl leader
leader:
	movabs $MAX_ADDR, %rsi
	xor %edi, %edi
	mov $11, %eax
	syscall
	movabs $STUB_TOP, %rdi
	movabs $0x7ffffffff000, %rsi
	sub %rdi, %rsi
	mov $11, %eax
	syscall
lead_loop:
	movabs $(AREA_BASE + A_MSG), %rsi
	movq $(16 + MAX_FDS * 4), 40(%rsi)
	lea 72(%rsi), %rax
	mov %rax, 32(%rsi)
	lea 56(%rsi), %rax
	mov %rax, 16(%rsi)
	movq $1, 24(%rsi)
	movq $0, (%rsi)
	movq $0, 8(%rsi)
	lea 160(%rsi), %rcx
	mov %rcx, (%rax)
	movq $1, 8(%rax)
	xor %edi, %edi
	mov $LEAD_FLAGS, %edx
	mov $47, %eax
	syscall
	test %rax, %rax
	jle lead_exit
	mov $-71, %ebp
	dec %rax
	cmp $(MAX_THREADS * SLOTS), %rax
	jae lead_close
	shl $SLOT_SHIFT, %rax
	movabs $CMD_BASE, %r15
	add %rax, %r15
	xor %ebp, %ebp
	RUNOPS lead
lead_close:
	CLOSEALL lead
	movabs $AREA_BASE, %rdi
	mov %ebp, A_ERR(%rdi)
	lock incl A_ACK(%rdi)
	movl $TURN_SENTRY, A_TURN(%rdi)
	mov $1, %esi
	mov $1, %edx
	xor %r10d, %r10d
	mov $202, %eax
	syscall
	jmp lead_loop
lead_exit:
	xor %edi, %edi
	mov $231, %eax
	syscall
	hlt

/* clone: addr holds the flags, len the end of the new thread's area, the
 * first descriptor of the message is the thread's socket. */
lead_clone:
	lea (A_TID - AREA_SIZE)(%rsi), %rdx
	xor %r10d, %r10d
	xor %r8d, %r8d
	mov $56, %eax
	syscall
	test %rax, %rax
	jz thread_start
	cmp $-4095, %rax
	jb 6b
	mov %eax, %ebp
	jmp 6b

thread_start:
	mov %rsp, %rbx
	sub $AREA_SIZE, %rbx
	mov $1, %edi
	xor %esi, %esi
	mov $33, %eax
	syscall
	/* User code can make the leader lose the descriptor by writing to the
	 * message header; the thread must not keep the leader's socket. All
	 * signals are blocked, so the fault kills. */
	test %eax, %eax
	jnz 1f
	mov $1, %edi
	mov $-1, %esi
	xor %edx, %edx
	mov $436, %eax
	syscall
	/* An alternate stack behind the shared page. */
	lea 4096(%rbx), %rax
	mov %rax, A_SS(%rbx)
	movl $0, A_SS+8(%rbx)
	movq $ALT_SIZE, A_SS+16(%rbx)
	lea A_SS(%rbx), %rdi
	xor %esi, %esi
	mov $131, %eax
	syscall
	/* Unblock all signals. */
	mov $2, %edi
	lea zero(%rip), %rsi
	xor %edx, %edx
	mov $8, %r10d
	mov $14, %eax
	syscall
	/* seccomp(SECCOMP_SET_MODE_FILTER, 0, the thread's filter) */
	mov $1, %edi
	xor %esi, %esi
	movabs $(CONF_BASE + 16), %rdx
	mov $317, %eax
	syscall
	test %eax, %eax
	jnz 1f
	/* The first trap makes the frame that the sentry then fills in. */
	xor %esp, %esp
	mov $-1, %eax
	jmp first_trap
1:	hlt

	.text
first_trap:
	syscall
	hlt

	.section .rodata
	.balign 8
zero:	.quad 0
	.section .note.GNU-stack,"",@progbits
