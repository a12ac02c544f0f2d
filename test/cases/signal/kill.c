// kill(2): permission, groups, -1, zombies.
#include "../case.h"
static volatile int got;
static void h(int s) {
	got++;
}

int main(void) {
	gate g = mkgate();
	pid_t a = SPAWN({
		setpgid(0, 0);
		pass(g);
		for (;;) pause();
	});
	hold(g);
	pid_t b = SPAWN({
		setpgid(0, a);
		pass(g);
		for (;;) pause();
	});
	hold(g);
	pid_t root = SPAWN({
		pass(g);
		for (;;) pause();
	});
	hold(g);
	RUN({
		MUST(setresuid(1000, 1000, 1000));
		OK(kill(root, 0));
		OK(kill(root, SIGTERM));
		OK(kill(-a, SIGTERM));
		OK(kill(getpid(), 0));
		OK(kill(1, SIGTERM));
	});
	pid_t user = SPAWN({
		MUST(setresuid(1000, 1000, 1000));
		pass(g);
		for (;;) pause();
	});
	hold(g);
	RUN({
		MUST(setresuid(1000, 1000, 1000));
		OK(kill(user, SIGTERM));
	});
	STATUS("user", reap(user));
	user = SPAWN({
		MUST(setresuid(1000, 1001, 1002));
		pass(g);
		for (;;) pause();
	});
	hold(g);
	RUN({
		MUST(setresuid(1002, 1002, 1002));
		OK(kill(user, 0));
	});
	RUN({
		MUST(setresuid(1001, 1001, 1001));
		OK(kill(user, 0));
	});
	RUN({
		MUST(setresuid(1000, 1000, 1000));
		OK(kill(user, 0));
	});
	kill(user, 9);
	reap(user);
	OK(kill(-a, SIGTERM));
	STATUS("a", reap(a));
	STATUS("b", reap(b));
	OK(kill(-a, 0));
	kill(root, SIGKILL);
	siginfo_t i;
	waitid(P_PID, root, &i, WEXITED | WNOWAIT);
	OK(kill(root, 0));
	OK(kill(root, SIGKILL));
	reap(root);
	OK(kill(root, 0));
	signal(SIGUSR1, h);
	OK(kill(0, SIGUSR1));
	SAY("got %d", got);
	OK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
	OK(syscall(SYS_tgkill, getpid(), 1 << 22, SIGUSR1));
	OK(syscall(SYS_tgkill, -1, getpid(), 0));
	OK(syscall(SYS_tkill, getpid(), SIGUSR1));
	OK(syscall(SYS_tkill, 0, SIGUSR1));
	OK(syscall(SYS_tgkill, getppid(), getpid(), 0));
	siginfo_t q = {0};
	q.si_code = SI_QUEUE;
	OK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &q));
	q.si_code = 0;
	OK(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &q));
	SAY("got %d", got);
	return 0;
}
