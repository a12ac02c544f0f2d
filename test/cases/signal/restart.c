// Which blocked calls restart under SA_RESTART.
#include "../case.h"
static volatile int got;
static void h(int s) {
	got++;
}
static pid_t poke(void) {
	pid_t me = getpid();
	got = 0;
	return SPAWN({
		sleeping(me);
		kill(me, SIGUSR1);
		sleeping(me);
		msleep(20);
		kill(me, SIGUSR2);
	});
}
static void u2(int s) {
	got += 10;
}
#define TRY(name, ...) do { pid_t k = poke(); errno = 0; long r = (__VA_ARGS__); int e = errno; SAY("%s: %s after %d", name, r == -1 ? ename(e) : "done", got); while (got < 10) msleep(1); reap(k); } while (0)

int main(void) {
	struct sigaction sa = {.sa_handler = h, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &sa, NULL);
	sa.sa_handler = u2;
	sa.sa_flags = 0;
	sigaction(SIGUSR2, &sa, NULL);
	int p[2], s[2];
	char b[8];
	pipe(p);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	TRY("read of a pipe", read(p[0], b, 8));
	TRY("read of a socket", read(s[0], b, 8));
	TRY("recv", recv(s[0], b, 8, 0));
	struct timespec t = {5, 0};
	TRY("nanosleep", nanosleep(&t, NULL));
	struct pollfd f = {p[0], POLLIN, 0};
	TRY("poll", poll(&f, 1, 5000));
	TRY("pause", pause());
	TRY("select", ({
		fd_set r;
		FD_ZERO(&r);
		FD_SET(p[0], &r);
		select(p[0] + 1, &r, NULL, NULL, NULL);
	}));
	int ep = epoll_create1(0);
	struct epoll_event ev;
	TRY("epoll_wait", epoll_wait(ep, &ev, 1, -1));
	gate g = mkgate();
	pid_t child = SPAWN({
		hold(g);
	});
	TRY("wait", waitpid(child, NULL, 0));
	MUST(mkfifo("q", 0600));
	TRY("open of a fifo", open("q", O_RDONLY));
	int fd = MUST(open("l", O_CREAT | O_RDWR, 0600));
	gate h1 = mkgate(), h2 = mkgate();
	pid_t lk = SPAWN({
		int o = open("l", O_RDWR);
		flock(o, LOCK_EX);
		struct flock l = {F_WRLCK, SEEK_SET, 0, 0};
		fcntl(o, F_SETLK, &l);
		pass(h1);
		hold(h2);
	});
	hold(h1);
	TRY("flock", flock(fd, LOCK_EX));
	TRY("F_SETLKW", ({
		struct flock l = {F_WRLCK, SEEK_SET, 0, 0};
		fcntl(fd, F_SETLKW, &l);
	}));
	int word = 0;
	TRY("futex wait", syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0));
	struct timeval tv = {10, 0};
	setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	TRY("recv with a timeout", recv(s[0], b, 8, 0));
	static char big[1 << 20];
	TRY("write of a full pipe", ({
		fcntl(p[1], F_SETFL, O_NONBLOCK);
		while (write(p[1], big, 4096) > 0) {
		}
		fcntl(p[1], F_SETFL, 0);
		write(p[1], big, 4096);
	}));
	sigset_t none;
	sigemptyset(&none);
	TRY("sigsuspend", sigsuspend(&none));
	pass(g);
	pass(h2);
	return 0;
}
