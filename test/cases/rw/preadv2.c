// preadv2(2), pwritev2(2) and RWF_ flags.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	char b[8] = {0};
	struct iovec w = {"hello", 5}, r = {b, 8};
	VAL(pwritev(fd, &w, 1, 2));
	VAL(preadv(fd, &r, 1, 3));
	SAY("%s", b);
	VAL(preadv(fd, &r, 1, -1));
	VAL(pwritev2(fd, &w, 1, -1, 0));
	VAL(lseek(fd, 0, SEEK_CUR));
	lseek(fd, 0, SEEK_SET);
	VAL(preadv2(fd, &r, 1, -1, 0));
	VAL(lseek(fd, 0, SEEK_CUR));
	VAL(preadv2(fd, &r, 1, 0, RWF_HIPRI));
	VAL(pwritev2(fd, &w, 1, 0, RWF_DSYNC));
	VAL(pwritev2(fd, &w, 1, 0, RWF_SYNC));
	VAL(pwritev2(fd, &w, 1, 0, RWF_APPEND));
	VAL(preadv2(fd, &r, 1, 0, 0x40000000));
	VAL(lseek(fd, 0, SEEK_END));
	int p[2];
	MUST(pipe(p));
	VAL(preadv2(p[0], &r, 1, 0, 0));
	VAL(preadv2(p[0], &r, 1, -1, RWF_NOWAIT));
	VAL(pwritev2(p[1], &w, 1, -1, RWF_NOWAIT));
	VAL(preadv2(p[0], &r, 1, -1, RWF_NOWAIT));
	return 0;
}
