// Epoll inside epoll, loops, depth, dup and close.
#include "../case.h"
static int add(int ep, int fd, unsigned ev) {
	struct epoll_event e = {ev, {.fd = fd}};
	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

int main(void) {
	int a = epoll_create1(0), b = epoll_create1(0), p[2];
	struct epoll_event e;
	MUST(pipe(p));
	OK(add(a, p[0], EPOLLIN));
	OK(add(b, a, EPOLLIN));
	VAL(epoll_wait(b, &e, 1, 0));
	write(p[1], "x", 1);
	VAL(epoll_wait(b, &e, 1, 0));
	YES(e.data.fd == a);
	struct pollfd pf = {b, POLLIN, 0};
	VAL(poll(&pf, 1, 0));
	OK(add(a, b, EPOLLIN));
	int c = epoll_create1(0), d = epoll_create1(0), f = epoll_create1(0), g = epoll_create1(0);
	OK(add(c, b, EPOLLIN));
	OK(add(d, c, EPOLLIN));
	OK(add(f, d, EPOLLIN));
	OK(add(g, f, EPOLLIN));
	char x;
	read(p[0], &x, 1);
	VAL(epoll_wait(b, &e, 1, 0));
	VAL(poll(&pf, 1, 0));
	int q = dup(p[0]);
	close(p[0]);
	write(p[1], "x", 1);
	SAY("closed, but a copy lives");
	VAL(epoll_wait(a, &e, 1, 0));
	OK(epoll_ctl(a, EPOLL_CTL_DEL, p[0], NULL));
	OK(add(a, q, EPOLLIN));
	VAL(epoll_wait(a, &e, 8, 0));
	close(q);
	VAL(epoll_wait(a, &e, 1, 0));
	OK(add(a, q, EPOLLIN));
	int o[2];
	MUST(pipe(o));
	int ee = epoll_create1(0);
	OK(add(ee, o[0], EPOLLIN | EPOLLEXCLUSIVE));
	struct epoll_event m = {EPOLLIN | EPOLLEXCLUSIVE, {0}};
	OK(epoll_ctl(ee, EPOLL_CTL_MOD, o[0], &m));
	OK(add(ee, o[1], EPOLLOUT | EPOLLEXCLUSIVE | EPOLLONESHOT));
	OK(add(ee, a, EPOLLIN | EPOLLEXCLUSIVE));
	pid_t k = SPAWN({
		VAL(epoll_wait(ee, &e, 1, 5000));
	});
	sleeping(k);
	write(o[1], "x", 1);
	reap(k);
	return 0;
}
