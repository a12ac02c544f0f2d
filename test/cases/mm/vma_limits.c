// Many mappings, splits and merges.
#include "../case.h"

int main(void) {
	char *m = mmap(0, 2000 * 4096L, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 2000; i++) m[i * 4096L] = i;
	for (int i = 0; i < 2000; i += 2) MUST(mprotect(m + i * 4096L, 4096, PROT_READ));
	long bad = 0;
	for (int i = 0; i < 2000; i++) bad += m[i * 4096L] != (char)i;
	VAL(bad);
	for (int i = 1; i < 2000; i += 2) m[i * 4096L]++;
	for (int i = 0; i < 2000; i += 2) MUST(mprotect(m + i * 4096L, 4096, PROT_READ | PROT_WRITE));
	FILE *f = fopen("/proc/self/maps", "r");
	char b[512];
	int lines = 0;
	while (fgets(b, 512, f)) lines++;
	YES(lines < 60);
	for (int i = 0; i < 2000; i += 3) MUST(munmap(m + i * 4096L, 4096));
	for (int i = 1; i < 2000; i += 3) m[i * 4096L] = 5;
	STATUS("hole", RUN({
		m[3 * 4096L] = 1;
	}));
	pid_t k = SPAWN({
		long s = 0;
		for (int i = 1; i < 2000; i += 3) s += m[i * 4096L];
		_exit(s == 5 * 667 ? 0 : 1);
	});
	STATUS("child", reap(k));
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	ftruncate(fd, 64 * 4096);
	char *x[64];
	for (int i = 0; i < 64; i++) {
		x[i] = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, i * 4096L);
		x[i][0] = i;
	}
	char *all = mmap(0, 64 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	bad = 0;
	for (int i = 0; i < 64; i++) bad += all[i * 4096] != i;
	VAL(bad);
	return 0;
}
