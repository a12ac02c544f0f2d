// Descriptors are the lowest free; close, dup, dup2, dup3.
#include "../case.h"

int main(void) {
	VAL(open("/dev/null", O_RDONLY));
	VAL(open("/dev/null", O_RDONLY));
	VAL(dup(3));
	OK(close(4));
	VAL(open("/dev/null", O_RDONLY));
	VAL(dup2(3, 10));
	VAL(dup2(3, 3));
	VAL(dup2(99, 3));
	VAL(dup2(3, -1));
	VAL(dup2(3, 5000));
	VAL(dup2(99, 99));
	VAL(dup3(3, 11, O_CLOEXEC));
	VAL(fcntl(11, F_GETFD));
	VAL(fcntl(10, F_GETFD));
	VAL(dup3(3, 3, 0));
	VAL(dup3(3, 12, 1));
	VAL(dup3(3, 12, O_NONBLOCK));
	OK(close(99));
	OK(close(-1));
	OK(close(3));
	OK(close(3));
	VAL(dup(3));
	struct rlimit r = {8, 8};
	OK(setrlimit(RLIMIT_NOFILE, &r));
	while (open("/dev/null", O_RDONLY) != -1) {
	}
	SAY("open at the limit: %s", ename(errno));
	VAL(dup(0));
	VAL(dup2(0, 8));
	VAL(dup2(0, 7));
	VAL(fcntl(0, F_DUPFD, 8));
	VAL(fcntl(0, F_DUPFD, 5));
	int p[2];
	OK(pipe(p));
	OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(eventfd(0, 0));
	OK(epoll_create1(0));
	return 0;
}
