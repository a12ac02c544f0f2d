// Characters that send signals; hangup at the end.
#include "../case.h"
#include <pty.h>
#include <termios.h>
static volatile int seen[65];
static void h(int s) {
	seen[s]++;
}

int main(void) {
	int m, t;
	MUST(openpty(&m, &t, NULL, NULL, NULL));
	gate g = mkgate();
	pid_t k = SPAWN({
		setsid();
		MUST(ioctl(t, TIOCSCTTY, 0));
		close(m);
		signal(SIGINT, h);
		signal(SIGQUIT, h);
		signal(SIGWINCH, h);
		signal(SIGHUP, h);
		signal(SIGCONT, h);
		pass(g);
		int want[] = {SIGINT, SIGQUIT, SIGWINCH};
		for (int i = 0; i < 3; i++) {
			while (!seen[want[i]]) msleep(1);
			SAY("%s", signame(want[i]));
			pass(g);
		}
		while (!seen[SIGHUP] || !seen[SIGCONT]) msleep(1);
		SAY("SIGHUP and SIGCONT, other signals %d", seen[SIGINT] + seen[SIGQUIT] + seen[SIGWINCH]);
	});
	hold(g);
	sleeping(k);
	write(m, "\3", 1);
	hold(g);
	sleeping(k);
	write(m, "\34", 1);
	hold(g);
	sleeping(k);
	struct winsize w = {30, 100, 0, 0};
	MUST(ioctl(m, TIOCSWINSZ, &w));
	hold(g);
	sleeping(k);
	OK(ioctl(m, TIOCSWINSZ, &w));
	close(t);
	close(m);
	reap(k);
	MUST(openpty(&m, &t, NULL, NULL, NULL));
	k = SPAWN({
		setsid();
		MUST(ioctl(t, TIOCSCTTY, 0));
		close(m);
		pid_t c = SPAWN({
			pass(g);
			for (;;) pause();
		});
		STATUS("foreground child", reap(c));
	});
	close(t);
	hold(g);
	sleeping(k);
	signal(SIGCHLD, SIG_DFL);
	write(m, "\3", 1);
	STATUS("leader", reap(k));
	MUST(openpty(&m, &t, NULL, NULL, NULL));
	k = SPAWN({
		setsid();
		MUST(ioctl(t, TIOCSCTTY, 0));
		pid_t c = fork();
		if (!c) {
			signal(SIGHUP, h);
			pass(g);
			while (!seen[SIGHUP]) msleep(1);
			SAY("SIGHUP");
			VAL(write(t, "x", 1));
			OK(open("/dev/tty", O_RDWR));
			fflush(stdout);
			pass(g);
			_exit(0);
		}
		hold(g);
		sleeping(c);
	});
	reap(k);
	hold(g);
	return 0;
}
