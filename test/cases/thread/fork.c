// Fork in a threaded process copies one thread.
#include "../case.h"
static gate g;
static void *f(void *a) {
	hold(g);
	return NULL;
}
static void pre(void) {
	SAY("prepare");
	fflush(stdout);
}
static gate after;
static void par(void) {
	SAY("parent");
	fflush(stdout);
	pass(after);
}
static void chi(void) {
	hold(after);
	SAY("child");
}

int main(void) {
	g = mkgate();
	pthread_t t[3];
	for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, f, NULL);
	STATUS("child", RUN({
		FILE *s = fopen("/proc/self/status", "r");
		char b[256];
		while (fgets(b, 256, s)) if (!strncmp(b, "Threads", 7)) printf("%s", b);
	}));
	FILE *s = fopen("/proc/self/status", "r");
	char b[256];
	while (fgets(b, 256, s)) if (!strncmp(b, "Threads", 7)) printf("%s", b);
	after = mkgate();
	pthread_atfork(pre, par, chi);
	pid_t k = fork();
	if (k == 0) {
		fflush(stdout);
		_exit(0);
	}
	reap(k);
	for (int i = 0; i < 3; i++) pass(g);
	for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
	return 0;
}
