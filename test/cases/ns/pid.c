// PID namespaces: first process is 1, death ends all.
#include "../case.h"
static int init(void *a) {
	SAY("pid %d parent %d", getpid(), getppid());
	pid_t k = SPAWN({
		SAY("child pid %d parent %d", getpid(), getppid());
	});
	SAY("fork gave %d", k);
	reap(k);
	return 4;
}
static char st[65536];
static void h(int s) {
}
static int keep(void *a) {
	SPAWN({
		for (;;) pause();
	});
	SPAWN({
		for (;;) pause();
	});
	msleep(30);
	return 0;
}
static int sig(void *a) {
	kill(getpid(), SIGTERM);
	kill(getpid(), SIGKILL);
	SAY("init survives its own signals");
	signal(SIGUSR1, h);
	pause();
	SAY("handled one from outside");
	return 0;
}

int main(void) {
	pid_t k = MUST(clone(init, st + sizeof st, CLONE_NEWPID | SIGCHLD, NULL));
	STATUS("init", reap(k));
	RUN({
		OK(unshare(CLONE_NEWPID));
		pid_t a = SPAWN({
			SAY("pid %d", getpid());
			pid_t b = SPAWN({
				SAY("pid %d", getpid());
			});
			reap(b);
			pid_t orphan_parent = SPAWN({
				pid_t c = SPAWN({
					msleep(40);
					SAY("orphan's parent %d", getppid());
				});
				SAY("pid %d", c);
			});
			reap(orphan_parent);
			int s;
			wait(&s);
		});
		reap(a);
		OK(fork());
	});
	int p[2];
	pipe(p);
	k = clone(keep, st + sizeof st, CLONE_NEWPID | SIGCHLD, NULL);
	close(p[1]);
	STATUS("init with children", reap(k));
	char c;
	VAL(read(p[0], &c, 1));
	k = clone(sig, st + sizeof st, CLONE_NEWPID | SIGCHLD, NULL);
	sleeping(k);
	kill(k, SIGTERM);
	kill(k, SIGUSR1);
	STATUS("signalled init", reap(k));
	k = clone(sig, st + sizeof st, CLONE_NEWPID | SIGCHLD, NULL);
	sleeping(k);
	kill(k, SIGKILL);
	STATUS("killed init", reap(k));
	return 0;
}
