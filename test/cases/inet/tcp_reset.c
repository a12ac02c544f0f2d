// SO_LINGER zero, unread data, ECONNRESET, EPIPE.
#include "../case.h"
#include <netinet/in.h>
static int l;
static struct sockaddr_in a;
static void pair(int *c, int *s) {
	*c = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(*c, (void *)&a, sizeof a));
	*s = MUST(accept(l, NULL, NULL));
}

int main(void) {
	signal(SIGPIPE, SIG_IGN);
	socklen_t n = sizeof a;
	a = (struct sockaddr_in){AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	l = socket(AF_INET, SOCK_STREAM, 0);
	MUST(bind(l, (void *)&a, n));
	MUST(listen(l, 5));
	getsockname(l, (void *)&a, &n);
	int c, s;
	char b[8];
	pair(&c, &s);
	struct linger lg = {1, 0};
	OK(setsockopt(c, SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
	close(c);
	msleep(20);
	VAL(read(s, b, 8));
	VAL(read(s, b, 8));
	VAL(write(s, "x", 1));
	pair(&c, &s);
	write(c, "unread", 6);
	msleep(20);
	close(s);
	msleep(20);
	VAL(read(c, b, 8));
	VAL(write(c, "x", 1));
	pair(&c, &s);
	close(s);
	msleep(20);
	VAL(write(c, "x", 1));
	msleep(20);
	VAL(write(c, "x", 1));
	VAL(read(c, b, 8));
	pair(&c, &s);
	pid_t k = SPAWN({
		close(s);
		VAL(read(c, b, 8));
	});
	sleeping(k);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
	close(s);
	reap(k);
	STATUS("SIGPIPE", RUN({
		signal(SIGPIPE, SIG_DFL);
		pair(&c, &s);
		close(s);
		msleep(20);
		write(c, "x", 1);
		msleep(20);
		write(c, "x", 1);
	}));
	return 0;
}
