/*
 * The stub: the only program of ours inside a process that runs user code.
 * It starts as the zygote, forks address spaces on command, and in those the
 * signal handler below hands each trap of user code to the sentry and waits
 * for the answer. See ../systrap.go for the protocol and gate.S for what must
 * not be written in C.
 */
#include "layout.h"

_Static_assert(__builtin_offsetof(struct area, sentry_sleep) == A_SENTRY_SLEEP, "");
_Static_assert(__builtin_offsetof(struct area, cmd) == 128, "");
_Static_assert(__builtin_offsetof(struct area, ack) == A_ACK, "");
_Static_assert(__builtin_offsetof(struct area, err) == A_ERR, "");
_Static_assert(__builtin_offsetof(struct area, deferred) == A_DEFERRED, "");
_Static_assert(__builtin_offsetof(struct area, regs) == A_REGS, "");
_Static_assert(__builtin_offsetof(struct area, msg) == A_MSG, "");
_Static_assert(__builtin_offsetof(struct area, tid) == A_TID, "");
_Static_assert(__builtin_offsetof(struct area, ss) == A_SS, "");

#pragma GCC visibility push(hidden)
extern int gate_plain(u64 slot);
extern int gate_recv(struct msg *m);
extern long futex(u32 *addr, u32 op, u32 val);
extern void thread_exit(void) __attribute__((noreturn));
extern void leader(void) __attribute__((noreturn));
extern char exit_start[], exit_end[], deep_ret[];
extern int fast_trap(struct area *a), fast_interrupted(struct area *a);
extern void on_sys(void), on_other(void), on_child(void), restorer(void);
#pragma GCC visibility pop

struct siginfo {
	int signo, err, code, pad;
	u64 addr; /* also si_call_addr of SIGSYS */
	u32 syscall, arch;
};

struct ucontext {
	u64 flags, link;
	u64 ss_sp, ss_flags, ss_size;
	u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
	u64 eflags, csgsfs, err, trapno, oldmask, cr2, fpstate;
};

static inline u64 rdfs(void) { u64 v; __asm__ volatile("rdfsbase %0" : "=r"(v)); return v; }
static inline u64 rdgs(void) { u64 v; __asm__ volatile("rdgsbase %0" : "=r"(v)); return v; }
static inline void wrfs(u64 v) { __asm__ volatile("wrfsbase %0" ::"r"(v)); }
static inline void wrgs(u64 v) { __asm__ volatile("wrgsbase %0" ::"r"(v)); }

static inline u32 load(u32 *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }

/* cpu returns the number of the core, from the limit of the segment that the
 * vDSO has for it (linux: vdso/processor.h). */
static inline u32 cpu(void)
{
	u32 v;
	__asm__("lsl %1, %0" : "=r"(v) : "r"(0x7b));
	return v & 0xfff;
}

/* hand_over gives the area to the sentry and returns when it is ours again. If
 * the sentry's thread was last on this core it waits for the core, and we
 * for it: no spinning then. */
static void hand_over(struct area *a)
{
	u32 n = a->sentry_cpu == cpu() ? 0 : a->spin;
	__atomic_exchange_n(&a->turn, TURN_SENTRY, __ATOMIC_SEQ_CST);
	if (a->sentry_sleep)
		futex(&a->turn, 1, 1);
	for (;;) {
		u32 turn = load(&a->turn);
		for (; turn == TURN_SENTRY && n; n--) {
			__builtin_ia32_pause();
			turn = load(&a->turn);
		}
		if (turn == TURN_STUB)
			return;
		__atomic_exchange_n(&a->stub_sleep, 1, __ATOMIC_SEQ_CST);
		turn = load(&a->turn);
		if (turn != TURN_STUB)
			futex(&a->turn, 0, turn);
		a->stub_sleep = 0;
	}
}

static void batch(struct area *a, u32 cmd)
{
	int err;
	if (cmd & CMD_GATE) {
		a->msg.name = 0;
		a->msg.namelen = 0;
		a->msg.iov = (u64)a->iov;
		a->msg.iovlen = 1;
		a->iov[0] = (u64)a->data;
		a->iov[1] = 1;
		a->msg.control = (u64)a->cbuf;
		a->msg.controllen = 16 + MAX_FDS * 4;
		err = gate_recv(&a->msg);
	} else {
		err = gate_plain(CMD_BASE + (u64)a->slot * SLOT_SIZE);
	}
	if (err && !a->err)
		a->err = err;
	__atomic_store_n(&a->ack, a->ack + 1, __ATOMIC_RELEASE);
}

/* go_on waits for the sentry and returns the command that resumes user code.
 * In a patched call (deep 0) it returns sooner if that takes a real trap: a
 * batch with descriptors must not be interrupted, so it needs signals blocked. */
static u32 go_on(struct area *a, int deep)
{
	for (;;) {
		hand_over(a);
		u32 cmd = a->cmd;
		if (!deep && (cmd & (CMD_GATE | CMD_DEEP)))
			return cmd;
		if (cmd & (CMD_GATE | CMD_PLAIN))
			batch(a, cmd);
		if (cmd & CMD_EXIT)
			thread_exit();
		if (cmd & CMD_RESUME)
			return cmd;
	}
}

/* fast_trap hands a patched call over. It returns 0 if area.regs can be
 * resumed at once, else the call goes on in a handler. */
int fast_trap(struct area *a)
{
	struct regs *r = &a->regs;
	u64 fs = rdfs();
	r->fs_base = fs;
	r->gs_base = 0;
	a->sig = SIG_FAST;
	if (go_on(a, 0) & (CMD_GATE | CMD_DEEP))
		return 1;
	if (r->fs_base != fs)
		wrfs(r->fs_base);
	return 0;
}

/* fast_interrupted reports an interrupt that had to wait. */
int fast_interrupted(struct area *a)
{
	u64 fs = rdfs();
	a->deferred = 0;
	a->sig = SIG_FAST_INT;
	if (go_on(a, 0) & (CMD_GATE | CMD_DEEP))
		return 1;
	if (a->regs.fs_base != fs)
		wrfs(a->regs.fs_base);
	return 0;
}

void trap(int sig, struct siginfo *si, struct ucontext *uc, struct area *a)
{
	struct regs *r = &a->regs;
	u64 fs = rdfs(), gs = rdgs(), rip = uc->rip;
	u32 cmd = 0;

	if (sig == 10 && rip - STUB_BASE < 0x100000) {
		if (rip < (u64)exit_start || rip >= (u64)exit_end) {
			a->deferred = 1;
			return;
		}
		/* area.regs is what would have been resumed. */
		a->deferred = 0;
	} else if (rip == (u64)deep_ret && sig == 31) {
		cmd = a->cmd;
		sig = SIG_DEEP;
	} else {
		r->r15 = uc->r15; r->r14 = uc->r14; r->r13 = uc->r13; r->r12 = uc->r12;
		r->rbp = uc->rbp; r->rbx = uc->rbx; r->r11 = uc->r11; r->r10 = uc->r10;
		r->r9 = uc->r9; r->r8 = uc->r8; r->rax = uc->rax; r->rcx = uc->rcx;
		r->rdx = uc->rdx; r->rsi = uc->rsi; r->rdi = uc->rdi; r->rip = rip;
		r->eflags = uc->eflags; r->rsp = uc->rsp;
		r->fs_base = fs;
		r->gs_base = gs == (u64)a ? 0 : gs;
		a->code = si->code;
		a->addr = si->addr;
		a->arch = si->arch;
		a->trapno = uc->trapno;
		a->errcode = uc->err;
	}
	a->sig = sig;
	a->fp = uc->fpstate - (u64)a;
	/* A call that went deep has its command already. */
	if (cmd & (CMD_GATE | CMD_PLAIN))
		batch(a, cmd);
	if (!(cmd & CMD_RESUME))
		go_on(a, 1);
	while (a->deferred) {
		a->deferred = 0;
		a->sig = 10;
		go_on(a, 1);
	}

	uc->r15 = r->r15; uc->r14 = r->r14; uc->r13 = r->r13; uc->r12 = r->r12;
	uc->rbp = r->rbp; uc->rbx = r->rbx; uc->r11 = r->r11; uc->r10 = r->r10;
	uc->r9 = r->r9; uc->r8 = r->r8; uc->rax = r->rax; uc->rcx = r->rcx;
	uc->rdx = r->rdx; uc->rsi = r->rsi; uc->rdi = r->rdi; uc->rip = r->rip;
	uc->eflags = r->eflags; uc->rsp = r->rsp;
	if (r->fs_base != fs)
		wrfs(r->fs_base);
	/* gs is the area unless the guest set it: see fast_entry. */
	u64 want = r->gs_base ? r->gs_base : (u64)a;
	if (want != gs)
		wrgs(want);
}

/* The rest runs in the zygote only, where there is no user code. */

#define PRIV __attribute__((section(".text.priv")))

PRIV static long sys(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(ret)
		: "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return ret;
}

enum {
	SYS_mmap = 9, SYS_munmap = 11, SYS_sigaction = 13, SYS_sigprocmask = 14,
	SYS_dup2 = 33, SYS_sendto = 44, SYS_recvmsg = 47, SYS_clone = 56, SYS_exit = 60, SYS_wait4 = 61,
	SYS_mremap = 25, SYS_getpriority = 140, SYS_prctl = 157, SYS_ppoll = 271, SYS_prlimit = 302, SYS_sched_setattr = 314, SYS_seccomp = 317, SYS_close_range = 436,
};

struct sigact { void (*fn)(void); u64 flags; void (*rest)(void); u64 mask; };

PRIV static void handle(int sig, void (*fn)(void))
{
	struct sigact sa = {fn, 0x04000000 | 0x08000000 | 4, restorer, ~0ul};
	if (sys(SYS_sigaction, sig, (long)&sa, 0, 8, 0, 0))
		sys(SYS_exit, 10, 0, 0, 0, 0, 0);
}

struct report { u32 kind, pid, status, pad; };

PRIV static void send(u32 kind, u32 pid, u32 status)
{
	struct report r = {kind, pid, status, 0};
	if (sys(SYS_sendto, 0, (long)&r, sizeof r, 0x4000 /* NOSIGNAL */, 0, 0) < 0)
		sys(SYS_exit, 0, 0, 0, 0, 0, 0);
}

/* recv waits for one message and returns how many bytes it had. Its
 * descriptors are 1, 2, ... */
PRIV static long recv(void)
{
	u64 data = 0, iov[2] = {(u64)&data, 8}, cbuf[8];
	struct msg m = {0, 0, (u64)iov, 1, (u64)cbuf, sizeof cbuf, 0, 0};
	return sys(SYS_recvmsg, 0, (long)&m, 0, 0, 0, 0);
}

PRIV static void child(void)
{
	u64 off = (u64)MAX_THREADS * SLOTS * SLOT_SIZE, tramp = off + (u64)MAX_THREADS * AREA_SIZE;
	/* 1: leader's socket, 2: the space's memfd */
	sys(SYS_prctl, 1 /* PDEATHSIG */, 9, 0, 0, 0, 0);
	if (sys(SYS_mmap, CMD_BASE, off, 1, 0x11, 2, 0) != CMD_BASE)
		sys(SYS_exit, 11, 0, 0, 0, 0, 0);
	if (sys(SYS_mmap, AREA_BASE, (u64)MAX_THREADS * AREA_SIZE, 3, 0x11, 2, off) != (long)AREA_BASE)
		sys(SYS_exit, 12, 0, 0, 0, 0, 0);
	if (sys(SYS_mmap, TRAMP_BASE, TRAMP_SIZE, 5, 0x11, 2, tramp) != TRAMP_BASE)
		sys(SYS_exit, 14, 0, 0, 0, 0, 0);
	sys(SYS_dup2, 1, 0, 0, 0, 0, 0);
	sys(SYS_close_range, 1, ~0u, 0, 0, 0, 0);
	leader();
}

/*
 * keep_vdso moves the host's vDSO and its data from where the kernel put them
 * to VDSO_BASE, above user memory, and unmaps all else below the stub. pages
 * has the sizes of the mappings as characters from '0', the vDSO last; they
 * follow one another. User code calls it there (loader/vdso). It returns
 * whether that worked.
 */
PRIV static int keep_vdso(const u64 *sp)
{
	const char *pages = sp[0] == 2 ? (const char *)sp[2] : "";
	u64 from = 0, to = VDSO_BASE, n;
	int i, last, ok = 0;

	for (last = 0; pages[last]; last++)
		;
	for (sp += sp[0] + 2; *sp; sp++)
		;
	for (sp++; *sp; sp += 2)
		if (*sp == 33 /* AT_SYSINFO_EHDR */)
			from = sp[1];
	for (i = 0; i < last - 1; i++)
		from -= (u64)(pages[i] - '0') << 12;
	for (i = 0; i < last; i++) {
		n = (u64)(pages[i] - '0') << 12;
		ok = sys(SYS_mremap, from, n, n, 3 /* MAYMOVE | FIXED */, to, 0) == (long)to;
		if (!ok) {
			to = VDSO_BASE;
			break;
		}
		from += n;
		to += n;
	}
	sys(SYS_munmap, 0, VDSO_BASE, 0, 0, 0, 0);
	sys(SYS_munmap, to, STUB_BASE - to, 0, 0, 0, 0);
	return ok;
}

PRIV void zygote(const u64 *sp)
{
	static const int faults[] = {4, 5, 7, 8, 10 /* SIGUSR1: interrupt */, 11};
	u64 all = ~0ul, none = 0, core[2] = {0, 0};
	u32 i;

	sys(SYS_close_range, 1, ~0u, 0, 0, 0, 0);
	sys(SYS_sigprocmask, 2, (long)&all, 0, 8, 0, 0);
	sys(SYS_prctl, 38 /* NO_NEW_PRIVS */, 1, 0, 0, 0, 0);
	sys(SYS_prlimit, 0, 4 /* CORE */, (long)core, 0, 0, 0);
	sys(SYS_prctl, 15 /* SET_NAME */, (long)"stub", 0, 0, 0, 0);
	/* A short slice: a stub thread that is woken does not wait for a sentry
	 * thread that happens to spin on its core (sched_setattr(2)). */
	struct { u32 size, policy; u64 flags; int nice; u32 prio; u64 runtime, deadline, period; } attr =
		{sizeof attr, 0, 0, 20 - sys(SYS_getpriority, 0, 0, 0, 0, 0, 0), 0, 100000, 0, 0};
	sys(SYS_sched_setattr, 0, (long)&attr, 0, 0, 0, 0);
	int vdso = keep_vdso(sp);
	handle(31, on_sys);
	for (i = 0; i < sizeof faults / sizeof *faults; i++)
		handle(faults[i], on_other);
	handle(17, on_child);

	/* The first message carries the configuration page. */
	if (recv() <= 0 || sys(SYS_mmap, CONF_BASE, 4096, 1, 0x11, 1, 0) != CONF_BASE)
		sys(SYS_exit, 13, 0, 0, 0, 0, 0);
	sys(SYS_close_range, 1, ~0u, 0, 0, 0, 0);
	/* What every process and thread below inherits. Making a filter costs more
	 * than making a thread, so a thread adds only the few instructions that
	 * tell it from the leader. */
	if (sys(SYS_seccomp, 1, 0, CONF_BASE, 0, 0, 0))
		sys(SYS_exit, 15, 0, 0, 0, 0, 0);
	send(1, vdso, 0);

	for (;;) {
		struct { int fd; short events, revents; } pfd = {0, 1, 0};
		int status;
		long pid;
		while ((pid = sys(SYS_wait4, -1, (long)&status, 1 | 0x40000000, 0, 0, 0)) > 0)
			send(3, pid, status);
		if (sys(SYS_ppoll, (long)&pfd, 1, 0, (long)&none, 8, 0) <= 0)
			continue;
		if (recv() <= 0)
			sys(SYS_exit, 0, 0, 0, 0, 0, 0);
		pid = sys(SYS_clone, 17, 0, 0, 0, 0, 0);
		if (pid == 0)
			child();
		sys(SYS_close_range, 1, ~0u, 0, 0, 0, 0);
		send(2, pid, 0);
	}
}

__asm__(".globl _start\n_start: xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call zygote\n hlt\n");
