// ioctl(2) on things that do not take it.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600)), n, p[2];
	MUST(write(fd, "hello", 5));
	lseek(fd, 2, SEEK_SET);
	VAL(ioctl(fd, FIONREAD, &n));
	SAY("%d", n);
	OK(ioctl(fd, TCGETS, &n));
	OK(ioctl(fd, TIOCGWINSZ, &n));
	OK(ioctl(-1, FIONREAD, &n));
	OK(ioctl(fd, 0xdeadbeef, &n));
	pipe(p);
	write(p[1], "abc", 3);
	VAL(ioctl(p[0], FIONREAD, &n));
	SAY("%d", n);
	OK(ioctl(p[0], TCGETS, &n));
	OK(ioctl(p[0], FIONREAD, (void *)1));
	int d = MUST(open(".", O_RDONLY));
	OK(ioctl(d, TCGETS, &n));
	OK(ioctl(MUST(open("/dev/null", O_RDWR)), TCGETS, &n));
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	write(s[1], "abcd", 4);
	VAL(ioctl(s[0], FIONREAD, &n));
	SAY("%d", n);
	OK(ioctl(s[0], TCGETS, &n));
	OK(ioctl(eventfd(0, 0), FIONREAD, &n));
	VAL(isatty(fd));
	SAY("%s", ename(errno));
	return 0;
}
