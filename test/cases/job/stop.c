// Stop signals, SIGCONT, and orphaned groups.
#include "../case.h"
static void h(int s) {
	SAY("%s", signame(s));
}

int main(void) {
	int s;
	signal(SIGCONT, h);
	pid_t k = SPAWN({
		setpgid(0, 0);
		OK(raise(SIGTSTP));
		_exit(2);
	});
	waitpid(k, &s, WUNTRACED);
	STATUS("TSTP", s);
	kill(k, SIGCONT);
	STATUS("continued", reap(k));
	k = SPAWN({
		signal(SIGTSTP, h);
		raise(SIGTSTP);
		_exit(3);
	});
	STATUS("handled", reap(k));
	k = SPAWN({
		sigset_t m;
		sigemptyset(&m);
		sigaddset(&m, SIGCONT);
		sigprocmask(SIG_BLOCK, &m, NULL);
		raise(SIGSTOP);
		sigset_t p;
		sigpending(&p);
		SAY("pending %d", sigismember(&p, SIGCONT));
	});
	waitpid(k, &s, WUNTRACED);
	kill(k, SIGCONT);
	STATUS("blocked SIGCONT", reap(k));
	k = SPAWN({
		sigset_t m;
		sigemptyset(&m);
		sigaddset(&m, SIGTSTP);
		sigprocmask(SIG_BLOCK, &m, NULL);
		raise(SIGTSTP);
		sigset_t p;
		sigpending(&p);
		SAY("pending %d", sigismember(&p, SIGTSTP));
		raise(SIGCONT);
		sigpending(&p);
		SAY("pending %d", sigismember(&p, SIGTSTP));
		sigprocmask(SIG_UNBLOCK, &m, NULL);
		_exit(0);
	});
	STATUS("cancelled stop", reap(k));
	k = SPAWN({
		setsid();
		pid_t c = SPAWN({
			raise(SIGTSTP);
			_exit(4);
		});
		STATUS("orphaned group ignores TSTP", reap(c));
	});
	reap(k);
	k = SPAWN({
		for (;;) pause();
	});
	kill(k, SIGSTOP);
	waitpid(k, &s, WUNTRACED);
	kill(k, SIGTERM);
	msleep(20);
	VAL(waitpid(k, &s, WNOHANG));
	kill(k, SIGCONT);
	STATUS("term after cont", reap(k));
	k = SPAWN({
		for (;;) pause();
	});
	kill(k, SIGSTOP);
	waitpid(k, &s, WUNTRACED);
	kill(k, SIGKILL);
	STATUS("killed while stopped", reap(k));
	return 0;
}
