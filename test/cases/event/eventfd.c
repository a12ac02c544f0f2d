// eventfd(2).
#include "../case.h"

int main(void) {
	uint64_t v = 3, r;
	int fd = OK(eventfd(2, EFD_NONBLOCK));
	VAL(write(fd, &v, 8));
	VAL(read(fd, &r, 8));
	SAY("%lu", r);
	VAL(read(fd, &r, 8));
	VAL(read(fd, &r, 4));
	VAL(write(fd, &v, 4));
	v = ~0UL;
	VAL(write(fd, &v, 8));
	v = ~0UL - 1;
	VAL(write(fd, &v, 8));
	v = 1;
	VAL(write(fd, &v, 8));
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};
	VAL(poll(&p, 1, 0));
	YES(p.revents == POLLIN);
	VAL(read(fd, &r, 8));
	YES(r == ~0UL - 1);
	v = 0;
	VAL(write(fd, &v, 8));
	VAL(read(fd, &r, 8));
	int s = OK(eventfd(3, EFD_SEMAPHORE | EFD_CLOEXEC));
	VAL(read(s, &r, 8));
	SAY("%lu", r);
	VAL(read(s, &r, 100));
	SAY("%lu", r);
	OK(eventfd(0, 8));
	VAL(fcntl(s, F_GETFD));
	int b = eventfd(0, 0);
	pid_t k = SPAWN({
		VAL(read(b, &r, 8));
		SAY("child %lu", r);
	});
	sleeping(k);
	v = 7;
	write(b, &v, 8);
	reap(k);
	v = ~0UL - 1;
	write(b, &v, 8);
	k = SPAWN({
		v = 5;
		VAL(write(b, &v, 8));
	});
	sleeping(k);
	read(b, &r, 8);
	reap(k);
	VAL(read(b, &r, 8));
	SAY("%lu", r);
	VAL(syscall(SYS_eventfd, 1, 0) > 0);
	VAL(pread(b, &r, 8, 0));
	return 0;
}
