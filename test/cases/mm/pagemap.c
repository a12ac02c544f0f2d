// What /proc says about memory use follows what is done.
#include "../case.h"
static long rss(void) {
	FILE *f = fopen("/proc/self/statm", "r");
	long a, b;
	fscanf(f, "%ld %ld", &a, &b);
	fclose(f);
	return b;
}
static long size(void) {
	FILE *f = fopen("/proc/self/statm", "r");
	long a;
	fscanf(f, "%ld", &a);
	fclose(f);
	return a;
}

int main(void) {
	long r0 = rss(), s0 = size();
	char *m = mmap(0, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	YES(size() - s0 >= 8192);
	YES(rss() - r0 < 4096);
	memset(m, 1, 32 << 20);
	YES(rss() - r0 >= 7900);
	madvise(m, 32 << 20, MADV_DONTNEED);
	YES(rss() - r0 < 4096);
	munmap(m, 32 << 20);
	YES(size() - s0 < 4096);
	return 0;
}
