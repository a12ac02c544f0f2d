// F_GETFL, F_SETFL, F_GETFD, F_SETFD.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0600));
	int f = fcntl(fd, F_GETFL);
	YES((f & O_ACCMODE) == O_RDWR);
	YES(f & O_APPEND);
	YES(f & O_CREAT);
	YES(f & O_LARGEFILE || f & 0100000);
	OK(fcntl(fd, F_SETFL, O_NONBLOCK));
	f = fcntl(fd, F_GETFL);
	YES(f & O_APPEND);
	YES(f & O_NONBLOCK);
	OK(fcntl(fd, F_SETFL, O_WRONLY | O_TRUNC));
	f = fcntl(fd, F_GETFL);
	YES((f & O_ACCMODE) == O_RDWR);
	VAL(fcntl(fd, F_GETFD));
	OK(fcntl(fd, F_SETFD, FD_CLOEXEC));
	VAL(fcntl(fd, F_GETFD));
	OK(fcntl(fd, F_SETFD, 2));
	VAL(fcntl(fd, F_GETFD));
	int d = dup(fd);
	VAL(fcntl(d, F_GETFD));
	OK(fcntl(d, F_SETFL, O_APPEND));
	YES(fcntl(fd, F_GETFL) & O_APPEND);
	VAL(fcntl(fd, F_DUPFD, 50));
	VAL(fcntl(fd, F_DUPFD_CLOEXEC, 50));
	VAL(fcntl(51, F_GETFD));
	VAL(fcntl(fd, F_DUPFD, -1));
	VAL(fcntl(fd, F_DUPFD, 1 << 20));
	VAL(fcntl(-1, F_GETFD));
	VAL(fcntl(fd, 9999));
	OK(ioctl(fd, FIOCLEX));
	VAL(fcntl(fd, F_GETFD));
	OK(ioctl(fd, FIONCLEX));
	VAL(fcntl(fd, F_GETFD));
	int on = 1;
	OK(ioctl(fd, FIONBIO, &on));
	YES(fcntl(fd, F_GETFL) & O_NONBLOCK);
	int c = MUST(open("f", O_RDONLY | O_CLOEXEC));
	VAL(fcntl(c, F_GETFD));
	YES(fcntl(c, F_GETFL) & O_CLOEXEC);
	return 0;
}
