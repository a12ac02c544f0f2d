// SIGCHLD: codes, SA_NOCLDSTOP, SA_NOCLDWAIT, ignoring.
#include "../case.h"
static volatile int count;
static void h(int s, siginfo_t *i, void *u) {
	count++;
	SAY("SIGCHLD %s status %d", i->si_code == CLD_EXITED ? "EXITED" : i->si_code == CLD_KILLED ? "KILLED" : i->si_code == CLD_DUMPED ? "DUMPED" : i->si_code == CLD_STOPPED ? "STOPPED" : i->si_code == CLD_CONTINUED ? "CONTINUED" : "?", i->si_status);
}
static void until(int n) {
	for (int i = 0; i < 400 && count < n; i++) msleep(5);
	count = 0;
}

int main(void) {
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGCHLD, &sa, NULL);
	int st;
	pid_t k = SPAWN({
		_exit(3);
	});
	until(1);
	reap(k);
	k = SPAWN({
		raise(SIGTERM);
	});
	until(1);
	reap(k);
	k = SPAWN({
		for (;;) pause();
	});
	kill(k, SIGSTOP);
	until(1);
	waitpid(k, &st, WUNTRACED);
	kill(k, SIGCONT);
	until(1);
	sa.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
	kill(k, SIGSTOP);
	VAL(waitpid(k, &st, WUNTRACED) == k);
	kill(k, SIGCONT);
	VAL(waitpid(k, &st, WCONTINUED) == k);
	STATUS("status", st);
	SAY("count %d", count);
	kill(k, SIGKILL);
	until(1);
	reap(k);
	sa.sa_flags |= SA_NOCLDWAIT;
	sigaction(SIGCHLD, &sa, NULL);
	k = SPAWN({
		_exit(0);
	});
	until(1);
	VAL(waitpid(k, &st, 0));
	signal(SIGCHLD, SIG_IGN);
	k = SPAWN({
		_exit(0);
	});
	VAL(waitpid(k, &st, 0));
	VAL(wait(&st));
	signal(SIGCHLD, SIG_DFL);
	k = SPAWN({
		_exit(4);
	});
	STATUS("default", reap(k));
	return 0;
}
