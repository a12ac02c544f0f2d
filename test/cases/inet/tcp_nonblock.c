// Non-blocking connect and accept, poll states, refused.
#include "../case.h"
#include <netinet/in.h>
static void show(int fd) {
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
	poll(&p, 1, 0);
	SAY("  %s%s%s%s%s", p.revents & POLLIN ? "IN " : "", p.revents & POLLOUT ? "OUT " : "", p.revents & POLLHUP ? "HUP " : "", p.revents & POLLERR ? "ERR " : "", p.revents & POLLRDHUP ? "RDHUP" : "");
}

int main(void) {
	signal(SIGPIPE, SIG_IGN);
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	show(l);
	MUST(bind(l, (void *)&a, sizeof a));
	MUST(listen(l, 5));
	show(l);
	getsockname(l, (void *)&a, &n);
	OK(accept(l, NULL, NULL));
	int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	show(c);
	OK(connect(c, (void *)&a, sizeof a));
	struct pollfd p = {c, POLLOUT, 0};
	VAL(poll(&p, 1, 1000));
	show(c);
	int e;
	n = sizeof e;
	OK(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n));
	SAY("error %d", e);
	OK(connect(c, (void *)&a, sizeof a));
	OK(connect(c, (void *)&a, sizeof a));
	msleep(10);
	show(l);
	int s = OK(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	char b[8];
	VAL(read(s, b, 8));
	write(c, "x", 1);
	msleep(20);
	show(s);
	close(c);
	msleep(20);
	show(s);
	VAL(read(s, b, 8));
	VAL(read(s, b, 8));
	close(l);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	OK(connect(c, (void *)&a, sizeof a));
	p.fd = c;
	VAL(poll(&p, 1, 1000));
	show(c);
	n = sizeof e;
	OK(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n));
	SAY("error %s", ename(e));
	OK(getsockopt(c, SOL_SOCKET, SO_ERROR, &e, &n));
	SAY("error %d", e);
	VAL(write(c, "x", 1) == -1);
	return 0;
}
