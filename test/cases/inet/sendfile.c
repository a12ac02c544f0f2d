// Files to TCP by sendfile and splice; MSG_PEEK across segments.
#include "../case.h"
#include <netinet/in.h>
#include <sys/sendfile.h>

int main(void) {
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	MUST(bind(l, (void *)&a, n));
	MUST(listen(l, 1));
	getsockname(l, (void *)&a, &n);
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	static char b[300000];
	for (int i = 0; i < sizeof b; i++) b[i] = i * 13;
	MUST(write(fd, b, sizeof b));
	pid_t k = SPAWN({
		int s = MUST(accept(l, NULL, NULL));
		static char g[300000];
		size_t t = 0;
		ssize_t r;
		while ((r = read(s, g + t, sizeof g - t)) > 0) t += r;
		SAY("%zu bytes, equal %d", t, !memcmp(g, b, sizeof b));
		MUST(write(s, "splice me", 9));
	});
	int c = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(c, (void *)&a, n));
	off_t o = 0;
	while (o < sizeof b) MUST(sendfile(c, fd, &o, sizeof b - o));
	shutdown(c, SHUT_WR);
	int p[2];
	pipe(p);
	char q[32] = {0};
	VAL(recv(c, q, 6, MSG_PEEK | MSG_WAITALL));
	SAY("%s", q);
	VAL(splice(c, NULL, p[1], NULL, 32, 0));
	VAL(read(p[0], q, 32));
	SAY("%.9s", q);
	reap(k);
	VAL(splice(c, NULL, p[1], NULL, 32, 0));
	return 0;
}
