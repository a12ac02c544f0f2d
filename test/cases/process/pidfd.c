// pidfd_open, pidfd_send_signal, pidfd_getfd, CLONE_PIDFD.
#include "../case.h"

int main(void) {
	gate g = mkgate();
	pid_t k = SPAWN({
		hold(g);
		_exit(3);
	});
	int fd = OK(syscall(SYS_pidfd_open, k, 0));
	VAL(fcntl(fd, F_GETFD));
	struct pollfd p = {fd, POLLIN, 0};
	VAL(poll(&p, 1, 0));
	OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	pass(g);
	VAL(poll(&p, 1, 5000));
	YES(p.revents & POLLIN);
	OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	STATUS("child", reap(k));
	OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	OK(syscall(SYS_pidfd_open, k, 0));
	OK(syscall(SYS_pidfd_open, -1, 0));
	OK(syscall(SYS_pidfd_open, 0, 0));
	OK(syscall(SYS_pidfd_open, getpid(), 12345));
	k = SPAWN({
		for (;;) pause();
	});
	fd = syscall(SYS_pidfd_open, k, O_NONBLOCK);
	OK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
	OK(syscall(SYS_pidfd_send_signal, fd, 99, NULL, 0));
	OK(syscall(SYS_pidfd_send_signal, 0, SIGTERM, NULL, 0));
	STATUS("child", reap(k));
	int pp[2];
	pipe(pp);
	write(pp[1], "hi", 2);
	k = SPAWN({
		for (;;) pause();
	});
	fd = syscall(SYS_pidfd_open, k, 0);
	int got = OK(syscall(SYS_pidfd_getfd, fd, pp[0], 0));
	char b[4] = {0};
	VAL(read(got, b, 4));
	SAY("%s", b);
	OK(syscall(SYS_pidfd_getfd, fd, 99, 0));
	OK(syscall(SYS_pidfd_getfd, fd, 0, 1));
	kill(k, 9);
	reap(k);
	VAL(read(fd, b, 1));
	return 0;
}
