// EDEADLK, EINTR, and locks lost at exit.
#include "../case.h"
static int lk(int fd, int cmd, int type, off_t start) {
	struct flock l = {type, SEEK_SET, start, 1, 0};
	return fcntl(fd, cmd, &l);
}
static void h(int s) {
}

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	gate a = mkgate(), b = mkgate();
	MUST(lk(fd, F_SETLK, F_WRLCK, 0));
	pid_t p = SPAWN({
		MUST(lk(fd, F_SETLK, F_WRLCK, 1));
		pass(a);
		MUST(lk(fd, F_SETLKW, F_WRLCK, 0));
		SAY("child got the first");
	});
	hold(a);
	sleeping(p);
	OK(lk(fd, F_SETLKW, F_WRLCK, 1));
	MUST(lk(fd, F_SETLK, F_UNLCK, 0));
	reap(p);
	OK(lk(fd, F_SETLK, F_WRLCK, 1));
	MUST(lk(fd, F_SETLK, F_WRLCK, 0));
	p = SPAWN({
		struct sigaction sa = {.sa_handler = h};
		sigaction(SIGUSR1, &sa, NULL);
		pass(b);
		OK(lk(fd, F_SETLKW, F_WRLCK, 0));
	});
	hold(b);
	sleeping(p);
	kill(p, SIGUSR1);
	reap(p);
	RUN({
		MUST(lk(fd, F_SETLK, F_WRLCK, 5));
	});
	OK(lk(fd, F_SETLK, F_WRLCK, 5));
	STATUS("over exec", RUN({
		MUST(lk(fd, F_SETLK, F_WRLCK, 9));
		execl("/bin/sh", "sh", "-c", "exit 3", NULL);
	}));
	OK(lk(fd, F_SETLK, F_WRLCK, 9));
	return 0;
}
