// readv(2), writev(2): gathering, limits, errors.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	char a[4] = {0}, b[8] = {0};
	struct iovec w[3] = {{"one", 3}, {"", 0}, {"three", 5}};
	VAL(writev(fd, w, 3));
	lseek(fd, 0, SEEK_SET);
	struct iovec r[2] = {{a, 3}, {b, 8}};
	VAL(readv(fd, r, 2));
	SAY("%s|%s", a, b);
	VAL(readv(fd, r, 2));
	VAL(readv(fd, r, 0));
	VAL(readv(fd, r, -1));
	VAL(readv(fd, r, 1025));
	VAL(readv(fd, (void *)8, 1));
	struct iovec big[2] = {{a, SSIZE_MAX}, {b, 1}};
	lseek(fd, 0, SEEK_SET);
	VAL(writev(fd, big, 2));
	struct iovec neg[1] = {{a, -1}};
	VAL(readv(fd, neg, 1));
	struct iovec half[2] = {{"ok", 2}, {(void *)16, 4}};
	VAL(writev(fd, half, 2));
	struct iovec rh[2] = {{a, 2}, {(void *)16, 4}};
	lseek(fd, 0, SEEK_SET);
	VAL(readv(fd, rh, 2));
	VAL(readv(-1, r, 2));
	cat("f");
	struct iovec many[1024];
	for (int i = 0; i < 1024; i++) many[i] = (struct iovec){"y", 1};
	VAL(writev(fd, many, 1024));
	return 0;
}
