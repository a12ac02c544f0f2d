// Abstract names, autobind, backlog.
#include "../case.h"
static socklen_t ab(struct sockaddr_un *a, const char *n, int len) {
	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path + 1, n, len);
	return 3 + len;
}

int main(void) {
	struct sockaddr_un a;
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	socklen_t n = ab(&a, "case\0x", 6);
	OK(bind(l, (void *)&a, n));
	OK(bind(c, (void *)&a, n));
	OK(listen(l, 1));
	n = ab(&a, "case", 4);
	OK(connect(c, (void *)&a, n));
	n = ab(&a, "case\0x", 6);
	OK(connect(c, (void *)&a, n));
	int d = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	OK(connect(d, (void *)&a, n));
	int e = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	OK(connect(e, (void *)&a, n));
	int s = OK(accept4(l, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	VAL(fcntl(s, F_GETFD));
	OK(connect(e, (void *)&a, n));
	OK(accept(l, NULL, NULL));
	OK(accept(l, NULL, NULL));
	OK(accept(l, NULL, NULL));
	OK(accept4(l, NULL, NULL, 1));
	close(l);
	OK(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, n));
	int u = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un un = {AF_UNIX};
	OK(bind(u, (void *)&un, 2));
	n = sizeof a;
	OK(getsockname(u, (void *)&a, &n));
	VAL(n);
	YES(a.sun_path[0] == 0);
	return 0;
}
