// wait4(2): options and errors.
#include "../case.h"

int main(void) {
	int s;
	VAL(wait(&s));
	VAL(waitpid(-1, &s, WNOHANG));
	VAL(waitpid(999999, &s, 0));
	VAL(waitpid(-1, &s, 0x100));
	gate g = mkgate();
	pid_t k = SPAWN({
		hold(g);
		_exit(7);
	});
	VAL(waitpid(k, &s, WNOHANG));
	VAL(waitpid(-getpgrp(), &s, WNOHANG));
	VAL(waitpid(-99999, &s, WNOHANG));
	VAL(waitpid(0, &s, WNOHANG));
	pass(g);
	YES(waitpid(0, &s, 0) == k);
	STATUS("status", s);
	VAL(waitpid(k, &s, 0));
	k = SPAWN({
		for (;;) pause();
	});
	kill(k, SIGSTOP);
	YES(waitpid(k, &s, WUNTRACED) == k);
	STATUS("status", s);
	VAL(waitpid(k, &s, WUNTRACED | WNOHANG));
	kill(k, SIGCONT);
	YES(waitpid(k, &s, WCONTINUED) == k);
	STATUS("status", s);
	VAL(waitpid(k, &s, WCONTINUED | WNOHANG));
	kill(k, SIGTERM);
	struct rusage u;
	YES(wait4(k, &s, 0, &u) == k);
	STATUS("status", s);
	k = SPAWN({
		setpgid(0, 0);
		_exit(1);
	});
	msleep(20);
	VAL(waitpid(0, &s, WNOHANG));
	YES(waitpid(-k, &s, 0) == k);
	k = SPAWN({
		_exit(256 + 3);
	});
	STATUS("exit 259", reap(k));
	k = SPAWN({
		_exit(-1);
	});
	STATUS("exit -1", reap(k));
	k = SPAWN({
		_exit(0);
	});
	VAL(wait4(k, (void *)1, 0, NULL));
	VAL(wait4(k, &s, 0, NULL));
	VAL(waitpid(INT_MIN, &s, 0));
	k = SPAWN({
		abort();
	});
	STATUS("abort", reap(k));
	return 0;
}
