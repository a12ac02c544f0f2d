// Page faults in parent, child and threads at once.
#include "../case.h"
static char *m;
static void *t(void *a) {
	for (int r = 0; r < 5; r++) for (int i = (long)a; i < 256; i += 4) m[i * 4096]++;
	return NULL;
}

int main(void) {
	m = mmap(0, 256 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int round = 0; round < 5; round++) {
		pthread_t p[4];
		for (long i = 0; i < 4; i++) pthread_create(&p[i], NULL, t, (void *)i);
		pid_t k = fork();
		if (!k) {
			char c = m[0];
			for (int i = 0; i < 256; i++) m[i * 4096] = 100;
			int bad = 0;
			for (int i = 0; i < 256; i++) bad += m[i * 4096] != 100;
			_exit(bad);
		}
		for (int i = 0; i < 4; i++) pthread_join(p[i], NULL);
		int s = reap(k);
		if (s) SAY("child %d", s);
	}
	int bad = 0;
	for (int i = 0; i < 256; i++) bad += m[i * 4096] != 25;
	VAL(bad);
	return 0;
}
