// Stopping and continuing a process with threads.
#include "../case.h"
static volatile long c[3];
static void *t(void *a) {
	for (;;) c[(long)a]++;
}

int main(void) {
	pid_t k;
	long *sh = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	k = SPAWN({
		pthread_t p;
		for (long i = 0; i < 3; i++) pthread_create(&p, NULL, t, (void *)i);
		for (;;) {
			sh[0] = c[0] + c[1] + c[2];
			msleep(1);
		}
	});
	while (!sh[0]) msleep(5);
	kill(k, SIGSTOP);
	int s;
	waitpid(k, &s, WUNTRACED);
	STATUS("stop", s);
	long a = sh[0];
	msleep(50);
	YES(a == sh[0]);
	kill(k, SIGCONT);
	msleep(100);
	YES(sh[0] > a);
	kill(k, SIGKILL);
	STATUS("end", reap(k));
	return 0;
}
