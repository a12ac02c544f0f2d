// Pseudo-terminals: names, data both ways, close.
#include "../case.h"
#include <pty.h>

int main(void) {
	int m = OK(posix_openpt(O_RDWR | O_NOCTTY));
	OK(grantpt(m));
	char *n = ptsname(m);
	YES(n && !strncmp(n, "/dev/pts/", 9));
	OK(open(n, O_RDWR | O_NOCTTY));
	OK(unlockpt(m));
	int t = OK(open(n, O_RDWR | O_NOCTTY));
	VAL(isatty(t));
	VAL(isatty(m));
	char b[64] = {0};
	VAL(write(m, "hello\n", 6));
	VAL(read(t, b, 64));
	SAY("%.5s", b);
	VAL(read(m, b, 64));
	SAY("echo: %.5s %d %d", b, b[5], b[6]);
	VAL(write(t, "out\n", 4));
	VAL(read(m, b, 64));
	SAY("%.3s %d %d", b, b[3], b[4]);
	int num = -1;
	OK(ioctl(m, TIOCGPTN, &num));
	struct stat s;
	fstat(t, &s);
	SAY("%s major %d", ftype(s.st_mode), (int)(s.st_rdev >> 8));
	int peer = OK(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY));
	close(peer);
	int lock = 9;
	OK(ioctl(m, TIOCGPTLCK, &lock));
	SAY("%d", lock);
	YES(!strcmp(ttyname(t), n));
	close(t);
	VAL(read(m, b, 1));
	t = OK(open(n, O_RDWR | O_NOCTTY));
	struct pollfd p = {m, POLLIN | POLLOUT, 0};
	VAL(poll(&p, 1, 0));
	YES(p.revents == POLLOUT);
	write(t, "x", 1);
	msleep(30);
	VAL(poll(&p, 1, 0));
	YES(p.revents & POLLIN);
	close(m);
	VAL(read(t, b, 1));
	VAL(write(t, b, 1));
	p.fd = t;
	VAL(poll(&p, 1, 0));
	YES(p.revents & POLLHUP);
	OK(open(n, O_RDWR));
	OK(access(n, F_OK));
	return 0;
}
