// read(2), write(2) and their edge cases.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	char b[64] = {0};
	VAL(write(fd, "0123456789", 10));
	VAL(read(fd, b, 4));
	VAL(lseek(fd, 3, SEEK_SET));
	VAL(read(fd, b, 4));
	SAY("%s", b);
	VAL(read(fd, b, 0));
	VAL(write(fd, b, 0));
	VAL(read(fd, b, 64));
	VAL(read(fd, b, 64));
	VAL(lseek(fd, 20, SEEK_SET));
	VAL(read(fd, b, 4));
	VAL(write(fd, "x", 1));
	VAL(read(-1, b, 1));
	VAL(write(-1, b, 1));
	VAL(read(fd, (void *)1, 0));
	lseek(fd, 0, SEEK_SET);
	VAL(read(fd, (void *)1, 4));
	VAL(write(fd, (void *)1, 4));
	VAL(lseek(fd, 0, SEEK_CUR));
	int d = MUST(open(".", O_RDONLY));
	VAL(read(d, b, 10));
	VAL(write(d, b, 10));
	VAL(read(fd, b, -1));
	VAL(lseek(fd, 0, SEEK_END));
	cat("f");
	char *m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(m + 4096, 4096);
	VAL(pread(fd, m + 4090, 10, 0));
	VAL(pwrite(fd, m + 4090, 10, 0));
	VAL(lseek(fd, 0, SEEK_CUR));
	return 0;
}
