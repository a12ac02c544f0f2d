// setpgid(2), getpgid, setsid, getsid.
#include "../case.h"

int main(void) {
	pid_t me = getpid();
	YES(getpgrp() == me);
	YES(getsid(0) == me);
	OK(setsid());
	OK(setpgid(0, 0));
	OK(setpgid(0, 1));
	OK(setpgid(-1, 0));
	OK(setpgid(0, -1));
	OK(setpgid(999999, 0));
	OK(getpgid(-1));
	OK(getpgid(999999));
	OK(getsid(999999));
	gate g = mkgate(), d = mkgate(), e = mkgate();
	pid_t a = SPAWN({
		hold(g);
		YES(getpgrp() == getpid());
		fflush(stdout);
		pass(d);
		hold(g);
	}), b = SPAWN({
		hold(e);
	});
	OK(setpgid(a, a));
	pass(g);
	hold(d);
	OK(setpgid(b, a));
	YES(getpgid(b) == a);
	OK(setpgid(b, me));
	OK(setpgid(b, 999999));
	pass(g);
	pass(e);
	reap(a);
	reap(b);
	RUN({
		OK(setsid());
		YES(getsid(0) == getpid() && getpgrp() == getpid());
		OK(setsid());
		OK(setpgid(0, 0));
		OK(setpgid(0, getppid()));
	});
	pid_t s = SPAWN({
		setsid();
		pass(d);
		hold(g);
	});
	hold(d);
	OK(setpgid(s, me));
	pass(g);
	reap(s);
	pid_t x = SPAWN({
		execl("/bin/sleep", "sleep", "5", NULL);
	});
	msleep(60);
	OK(setpgid(x, x));
	kill(x, 9);
	reap(x);
	pid_t z = SPAWN({
		_exit(0);
	});
	siginfo_t i;
	waitid(P_PID, z, &i, WEXITED | WNOWAIT);
	OK(getpgid(z));
	OK(getsid(z));
	reap(z);
	RUN({
		OK(setpgid(me, me));
	});
	return 0;
}
