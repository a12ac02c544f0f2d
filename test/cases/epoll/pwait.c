// epoll_pwait(2), epoll_pwait2(2), threads and fork.
#include "../case.h"
static void h(int s) {
	SAY("handler");
}
static int ep;
static void *waiter(void *a) {
	struct epoll_event e;
	VAL(epoll_wait(ep, &e, 1, 5000));
	return NULL;
}

int main(void) {
	ep = epoll_create1(0);
	struct epoll_event e;
	struct sigaction sa = {.sa_handler = h};
	sigaction(SIGUSR1, &sa, NULL);
	sigset_t m, none;
	sigemptyset(&none);
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	raise(SIGUSR1);
	VAL(epoll_wait(ep, &e, 1, 10));
	VAL(epoll_pwait(ep, &e, 1, 5000, &none));
	VAL(epoll_pwait(ep, &e, 1, 5, &none));
	struct timespec ts = {0, 5000000};
	VAL(syscall(441, ep, &e, 1, &ts, NULL, 8));
	ts.tv_nsec = 2000000000;
	VAL(syscall(441, ep, &e, 1, &ts, NULL, 8));
	VAL(syscall(SYS_epoll_pwait, ep, &e, 1, 0, &none, 4));
	sigprocmask(SIG_UNBLOCK, &m, NULL);
	pid_t k = SPAWN({
		sleeping(getppid());
		kill(getppid(), SIGUSR1);
	});
	VAL(epoll_wait(ep, &e, 1, -1));
	reap(k);
	int p[2];
	MUST(pipe(p));
	struct epoll_event x = {EPOLLIN, {0}};
	pthread_t t;
	pthread_create(&t, NULL, waiter, NULL);
	msleep(30);
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &x));
	write(p[1], "x", 1);
	pthread_join(t, NULL);
	RUN({
		VAL(epoll_wait(ep, &e, 1, 0));
		MUST(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL));
	});
	VAL(epoll_wait(ep, &e, 1, 0));
	return 0;
}
