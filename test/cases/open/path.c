// O_PATH descriptors refuse data, allow names.
#include "../case.h"

int main(void) {
	MUST(mkfile("f", "data", 0));
	int fd = OK(open("f", O_PATH));
	char b[4];
	VAL(read(fd, b, 4));
	VAL(write(fd, b, 4));
	VAL(lseek(fd, 0, SEEK_SET));
	OK(fchmod(fd, 0600));
	OK(fchown(fd, 0, 0));
	OK(ftruncate(fd, 0));
	OK(ioctl(fd, FIONREAD, b));
	OK(mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	struct stat st;
	struct statfs sf;
	OK(fstat(fd, &st));
	OK(fstatfs(fd, &sf));
	OK(fcntl(fd, F_GETFD));
	OK(fcntl(fd, F_SETFL, 0));
	OK(fcntl(fd, F_DUPFD, 10));
	YES(fcntl(fd, F_GETFL) & O_PATH);
	char p[64];
	snprintf(p, 64, "/proc/self/fd/%d", fd);
	int r = OK(open(p, O_RDONLY));
	VAL(read(r, b, 4));
	OK(fsync(fd));
	OK(flock(fd, LOCK_EX));
	OK(fchdir(fd));
	MUST(mkdir("d", 0755));
	int d = OK(open("d", O_PATH));
	OK(fchdir(d));
	OK(linkat(fd, "", AT_FDCWD, "../hard", AT_EMPTY_PATH));
	struct pollfd pf = {fd, POLLIN, 0};
	VAL(poll(&pf, 1, 0));
	YES(pf.revents & POLLNVAL);
	OK(close(fd));
	return 0;
}
