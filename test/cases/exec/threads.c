// Exec ends the other threads and keeps the pid.
#include "../case.h"
static void *spin(void *a) {
	for (;;) pause();
}
static void *ex(void *a) {
	char b[32];
	snprintf(b, 32, "%d", getpid());
	execl("/bin/sh", "sh", "-c", "test $$ = $0 && echo same pid; grep Threads /proc/self/status", b, NULL);
	return NULL;
}

int main(void) {
	STATUS("from the leader", RUN({
		pthread_t p;
		for (int i = 0; i < 5; i++) pthread_create(&p, NULL, spin, NULL);
		ex(NULL);
	}));
	STATUS("from another thread", RUN({
		pthread_t p;
		pthread_create(&p, NULL, spin, NULL);
		pthread_create(&p, NULL, ex, NULL);
		pause();
	}));
	STATUS("vfork and exec", ({
		pid_t k = vfork();
		if (!k) {
			execl("/bin/true", "true", NULL);
			_exit(9);
		}
		reap(k);
	}));
	STATUS("vfork and failed exec", ({
		pid_t k = vfork();
		if (!k) {
			execl("/none", "true", NULL);
			_exit(9);
		}
		reap(k);
	}));
	return 0;
}
