/*
 * Addresses and structures that the stub shares with the sentry. The Go side
 * (layout.go) repeats them; TestLayout compares the two.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

/* User code owns [0, MAX_ADDR). The gap up to VDSO_BASE lets the seccomp
 * filter test addr+len with the high words alone (filter.go). */
#define MAX_ADDR   0x7ff500000000
#define VDSO_BASE  0x7ff700000000 /* the host's vDSO with its data, see keep_vdso */
#define STUB_BASE  0x7ff800000000
#define CONF_BASE  0x7ff800100000 /* one read-only page: seccomp filters */
#define CMD_BASE   0x7ff810000000 /* read-only: command slots */
#define AREA_BASE  0x7ff820000000 /* shared, writable: thread areas */
#define TRAMP_BASE 0x7ff808000000 /* read-only: trampolines of patched calls */
#define TRAMP_SIZE 0x8000
#define STUB_TOP   0x7ff840000000

#define MAX_THREADS 4096
#define AREA_SHIFT  15
#define AREA_SIZE   (1 << AREA_SHIFT)
#define SLOTS       4    /* command slots of a thread */
#define SLOT_SHIFT  11
#define SLOT_SIZE   (1 << SLOT_SHIFT)
#define SLOT_OPS    50
#define MAX_FDS     8    /* descriptors in one batch */

/* struct op, one entry of a command slot; the count is the slot's first word
 * and the operations start at OP_FIRST. */
#define OP_FIRST 16
#define OP_SIZE  40
#define OP_ADDR  0
#define OP_LEN   8
#define OP_NR    16
#define OP_PROT  20
#define OP_FLAGS 24
#define OP_FD    28
#define OP_OFF   32

/* struct area, as offsets for assembly. */
#define ALT_SIZE (AREA_SIZE - 4096 - FAST_STACK) /* alternate stack, behind the page */
#define FAST_STACK 8192                          /* stack of patched calls, at the end */

#define A_TURN         0
#define A_STUB_SLEEP   4
#define A_SENTRY_SLEEP 64
#define A_ACK          136
#define A_ERR          140
#define A_DEFERRED     184
#define A_REGS         256
#define A_MSG          512
#define A_TID          768
#define A_SS           784

#define TURN_STUB   0
#define TURN_SENTRY 1
#define TURN_PARK   2 /* the sentry's, and it will take long: sleep now */

/* area.cmd */
#define CMD_RESUME 1 /* load regs and run user code */
#define CMD_GATE   2 /* receive descriptors, run the slot the message names */
#define CMD_PLAIN  4 /* run slot area.slot, no descriptors */
#define CMD_EXIT   8 /* end this thread */
#define CMD_DEEP   16 /* from a patched call: take a real trap first */

/* area.sig */
#define SIG_FAST 256 /* a patched call */
#define SIG_DEEP 257 /* the real trap that CMD_DEEP asked for */
#define SIG_FAST_INT 258 /* an interrupt, reported from a patched call */

#define RECV_FLAGS 0x60 /* MSG_DONTWAIT | MSG_TRUNC */
#define LEAD_FLAGS 0x20 /* MSG_TRUNC */

#define CLONE_FLAGS 0x150b00 /* VM FS SIGHAND THREAD SYSVSEM PARENT_SETTID, less FILES */

#ifndef __ASSEMBLER__
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;

/* The order of arch.Regs in Go. */
struct regs {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	u64 rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss;
	u64 fs_base, gs_base, ds, es, fs, gs;
};

struct msg {
	u64 name, namelen, iov, iovlen, control, controllen;
	u32 flags, pad;
};

/* One per thread; user code can write all of it. */
struct area {
	u32 turn;       /* futex word: whose turn it is */
	u32 stub_sleep; /* the stub waits on turn in the kernel */
	u32 pad0[14];
	u32 sentry_sleep; /* offset 64 */
	u32 spin;         /* pauses before the stub sleeps */
	u32 pad1[14];
	u32 cmd; /* offset 128 */
	u32 slot;
	u32 ack; /* counts batches done */
	int err; /* first error of any batch */
	u32 sig; /* offset 144 */
	int code;
	u64 addr, trapno, errcode; /* offset 152 */
	u32 arch;                  /* of SIGSYS */
	u32 fp;                    /* offset of the FP state in the area */
	u32 deferred;              /* an interrupt came inside the stub */
	u32 sentry_cpu;            /* where the sentry's thread was */
	u32 pad2[16];
	struct regs regs; /* offset 256 */
	u64 pad3[5];
	struct msg msg; /* offset 512 */
	u64 iov[2];
	u64 cbuf[8]; /* offset 584 */
	u64 data[15];
	u32 tid, pad4[3]; /* offset 768 */
	struct { u64 sp; u32 flags, pad; u64 size; } ss; /* offset 784 */
};

/* struct sock_fprog of every process at CONF_BASE, of threads 16 bytes on. */
#endif
#endif
