// Signals to threads and to the process.
#include "../case.h"
static volatile pid_t hit;
static void h(int s) {
	hit = syscall(SYS_gettid);
}
static pid_t tid;
static gate g, d;
static void *t(void *a) {
	tid = syscall(SYS_gettid);
	pass(g);
	hold(d);
	sigset_t m;
	sigpending(&m);
	SAY("thread has pending: %d", sigismember(&m, SIGUSR2));
	return NULL;
}

int main(void) {
	g = mkgate(), d = mkgate();
	signal(SIGUSR1, h);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR2);
	sigprocmask(SIG_BLOCK, &m, NULL);
	pthread_t p;
	pthread_create(&p, NULL, t, NULL);
	hold(g);
	RET(pthread_kill(p, SIGUSR1));
	while (!hit) msleep(1);
	YES(hit == tid);
	sigset_t u;
	sigemptyset(&u);
	sigaddset(&u, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &u, NULL);
	hit = 0;
	kill(getpid(), SIGUSR1);
	while (!hit) msleep(1);
	YES(hit == tid);
	hit = 0;
	pthread_kill(pthread_self(), SIGUSR1);
	msleep(20);
	YES(hit == 0);
	pthread_sigmask(SIG_UNBLOCK, &u, NULL);
	YES(hit == getpid());
	pthread_kill(p, SIGUSR2);
	sigpending(&m);
	SAY("main has pending: %d", sigismember(&m, SIGUSR2));
	pass(d);
	pthread_join(p, NULL);
	STATUS("a thread's default action ends all", RUN({
		g = mkgate(), d = mkgate();
		pthread_create(&p, NULL, t, NULL);
		hold(g);
		pthread_kill(p, SIGTERM);
		pause();
	}));
	return 0;
}
