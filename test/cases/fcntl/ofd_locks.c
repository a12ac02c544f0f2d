// Open file description locks.
#include "../case.h"
static int lk(int fd, int cmd, int type, off_t start, off_t len) {
	struct flock l = {type, SEEK_SET, start, len, 0};
	int r = fcntl(fd, cmd, &l);
	if (r == 0 && cmd == F_OFD_GETLK) SAY("  %s %ld %ld pid %d", l.l_type == F_UNLCK ? "free" : l.l_type == F_RDLCK ? "read" : "write", (long)l.l_start, (long)l.l_len, l.l_pid);
	return r;
}

int main(void) {
	int a = MUST(open("f", O_RDWR | O_CREAT, 0600)), b = MUST(open("f", O_RDWR));
	OK(lk(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	OK(lk(b, F_OFD_SETLK, F_WRLCK, 0, 10));
	OK(lk(b, F_OFD_SETLK, F_RDLCK, 5, 1));
	OK(lk(b, F_OFD_SETLK, F_RDLCK, 10, 1));
	OK(lk(b, F_OFD_GETLK, F_WRLCK, 0, 0));
	int d = dup(a);
	close(a);
	OK(lk(b, F_OFD_SETLK, F_WRLCK, 0, 10));
	RUN({
		OK(lk(d, F_OFD_SETLK, F_UNLCK, 0, 0));
	});
	OK(lk(b, F_OFD_SETLK, F_WRLCK, 0, 10));
	OK(lk(d, F_SETLK, F_RDLCK, 0, 1));
	close(b);
	OK(lk(d, F_SETLK, F_RDLCK, 0, 1));
	struct flock l = {F_WRLCK, SEEK_SET, 0, 1, 5};
	OK(fcntl(d, F_OFD_SETLK, &l));
	return 0;
}
