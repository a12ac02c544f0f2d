// Sigwait by several threads, one gets each.
#include "../case.h"
static int got;
static sigset_t m;
static void *t(void *a) {
	int s;
	while (sigwait(&m, &s) == 0 && s == SIGUSR1) {
		__atomic_fetch_add(&got, 1, 5);
	}
	return NULL;
}

int main(void) {
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigaddset(&m, SIGTERM);
	sigprocmask(SIG_BLOCK, &m, NULL);
	pthread_t p[3];
	for (int i = 0; i < 3; i++) pthread_create(&p[i], NULL, t, NULL);
	for (int i = 0; i < 50; i++) {
		int was = __atomic_load_n(&got, 5);
		kill(getpid(), SIGUSR1);
		while (__atomic_load_n(&got, 5) == was) sched_yield();
	}
	VAL(got);
	for (int i = 0; i < 3; i++) pthread_kill(p[i], SIGTERM);
	for (int i = 0; i < 3; i++) pthread_join(p[i], NULL);
	SAY("joined");
	return 0;
}
