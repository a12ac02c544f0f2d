// The handler's context can be read and changed.
#include "../case.h"
#include <ucontext.h>
static void h(int s, siginfo_t *i, void *u) {
	ucontext_t *c = u;
	SAY("fault with rbx %llx", c->uc_mcontext.gregs[REG_RBX]);
	c->uc_mcontext.gregs[REG_RIP] += 3;
	c->uc_mcontext.gregs[REG_RAX] = 0x1234;
	sigaddset(&c->uc_sigmask, SIGUSR2);
	YES(c->uc_mcontext.fpregs != NULL);
	YES(c->uc_mcontext.gregs[REG_TRAPNO] == 14);
	YES(c->uc_mcontext.gregs[REG_CR2] == 0x40);
	YES(c->uc_mcontext.gregs[REG_ERR] == 4);
}
static void noop(int s) {
	volatile double x = 0;
	for (int i = 0; i < 100; i++) x += i * 0.5;
	asm volatile("pxor %xmm5, %xmm5; xor %r10, %r10; xor %r15, %r15; std; cld");
}

int main(void) {
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	unsigned long a;
	asm volatile("mov $0x5678, %%rbx\n\tmov $0x40, %%rcx\n\tmov (%%rcx), %%rax" : "=a"(a)::"rbx", "rcx", "memory");
	SAY("rax %lx", a);
	sigset_t m;
	sigprocmask(SIG_BLOCK, NULL, &m);
	YES(sigismember(&m, SIGUSR2));
	signal(SIGUSR1, noop);
	unsigned long d[2] = {0x1111222233334444, 0x5555666677778888}, e[2] = {0}, r10 = 0, flags = 0;
	long pid = getpid();
	asm volatile("movdqu (%3), %%xmm5\n\tmov $0xabc, %%r15\n\tmov $62, %%eax\n\tmov %4, %%rdi\n\tmov $10, %%esi\n\tstc\n\tsyscall\n\tmovdqu %%xmm5, (%5)\n\tmov %%r15, %0" : "=m"(r10), "=m"(e), "=a"(a) : "r"(d), "r"(pid), "r"(e) : "rcx", "r11", "rdi", "rsi", "r15", "xmm5", "memory");
	YES(e[0] == d[0] && e[1] == d[1]);
	SAY("r15 %lx result %lx", r10, a);
	return 0;
}
