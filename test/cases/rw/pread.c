// pread(2), pwrite(2), O_APPEND with pwrite.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	char b[16] = {0};
	VAL(pwrite(fd, "abcdef", 6, 4));
	VAL(lseek(fd, 0, SEEK_CUR));
	VAL(pread(fd, b, 4, 6));
	SAY("%.4s", b);
	VAL(pread(fd, b, 4, 100));
	VAL(pread(fd, b, 4, -1));
	VAL(pwrite(fd, b, 4, -1));
	VAL(pread(fd, b, 4, LLONG_MAX));
	VAL(pwrite(fd, b, 4, LLONG_MAX));
	int p[2];
	MUST(pipe(p));
	VAL(pread(p[0], b, 1, 0));
	VAL(pwrite(p[1], b, 1, 0));
	int a = MUST(open("f", O_RDWR | O_APPEND));
	VAL(pwrite(a, "Z", 1, 0));
	cat("f");
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	VAL(pread(s, b, 1, 0));
	VAL(pread(open("/dev/zero", O_RDONLY), b, 4, 77));
	VAL(pread(open("/dev/null", O_RDONLY), b, 4, 77));
	return 0;
}
