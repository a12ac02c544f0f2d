// Who sees what when ends close, in poll and epoll.
#include "../case.h"
static void st(const char *n, int fd) {
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};
	poll(&p, 1, 0);
	SAY("%s:%s%s%s%s", n, p.revents & POLLIN ? " IN" : "", p.revents & POLLOUT ? " OUT" : "", p.revents & POLLHUP ? " HUP" : "", p.revents & POLLERR ? " ERR" : "");
}

int main(void) {
	MUST(mkfifo("f", 0600));
	int r = MUST(open("f", O_RDONLY | O_NONBLOCK));
	st("no writer yet", r);
	int w = MUST(open("f", O_WRONLY));
	st("writer there", r);
	st("write end", w);
	write(w, "x", 1);
	st("data", r);
	close(w);
	st("writer left", r);
	char b[8];
	read(r, b, 8);
	st("drained", r);
	w = MUST(open("f", O_WRONLY));
	st("writer again", r);
	fcntl(w, F_SETPIPE_SZ, 4096);
	static char big[4096];
	write(w, big, 4096);
	st("full", w);
	read(r, b, 1);
	st("one byte room", w);
	static char more[4096];
	read(r, more, 4095);
	st("empty", w);
	close(r);
	st("reader left", w);
	int p[2];
	pipe(p);
	int ep = epoll_create1(0);
	struct epoll_event e = {EPOLLOUT | EPOLLET, {0}};
	epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &e);
	VAL(epoll_wait(ep, &e, 1, 0));
	VAL(epoll_wait(ep, &e, 1, 0));
	close(p[0]);
	VAL(epoll_wait(ep, &e, 1, 0));
	SAY("%s%s", e.events & EPOLLERR ? "ERR " : "", e.events & EPOLLHUP ? "HUP" : "");
	pid_t k;
	pipe(p);
	k = SPAWN({
		close(p[1]);
		struct pollfd q = {p[0], POLLIN, 0};
		VAL(poll(&q, 1, 5000));
		SAY("%s", q.revents & POLLHUP ? "HUP" : "no");
	});
	sleeping(k);
	close(p[1]);
	reap(k);
	return 0;
}
