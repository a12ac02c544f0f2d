// Edge triggering on sockets and pipes in detail.
#include "../case.h"
static void w(int ep) {
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, 0);
	printf("  wait: %d", n);
	for (int i = 0; i < n; i++) {
		printf(" [");
		if (e[i].events & EPOLLIN) printf(" IN");
		if (e[i].events & EPOLLOUT) printf(" OUT");
		if (e[i].events & EPOLLHUP) printf(" HUP");
		if (e[i].events & EPOLLRDHUP) printf(" RDHUP");
		printf(" ]");
	}
	printf("\n");
}

int main(void) {
	int s[2], ep = MUST(epoll_create1(0));
	char b[4096];
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	struct epoll_event e = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = s[0]}};
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e));
	w(ep);
	w(ep);
	SAY("peer writes");
	write(s[1], "abc", 3);
	w(ep);
	w(ep);
	SAY("one byte read, peer writes");
	read(s[0], b, 1);
	w(ep);
	write(s[1], "d", 1);
	w(ep);
	SAY("all read");
	read(s[0], b, 100);
	w(ep);
	SAY("filled");
	while (write(s[0], b, 4096) > 0) {
	}
	w(ep);
	SAY("drained by the peer");
	while (read(s[1], b, 4096) > 0) {
	}
	w(ep);
	w(ep);
	SAY("peer shuts down writing");
	shutdown(s[1], SHUT_WR);
	w(ep);
	w(ep);
	SAY("peer closes");
	close(s[1]);
	w(ep);
	w(ep);
	int p[2];
	MUST(pipe2(p, O_NONBLOCK));
	e = (struct epoll_event){EPOLLIN | EPOLLET, {.fd = p[0]}};
	MUST(epoll_ctl(ep, EPOLL_CTL_DEL, s[0], NULL));
	write(p[1], "x", 1);
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
	w(ep);
	w(ep);
	MUST(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e));
	w(ep);
	write(p[1], "x", 1);
	w(ep);
	write(p[1], "x", 1);
	write(p[1], "x", 1);
	w(ep);
	w(ep);
	int ev = eventfd(0, EFD_NONBLOCK);
	e = (struct epoll_event){EPOLLIN | EPOLLET, {.fd = ev}};
	MUST(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e));
	uint64_t one = 1;
	write(ev, &one, 8);
	w(ep);
	write(ev, &one, 8);
	w(ep);
	w(ep);
	return 0;
}
