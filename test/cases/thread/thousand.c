// A thousand threads alive at once.
#include "../case.h"
static gate g;
static int up;
static void *f(void *a) {
	__atomic_fetch_add(&up, 1, 5);
	hold(g);
	return a;
}

int main(void) {
	g = mkgate();
	static pthread_t p[1000];
	pthread_attr_t at;
	pthread_attr_init(&at);
	pthread_attr_setstacksize(&at, 65536);
	int made = 0;
	for (long i = 0; i < 1000; i++) made += pthread_create(&p[i], &at, f, (void *)i) == 0;
	VAL(made);
	while (__atomic_load_n(&up, 5) < made) msleep(1);
	FILE *s = fopen("/proc/self/status", "r");
	char b[256];
	while (fgets(b, 256, s)) if (!strncmp(b, "Threads", 7)) printf("%s", b);
	for (int i = 0; i < made; i++) pass(g);
	long sum = 0;
	for (int i = 0; i < made; i++) {
		void *r;
		pthread_join(p[i], &r);
		sum += (long)r;
	}
	VAL(sum);
	return 0;
}
