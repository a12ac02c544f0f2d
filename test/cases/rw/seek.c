// lseek(2): whence, bounds, things that cannot seek.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	MUST(write(fd, "12345", 5));
	VAL(lseek(fd, -2, SEEK_CUR));
	VAL(lseek(fd, -6, SEEK_END));
	VAL(lseek(fd, -5, SEEK_END));
	VAL(lseek(fd, 100, SEEK_END));
	VAL(lseek(fd, 0, SEEK_END));
	VAL(lseek(fd, -1, SEEK_SET));
	VAL(lseek(fd, 0, 99));
	VAL(lseek(fd, 0, 5));
	VAL(lseek(fd, 1L << 62, SEEK_SET));
	int p[2];
	MUST(pipe(p));
	VAL(lseek(p[0], 0, SEEK_CUR));
	VAL(lseek(socket(AF_UNIX, SOCK_DGRAM, 0), 0, SEEK_SET));
	VAL(lseek(eventfd(0, 0), 0, SEEK_SET));
	VAL(lseek(epoll_create1(0), 0, SEEK_SET));
	VAL(lseek(-1, 0, SEEK_SET));
	VAL(lseek(open("/dev/null", O_RDWR), 50, SEEK_SET));
	VAL(lseek(open("/dev/zero", O_RDWR), 50, SEEK_SET));
	int d = dup(fd);
	VAL(lseek(fd, 3, SEEK_SET));
	VAL(lseek(d, 0, SEEK_CUR));
	RUN(lseek(fd, 4, SEEK_SET));
	VAL(lseek(fd, 0, SEEK_CUR));
	int other = open("f", O_RDONLY);
	VAL(lseek(other, 0, SEEK_CUR));
	return 0;
}
