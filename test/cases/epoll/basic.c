// Epoll: level, edge, oneshot, errors.
#include "../case.h"
static void w(int ep, int ms) {
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, ms);
	printf("  wait: %d", n);
	if (n == -1) printf(" %s", ename(errno));
	for (int i = 0; i < n; i++) {
		printf(" [%d", (int)e[i].data.u32);
		if (e[i].events & EPOLLIN) printf(" IN");
		if (e[i].events & EPOLLOUT) printf(" OUT");
		if (e[i].events & EPOLLHUP) printf(" HUP");
		if (e[i].events & EPOLLERR) printf(" ERR");
		if (e[i].events & EPOLLRDHUP) printf(" RDHUP");
		printf("]");
	}
	printf("\n");
}
static int ctl(int ep, int op, int fd, unsigned ev, int data) {
	struct epoll_event e = {ev, {.u32 = data}};
	return epoll_ctl(ep, op, fd, &e);
}

int main(void) {
	int ep = OK(epoll_create1(EPOLL_CLOEXEC)), p[2], q[2];
	char b[16];
	MUST(pipe(p));
	MUST(pipe(q));
	w(ep, 0);
	OK(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
	OK(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
	OK(ctl(ep, EPOLL_CTL_MOD, q[0], EPOLLIN, 1));
	OK(ctl(ep, EPOLL_CTL_DEL, q[0], 0, 0));
	w(ep, 0);
	write(p[1], "x", 1);
	w(ep, 0);
	w(ep, 0);
	OK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2));
	w(ep, 0);
	w(ep, 0);
	write(p[1], "y", 1);
	w(ep, 0);
	w(ep, 0);
	read(p[0], b, 16);
	OK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 3));
	w(ep, 0);
	write(p[1], "z", 1);
	w(ep, 0);
	w(ep, 0);
	write(p[1], "z", 1);
	w(ep, 0);
	OK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 4));
	w(ep, 0);
	OK(ctl(ep, EPOLL_CTL_ADD, q[1], EPOLLOUT, 5));
	w(ep, 0);
	close(q[0]);
	w(ep, 0);
	OK(ctl(ep, EPOLL_CTL_DEL, q[1], 0, 0));
	w(ep, 0);
	OK(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN, 6));
	close(p[1]);
	w(ep, 0);
	read(p[0], b, 16);
	w(ep, 0);
	close(p[0]);
	w(ep, 0);
	OK(epoll_create(0));
	OK(epoll_create1(5));
	OK(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 1));
	OK(ctl(ep, EPOLL_CTL_ADD, 99, EPOLLIN, 1));
	OK(ctl(99, EPOLL_CTL_ADD, q[1], EPOLLIN, 1));
	OK(ctl(q[1], EPOLL_CTL_ADD, ep, EPOLLIN, 1));
	OK(ctl(ep, 77, q[1], EPOLLIN, 1));
	OK(ctl(ep, EPOLL_CTL_ADD, MUST(open("f", O_CREAT | O_RDWR, 0600)), EPOLLIN, 1));
	OK(ctl(ep, EPOLL_CTL_ADD, MUST(open(".", O_RDONLY)), EPOLLIN, 1));
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, q[1], (void *)1));
	struct epoll_event e;
	OK(epoll_wait(ep, &e, 0, 0));
	OK(epoll_wait(ep, &e, -1, 0));
	OK(epoll_wait(99, &e, 1, 0));
	OK(epoll_wait(q[1], &e, 1, 0));
	long t = nowms();
	VAL(epoll_wait(ep, &e, 1, 30));
	YES(nowms() - t >= 30);
	OK(epoll_ctl(ep, EPOLL_CTL_DEL, q[1], NULL));
	MUST(pipe(p));
	write(p[1], "x", 1);
	ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1);
	OK(epoll_wait(ep, (void *)1, 1, 0));
	return 0;
}
