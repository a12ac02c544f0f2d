// F_SETLK, F_SETLKW, F_GETLK.
#include "../case.h"
static int lk(int fd, int cmd, int type, off_t start, off_t len) {
	struct flock l = {type, SEEK_SET, start, len, 0};
	int r = fcntl(fd, cmd, &l);
	if (r == 0 && cmd == F_GETLK) SAY("  %s %ld %ld", l.l_type == F_UNLCK ? "free" : l.l_type == F_RDLCK ? "read" : "write", (long)l.l_start, (long)l.l_len);
	return r;
}

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	OK(lk(fd, F_SETLK, F_WRLCK, 0, 10));
	OK(lk(fd, F_SETLK, F_RDLCK, 20, 10));
	OK(lk(fd, F_GETLK, F_WRLCK, 0, 0));
	RUN({
		OK(lk(fd, F_SETLK, F_WRLCK, 5, 1));
		OK(lk(fd, F_SETLK, F_RDLCK, 20, 5));
		OK(lk(fd, F_SETLK, F_WRLCK, 20, 5));
		OK(lk(fd, F_SETLK, F_WRLCK, 10, 10));
		OK(lk(fd, F_GETLK, F_WRLCK, 0, 0));
		OK(lk(fd, F_GETLK, F_RDLCK, 15, 0));
		OK(lk(fd, F_GETLK, F_WRLCK, 25, 1));
	});
	OK(lk(fd, F_SETLK, F_UNLCK, 3, 4));
	RUN({
		OK(lk(fd, F_GETLK, F_WRLCK, 0, 3));
		OK(lk(fd, F_GETLK, F_WRLCK, 3, 4));
		OK(lk(fd, F_GETLK, F_WRLCK, 6, 100));
	});
	OK(lk(fd, F_SETLK, F_WRLCK, 0, 0));
	RUN({
		OK(lk(fd, F_GETLK, F_RDLCK, 1000, 1));
	});
	close(dup(fd));
	RUN({
		SAY("after closing any descriptor");
		OK(lk(fd, F_GETLK, F_WRLCK, 0, 0));
	});
	MUST(lk(fd, F_SETLK, F_WRLCK, 0, 0));
	gate g = mkgate();
	pid_t p = SPAWN({
		pass(g);
		MUST(lk(fd, F_SETLKW, F_WRLCK, 0, 1));
		SAY("child has it");
	});
	hold(g);
	sleeping(p);
	SAY("parent lets go");
	MUST(lk(fd, F_SETLK, F_UNLCK, 0, 0));
	reap(p);
	int r = MUST(open("f", O_RDONLY)), w = MUST(open("f", O_WRONLY));
	OK(lk(r, F_SETLK, F_WRLCK, 0, 1));
	OK(lk(r, F_SETLK, F_RDLCK, 0, 1));
	OK(lk(w, F_SETLK, F_RDLCK, 0, 1));
	OK(lk(fd, F_SETLK, 99, 0, 1));
	OK(lk(fd, F_SETLK, F_RDLCK, -1, 1));
	OK(lk(fd, F_SETLK, F_RDLCK, 10, -5));
	OK(lk(fd, F_SETLK, F_RDLCK, 3, -5));
	OK(lk(-1, F_SETLK, F_RDLCK, 0, 1));
	int pp[2];
	pipe(pp);
	OK(lk(pp[0], F_SETLK, F_RDLCK, 0, 1));
	OK(fcntl(fd, F_SETLK, (void *)1));
	return 0;
}
