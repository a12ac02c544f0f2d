// Large sparse mappings and files.
#include "../case.h"

int main(void) {
	char *m = mmap(0, 4UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	YES(m != MAP_FAILED);
	for (unsigned long i = 0; i < 4UL << 30; i += 256 << 20) m[i] = 1;
	long n = 0;
	for (unsigned long i = 0; i < 4UL << 30; i += 128 << 20) n += m[i];
	VAL(n);
	OK(munmap(m, 4UL << 30));
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	OK(ftruncate(fd, 1L << 40));
	VAL(pwrite(fd, "end", 3, (1L << 40) - 3));
	m = mmap(0, 1L << 32, PROT_READ, MAP_SHARED, fd, (1L << 40) - (1L << 32));
	YES(m != MAP_FAILED);
	SAY("%.3s", m + (1L << 32) - 3);
	m = mmap(0, 1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	YES(m != MAP_FAILED);
	OK(mprotect(m + (1UL << 39), 4096, PROT_READ | PROT_WRITE));
	m[1UL << 39] = 'z';
	SAY("%c", m[1UL << 39]);
	return 0;
}
