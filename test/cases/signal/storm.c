// Many signals while calls run, none lost.
#include "../case.h"
static volatile int n;
static void h(int s) {
	n++;
}

int main(void) {
	struct sigaction sa = {.sa_handler = h, .sa_flags = SA_RESTART};
	sigaction(SIGRTMIN, &sa, NULL);
	gate g = mkgate();
	pid_t me = getpid();
	pid_t k = SPAWN({
		for (int i = 0; i < 2000; i++) while (sigqueue(me, SIGRTMIN, (union sigval){0}) == -1) sched_yield();
	});
	int fd = MUST(open("/dev/zero", O_RDONLY));
	char b[100];
	long bad = 0;
	while (n < 2000) {
		if (read(fd, b, 100) != 100) bad++;
		if (getppid() <= 0) bad++;
	}
	reap(k);
	VAL(n);
	VAL(bad);
	return 0;
}
