// SEEK_DATA and SEEK_HOLE.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	MUST(ftruncate(fd, 1 << 20));
	VAL(lseek(fd, 0, SEEK_DATA));
	VAL(lseek(fd, 0, SEEK_HOLE));
	MUST(pwrite(fd, "x", 1, 512 << 10));
	VAL(lseek(fd, 0, SEEK_DATA));
	VAL(lseek(fd, 0, SEEK_HOLE));
	VAL(lseek(fd, 512 << 10, SEEK_DATA));
	VAL(lseek(fd, 512 << 10, SEEK_HOLE));
	VAL(lseek(fd, (512 << 10) + 5, SEEK_DATA));
	VAL(lseek(fd, (516 << 10), SEEK_DATA));
	VAL(lseek(fd, 1 << 20, SEEK_HOLE));
	VAL(lseek(fd, 1 << 20, SEEK_DATA));
	VAL(lseek(fd, -1, SEEK_DATA));
	MUST(ftruncate(fd, (1 << 20) + 100));
	VAL(lseek(fd, 600 << 10, SEEK_HOLE));
	MUST(pwrite(fd, "y", 1, (1 << 20) + 50));
	VAL(lseek(fd, 600 << 10, SEEK_DATA));
	VAL(lseek(fd, 1 << 20, SEEK_HOLE));
	return 0;
}
