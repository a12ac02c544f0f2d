// Si_code and si_addr of faults the processor raises.
#include "../case.h"
#include <setjmp.h>
static sigjmp_buf j;
static volatile int sg, code;
static void h(int s, siginfo_t *i, void *u) {
	sg = s;
	code = i->si_code;
	siglongjmp(j, 1);
}
#define TRY(name, ...) if (sigsetjmp(j, 1) == 0) { __VA_ARGS__; SAY("%s: nothing", name); } else SAY("%s: %s code %d", name, signame(sg), code)

int main(void) {
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
	int all[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	for (int i = 0; i < 6; i++) sigaction(all[i], &sa, NULL);
	volatile int zero = 0;
	TRY("divide by zero", { volatile int x = 7 / zero; });
	TRY("INT_MIN / -1", { volatile int a = INT_MIN; volatile int b = -1; volatile int x = a / b; });
	TRY("ud2", asm volatile("ud2"));
	TRY("int3", asm volatile("int3"));
	TRY("hlt", asm volatile("hlt"));
	TRY("in", asm volatile("inb $0x80, %%al" ::: "rax"));
	TRY("non-canonical", { (void)*(volatile char *)0x8000000000000000; });
	TRY("null", { *(volatile char *)0 = 1; });
	TRY("raise", raise(SIGSEGV));
	TRY("kill", kill(getpid(), SIGSEGV));
	TRY("cli", asm volatile("cli"));
	TRY("int 1", asm volatile("int $1"));
	TRY("int 5", asm volatile("int $5"));
	TRY("jump to null", ((void (*)(void))0)());
	STATUS("blocked fault", RUN({
		sigset_t m;
		sigemptyset(&m);
		sigaddset(&m, SIGSEGV);
		sigprocmask(SIG_BLOCK, &m, NULL);
		*(volatile char *)0 = 1;
	}));
	STATUS("ignored fault", RUN({
		signal(SIGSEGV, SIG_IGN);
		*(volatile char *)0 = 1;
	}));
	return 0;
}
