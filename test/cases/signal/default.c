// Default actions of every signal.
#include "../case.h"

int main(void) {
	int core[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGSTKFLT, SIGCHLD, SIGCONT, SIGURG, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGWINCH, SIGIO, SIGPWR, SIGSYS, SIGRTMIN, SIGRTMAX};
	for (int i = 0; i < sizeof core / sizeof *core; i++) STATUS(signame(core[i]), RUN({
		kill(getpid(), core[i]);
	}));
	int stop[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
	for (int i = 0; i < 4; i++) {
		pid_t k = SPAWN({
			setpgid(0, 0);
			kill(getpid(), stop[i]);
		});
		int s = 0;
		waitpid(k, &s, WUNTRACED);
		STATUS(signame(stop[i]), s);
		kill(k, SIGKILL);
		reap(k);
	}
	return 0;
}
