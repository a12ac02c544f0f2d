// pipe(2): data, end of file, SIGPIPE, sizes.
#include "../case.h"

int main(void) {
	int p[2];
	char b[100];
	OK(pipe(p));
	VAL(write(p[1], "hello", 5));
	VAL(read(p[0], b, 3));
	VAL(read(p[0], b, 100));
	VAL(write(p[0], b, 1));
	VAL(read(p[1], b, 1));
	close(p[1]);
	VAL(read(p[0], b, 1));
	MUST(pipe(p));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	VAL(write(p[1], "x", 1));
	STATUS("default", RUN({
		signal(SIGPIPE, SIG_DFL);
		write(p[1], "x", 1);
	}));
	VAL(write(p[1], "", 0));
	OK(pipe((void *)1));
	OK(pipe2(p, 1 << 20));
	OK(pipe2(p, O_CLOEXEC | O_NONBLOCK));
	VAL(fcntl(p[0], F_GETFD));
	VAL(read(p[0], b, 1));
	VAL(fcntl(p[1], F_GETPIPE_SZ));
	static char big[70000];
	VAL(write(p[1], big, 70000));
	VAL(write(p[1], big, 1));
	int n;
	ioctl(p[0], FIONREAD, &n);
	SAY("%d", n);
	VAL(read(p[0], big, 1));
	VAL(write(p[1], big, 1));
	VAL(read(p[0], big, 4095));
	VAL(write(p[1], big, 5000));
	OK(fcntl(p[1], F_SETPIPE_SZ, 4096));
	while (read(p[0], big, 70000) > 0) {
	}
	VAL(fcntl(p[1], F_SETPIPE_SZ, 5000));
	VAL(fcntl(p[1], F_GETPIPE_SZ));
	VAL(fcntl(p[1], F_SETPIPE_SZ, 1));
	VAL(fcntl(p[1], F_SETPIPE_SZ, 1 << 20));
	OK(fcntl(p[1], F_SETPIPE_SZ, 0x80000001));
	OK(fcntl(open("/dev/null", 2), F_GETPIPE_SZ));
	OK(pipe2(p, O_DIRECT));
	VAL(write(p[1], "one", 3));
	VAL(write(p[1], "two", 3));
	VAL(read(p[0], b, 100));
	VAL(read(p[0], b, 100));
	return 0;
}
