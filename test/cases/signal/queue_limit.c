// RLIMIT_SIGPENDING and real time order.
#include "../case.h"
static int vals[100], n;
static void h(int s, siginfo_t *i, void *u) {
	if (n < 100) vals[n++] = i->si_value.sival_int;
}

int main(void) {
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
	sigaction(SIGRTMIN + 3, &sa, NULL);
	sigaction(SIGRTMIN + 1, &sa, NULL);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGRTMIN + 3);
	sigaddset(&m, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	for (int i = 0; i < 5; i++) {
		sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 30 + i});
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i});
	}
	sa.sa_mask = m;
	sigaction(SIGRTMIN + 3, &sa, NULL);
	sigaction(SIGRTMIN + 1, &sa, NULL);
	sigprocmask(SIG_UNBLOCK, &m, NULL);
	for (int i = 0; i < n; i++) printf("%d ", vals[i]);
	SAY("");
	struct rlimit r = {4, 4};
	MUST(setrlimit(RLIMIT_SIGPENDING, &r));
	MUST(setresuid(4242, 4242, 4242));
	sigprocmask(SIG_BLOCK, &m, NULL);
	for (int i = 0; i < 6; i++) OK(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}));
	OK(kill(getpid(), SIGRTMIN + 3));
	OK(kill(getpid(), SIGUSR1 + 0 * 1 == SIGUSR1 ? 0 : 0));
	return 0;
}
