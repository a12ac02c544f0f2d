// What exec does with handlers, masks, pending signals, altstack.
#include "../case.h"
static void h(int s) {
}

int main(void) {
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	STATUS("pending survives", RUN({
		sigprocmask(SIG_BLOCK, &m, NULL);
		signal(SIGUSR1, h);
		raise(SIGUSR1);
		execl("/bin/grep", "grep", "-E", "(Sig|Shd)Pnd|SigBlk|SigCgt", "/proc/self/status", NULL);
	}));
	STATUS("ignored stays", RUN({
		signal(SIGPIPE, SIG_IGN);
		signal(SIGUSR1, h);
		execl("/bin/grep", "grep", "SigIgn", "/proc/self/status", NULL);
	}));
	STATUS("handler is gone", RUN({
		signal(SIGUSR1, h);
		execl("/bin/sh", "sh", "-c", "kill -USR1 $$; echo not reached", NULL);
	}));
	STATUS("alarm stays", RUN({
		alarm(0);
		struct itimerval t = {{0, 0}, {0, 300000}};
		setitimer(ITIMER_REAL, &t, NULL);
		execl("/bin/sh", "sh", "-c", "while :; do :; done", NULL);
	}));
	return 0;
}
