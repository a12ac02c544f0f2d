// A TCP connection over the loopback.
#include "../case.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>

int main(void) {
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}}, p;
	socklen_t n = sizeof a;
	int l = OK(socket(AF_INET, SOCK_STREAM, 0));
	OK(bind(l, (void *)&a, sizeof a));
	OK(listen(l, 5));
	OK(getsockname(l, (void *)&a, &n));
	YES(ntohs(a.sin_port) > 1023);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	OK(getpeername(c, (void *)&p, &n));
	OK(connect(c, (void *)&a, sizeof a));
	n = sizeof p;
	int s = OK(accept(l, (void *)&p, &n));
	SAY("%s %d", inet_ntoa(p.sin_addr), (int)n);
	struct sockaddr_in q;
	n = sizeof q;
	OK(getsockname(c, (void *)&q, &n));
	YES(q.sin_port == p.sin_port);
	OK(getpeername(c, (void *)&q, &n));
	YES(q.sin_port == a.sin_port);
	char b[100] = {0};
	VAL(write(c, "hello", 5));
	VAL(read(s, b, 100));
	SAY("%s", b);
	VAL(write(s, "world", 5));
	VAL(recv(c, b, 2, MSG_PEEK));
	VAL(recv(c, b, 100, 0));
	OK(connect(c, (void *)&a, sizeof a));
	OK(shutdown(c, SHUT_WR));
	VAL(read(s, b, 100));
	VAL(write(s, "after", 5));
	VAL(read(c, b, 100));
	close(s);
	VAL(read(c, b, 100));
	signal(SIGPIPE, SIG_IGN);
	VAL(write(c, "x", 1));
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	close(l);
	OK(connect(c, (void *)&a, sizeof a));
	pid_t k;
	l = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_port = 0;
	MUST(bind(l, (void *)&a, sizeof a));
	MUST(listen(l, 5));
	n = sizeof a;
	getsockname(l, (void *)&a, &n);
	k = SPAWN({
		int x = MUST(accept(l, NULL, NULL));
		static char big[1 << 20];
		size_t t = 0;
		ssize_t r;
		while ((r = read(x, big, sizeof big)) > 0) t += r;
		SAY("server read %zu", t);
		MUST(write(x, "done", 4));
	});
	c = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(c, (void *)&a, sizeof a));
	static char big[1 << 20];
	size_t t = 0;
	for (int i = 0; i < 20; i++) for (size_t o = 0; o < sizeof big;) {
		ssize_t r = MUST(write(c, big + o, sizeof big - o));
		o += r;
		t += r;
	}
	shutdown(c, SHUT_WR);
	VAL(read(c, b, 100));
	reap(k);
	SAY("client wrote %zu", t);
	return 0;
}
