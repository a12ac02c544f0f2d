// select(2), pselect(2).
#include "../case.h"
static void h(int s) {
}

int main(void) {
	int p[2];
	MUST(pipe(p));
	fd_set r, w, e;
	struct timeval tv = {0, 20000};
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(p[0], &r);
	FD_SET(p[1], &w);
	FD_SET(p[0], &e);
	VAL(select(10, &r, &w, &e, &tv));
	YES(FD_ISSET(p[0], &r));
	YES(FD_ISSET(p[1], &w));
	YES(FD_ISSET(p[0], &e));
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	tv = (struct timeval){0, 20000};
	VAL(select(p[0] + 1, &r, NULL, NULL, &tv));
	YES(FD_ISSET(p[0], &r));
	YES(tv.tv_sec == 0 && tv.tv_usec == 0);
	write(p[1], "x", 1);
	FD_SET(p[0], &r);
	tv = (struct timeval){5, 0};
	VAL(select(p[0] + 1, &r, NULL, NULL, &tv));
	YES(tv.tv_sec == 4);
	FD_ZERO(&r);
	FD_SET(40, &r);
	VAL(select(41, &r, NULL, NULL, &tv));
	VAL(select(-1, NULL, NULL, NULL, &tv));
	tv.tv_usec = -1;
	VAL(select(0, NULL, NULL, NULL, &tv));
	tv = (struct timeval){0, 2000000};
	VAL(select(0, NULL, NULL, NULL, &(struct timeval){0, 1000}));
	VAL(select(5, (void *)1, NULL, NULL, &tv));
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	VAL(select(p[0], &r, NULL, NULL, &(struct timeval){0, 0}));
	close(p[1]);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	char c;
	read(p[0], &c, 1);
	VAL(select(p[0] + 1, &r, NULL, NULL, NULL));
	struct sigaction sa = {.sa_handler = h};
	sigaction(SIGUSR1, &sa, NULL);
	MUST(pipe(p));
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	pid_t k = SPAWN({
		sleeping(getppid());
		kill(getppid(), SIGUSR1);
	});
	VAL(select(p[0] + 1, &r, NULL, NULL, NULL));
	YES(FD_ISSET(p[0], &r));
	reap(k);
	sigset_t m, old;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, &old);
	raise(SIGUSR1);
	VAL(pselect(p[0] + 1, &r, NULL, NULL, NULL, &old));
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	YES(sigismember(&now, SIGUSR1));
	return 0;
}
