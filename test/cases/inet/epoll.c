// An epoll server with several clients.
#include "../case.h"
#include <netinet/in.h>

int main(void) {
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	MUST(bind(l, (void *)&a, n));
	MUST(listen(l, 50));
	getsockname(l, (void *)&a, &n);
	pid_t k[8];
	for (int i = 0; i < 8; i++) k[i] = SPAWN({
		int c = socket(AF_INET, SOCK_STREAM, 0);
		MUST(connect(c, (void *)&a, sizeof a));
		char b[64];
		int bad = 0;
		for (int j = 0; j < 50; j++) {
			char m[16];
			int len = snprintf(m, 16, "%d-%d", i, j);
			write(c, m, len + 1);
			ssize_t r = 0;
			while (r < len + 1) {
				ssize_t x = read(c, b + r, 64 - r);
				if (x <= 0) break;
				r += x;
			}
			bad += r != len + 1 || strcmp(m, b);
		}
		_exit(bad);
	});
	int ep = epoll_create1(0);
	struct epoll_event e = {EPOLLIN, {.fd = l}}, ev[16];
	epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
	int gone = 0, seen = 0;
	while (gone < 8) {
		int c = epoll_wait(ep, ev, 16, 5000);
		if (c <= 0) {
			SAY("stuck");
			break;
		}
		for (int i = 0; i < c; i++) if (ev[i].data.fd == l) {
			int s;
			while ((s = accept4(l, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
				e = (struct epoll_event){EPOLLIN | EPOLLET, {.fd = s}};
				epoll_ctl(ep, EPOLL_CTL_ADD, s, &e);
				seen++;
			}
		} else {
			char b[256];
			ssize_t r;
			while ((r = read(ev[i].data.fd, b, 256)) > 0) write(ev[i].data.fd, b, r);
			if (r == 0) close(ev[i].data.fd), gone++;
		}
	}
	SAY("seen %d gone %d", seen, gone);
	for (int i = 0; i < 8; i++) if (reap(k[i])) SAY("client %d failed", i);
	return 0;
}
