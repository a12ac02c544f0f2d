// Offsets beyond 4 GiB, large transfers, file size limits.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	VAL(pwrite(fd, "far", 3, 5L << 30));
	struct stat s;
	fstat(fd, &s);
	SAY("%ld", (long)s.st_size);
	YES(s.st_blocks < 1000);
	char b[8] = {0};
	VAL(pread(fd, b, 8, 5L << 30));
	SAY("%s", b);
	VAL(lseek(fd, 6L << 30, SEEK_SET));
	VAL(write(fd, "x", 1));
	static char big[3 << 20];
	for (int i = 0; i < sizeof big; i++) big[i] = i % 251;
	int g = MUST(open("g", O_RDWR | O_CREAT, 0600));
	VAL(write(g, big, sizeof big));
	static char back[3 << 20];
	VAL(pread(g, back, sizeof back, 0));
	YES(!memcmp(big, back, sizeof big));
	VAL(pread(g, back, 1000, 4095));
	YES(!memcmp(big + 4095, back, 1000));
	VAL(pwrite(fd, "x", 1, LLONG_MAX - 1));
	int o = MUST(open("/dev/zero", O_RDONLY));
	char *m = mmap(0, 3L << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	VAL(write(MUST(open("/dev/null", O_WRONLY)), m, 3L << 30));
	return 0;
}
