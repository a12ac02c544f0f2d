// blocking, pending, coalescing, order of delivery.
#include "../case.h"
static char order[64];
static int n;
static void h(int s) {
	n += sprintf(order + n, "%s ", s >= SIGRTMIN ? s == SIGRTMIN ? "rt0" : "rt1" : s == SIGUSR1 ? "usr1" : s == SIGUSR2 ? "usr2" : "hup");
}

int main(void) {
	sigset_t m, p;
	struct sigaction sa = {.sa_handler = h};
	sigfillset(&sa.sa_mask);
	int all[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGRTMIN, SIGRTMIN + 1};
	sigemptyset(&m);
	for (int i = 0; i < 5; i++) {
		sigaction(all[i], &sa, NULL);
		sigaddset(&m, all[i]);
	}
	OK(sigprocmask(SIG_BLOCK, &m, NULL));
	for (int i = 4; i >= 0; i--) {
		raise(all[i]);
		raise(all[i]);
	}
	sigpending(&p);
	for (int i = 0; i < 5; i++) printf("%d", sigismember(&p, all[i]));
	SAY("");
	OK(sigprocmask(SIG_UNBLOCK, &m, NULL));
	SAY("%s", order);
	sigpending(&p);
	YES(sigisemptyset(&p));
	sigset_t old;
	sigemptyset(&m);
	sigaddset(&m, SIGKILL);
	sigaddset(&m, SIGSTOP);
	sigaddset(&m, SIGUSR1);
	OK(sigprocmask(SIG_SETMASK, &m, NULL));
	sigprocmask(SIG_BLOCK, NULL, &old);
	SAY("kill %d stop %d usr1 %d", sigismember(&old, SIGKILL), sigismember(&old, SIGSTOP), sigismember(&old, SIGUSR1));
	OK(sigprocmask(99, &m, NULL));
	OK(sigprocmask(99, NULL, &old));
	OK(syscall(SYS_rt_sigprocmask, 0, &m, NULL, 4));
	OK(syscall(SYS_rt_sigprocmask, 0, (void *)1, NULL, 8));
	RUN({
		sigset_t q;
		sigprocmask(SIG_BLOCK, NULL, &q);
		SAY("child inherits mask: %d", sigismember(&q, SIGUSR1));
		sigpending(&q);
		SAY("child pending: %d", sigismember(&q, SIGUSR1));
	});
	raise(SIGUSR1);
	RUN({
		sigset_t q;
		sigpending(&q);
		SAY("child pending: %d", sigismember(&q, SIGUSR1));
	});
	signal(SIGUSR1, SIG_IGN);
	sigpending(&p);
	SAY("ignored now, pending %d", sigismember(&p, SIGUSR1));
	raise(SIGUSR1);
	sigpending(&p);
	SAY("raised while ignored and blocked, pending %d", sigismember(&p, SIGUSR1));
	return 0;
}
