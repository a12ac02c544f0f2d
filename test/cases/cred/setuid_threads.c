// setuid(3) changes every thread.
#include "../case.h"
static gate g, d;
static void *f(void *a) {
	pass(d);
	hold(g);
	SAY("thread uid %d euid %d", (int)syscall(SYS_getuid), (int)syscall(SYS_geteuid));
	return NULL;
}

int main(void) {
	g = mkgate(), d = mkgate();
	pthread_t p[2];
	for (int i = 0; i < 2; i++) {
		pthread_create(&p[i], NULL, f, NULL);
		hold(d);
	}
	OK(setresuid(3, 4, 5));
	for (int i = 0; i < 2; i++) {
		pass(g);
	}
	for (int i = 0; i < 2; i++) pthread_join(p[i], NULL);
	SAY("main uid %d euid %d", getuid(), geteuid());
	return 0;
}
