// O_EXCL and mkdir give one winner.
#include "../case.h"

int main(void) {
	int *w = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int r = 0; r < 50; r++) {
		pid_t k[4];
		char n[16], d[16];
		snprintf(n, 16, "f%d", r);
		snprintf(d, 16, "d%d", r);
		for (int i = 0; i < 4; i++) k[i] = SPAWN({
			if (open(n, O_CREAT | O_EXCL | O_WRONLY, 0600) >= 0) __atomic_fetch_add(&w[0], 1, 5);
			if (mkdir(d, 0700) == 0) __atomic_fetch_add(&w[1], 1, 5);
			if (link("/proc/self/exe", n) == 0) __atomic_fetch_add(&w[2], 1, 5);
			if (symlink("x", d) == 0) __atomic_fetch_add(&w[2], 1, 5);
		});
		for (int i = 0; i < 4; i++) reap(k[i]);
	}
	SAY("%d %d %d", w[0], w[1], w[2]);
	return 0;
}
