// sigaction(2): flags and errors.
#include "../case.h"
static volatile int hits, inside;
static void h(int s) {
	hits++;
	sigset_t m;
	sigprocmask(SIG_BLOCK, NULL, &m);
	inside = sigismember(&m, s);
	if (hits == 1) {
		raise(s);
		inside += 10 * hits;
	}
}
static void q(int s, siginfo_t *i, void *u) {
	SAY("%s code %s value %d", signame(s), i->si_code == SI_USER ? "USER" : i->si_code == SI_QUEUE ? "QUEUE" : i->si_code == SI_TKILL ? "TKILL" : "?", i->si_value.sival_int);
}

int main(void) {
	struct sigaction sa = {.sa_handler = h}, o;
	OK(sigaction(SIGUSR1, &sa, &o));
	YES(o.sa_handler == SIG_DFL);
	raise(SIGUSR1);
	SAY("hits %d inside %d", hits, inside);
	hits = 0;
	sa.sa_flags = SA_NODEFER;
	OK(sigaction(SIGUSR1, &sa, &o));
	YES(o.sa_handler == h);
	raise(SIGUSR1);
	SAY("hits %d inside %d", hits, inside);
	hits = 5;
	sa.sa_flags = SA_RESETHAND;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &o);
	YES(o.sa_handler == SIG_DFL);
	sa = (struct sigaction){.sa_sigaction = q, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGRTMIN, &sa, NULL);
	kill(getpid(), SIGUSR1);
	raise(SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77});
	OK(sigaction(SIGKILL, &sa, NULL));
	OK(sigaction(SIGSTOP, &sa, NULL));
	OK(sigaction(SIGKILL, NULL, &o));
	OK(sigaction(0, &sa, NULL));
	OK(sigaction(65, &sa, NULL));
	OK(syscall(SYS_rt_sigaction, 200, NULL, NULL, 8));
	OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
	OK(syscall(SYS_rt_sigaction, SIGUSR1, (void *)1, NULL, 8));
	sigaction(SIGUSR1, NULL, &o);
	YES(o.sa_flags & SA_SIGINFO);
	OK(kill(getpid(), 0));
	OK(kill(getpid(), 65));
	OK(kill(getpid(), -1));
	OK(kill(999999, 0));
	OK(kill(-999999, 0));
	return 0;
}
