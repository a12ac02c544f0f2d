// Double fork and a session of its own.
#include "../case.h"

int main(void) {
	gate g = mkgate();
	int p[2];
	pipe(p);
	pid_t k = SPAWN({
		setsid();
		if (fork()) _exit(0);
		chdir("/");
		umask(0);
		int n = open("/dev/null", O_RDWR);
		hold(g);
		char m[64];
		int len = snprintf(m, 64, "leader %s, group %s, parent %s", getsid(0) == getpid() ? "yes" : "no", getpgrp() == getpid() ? "own" : "other", getppid() == getsid(0) ? "still" : "new");
		write(p[1], m, len);
		_exit(0);
	});
	STATUS("first child", reap(k));
	pass(g);
	char b[64] = {0};
	read(p[0], b, 63);
	SAY("%s", b);
	return 0;
}
