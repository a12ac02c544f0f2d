// The stack grows, down to its limit.
#include "../case.h"
static int deep(int n) {
	volatile char b[4096];
	b[0] = n;
	return n ? deep(n - 1) + b[0] - b[0] : 0;
}
static char alt[65536];
static void h(int s, siginfo_t *i, void *u) {
	static const char m[] = "overflow caught\n";
	write(1, m, sizeof m - 1);
	_exit(i->si_code == SEGV_MAPERR || i->si_code == SEGV_ACCERR ? 7 : 8);
}

int main(void) {
	STATUS("1 MiB of stack", RUN({
		deep(256);
	}));
	STATUS("7 MiB of stack", RUN({
		deep(1750);
	}));
	STATUS("too deep", RUN({
		deep(100000);
	}));
	STATUS("with another stack", RUN({
		stack_t st = {.ss_sp = alt, .ss_size = sizeof alt};
		sigaltstack(&st, NULL);
		struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO | SA_ONSTACK};
		sigaction(SIGSEGV, &sa, NULL);
		deep(100000);
	}));
	struct rlimit r = {64 << 20, RLIM_INFINITY};
	OK(setrlimit(RLIMIT_STACK, &r));
	STATUS("bigger limit", RUN({
		deep(4000);
	}));
	char *g = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	YES(g != MAP_FAILED);
	return 0;
}
