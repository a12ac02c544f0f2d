// Datagram sockets: names, connect, boundaries, truncation.
#include "../case.h"
#define A(p) (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, p}, sizeof(struct sockaddr_un)

int main(void) {
	int a = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), b = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	OK(bind(a, A("a")));
	char m[64];
	VAL(sendto(b, "one", 3, 0, A("a")));
	VAL(sendto(b, "second", 6, 0, A("a")));
	struct sockaddr_un f;
	socklen_t n = sizeof f;
	VAL(recvfrom(a, m, 64, 0, (void *)&f, &n));
	VAL(n);
	VAL(recvfrom(a, m, 2, MSG_TRUNC, NULL, NULL));
	VAL(recv(a, m, 64, 0));
	OK(bind(b, A("b")));
	VAL(sendto(b, "x", 1, 0, A("a")));
	n = sizeof f;
	VAL(recvfrom(a, m, 64, 0, (void *)&f, &n));
	SAY("%s", f.sun_path);
	VAL(send(b, "x", 1, 0));
	VAL(sendto(b, "x", 1, 0, A("none")));
	OK(connect(b, A("a")));
	VAL(send(b, "y", 1, 0));
	VAL(recv(a, m, 64, 0));
	OK(connect(a, A("a")));
	int c = socket(AF_UNIX, SOCK_DGRAM, 0);
	VAL(sendto(c, "z", 1, 0, A("a")));
	OK(connect(b, (struct sockaddr *)&(struct sockaddr){AF_UNSPEC}, sizeof(struct sockaddr)));
	VAL(send(b, "x", 1, 0));
	struct msghdr h = {0};
	struct iovec v = {m, 3};
	h.msg_iov = &v;
	h.msg_iovlen = 1;
	int d = socket(AF_UNIX, SOCK_DGRAM, 0);
	MUST(bind(d, A("d")));
	VAL(sendto(c, "truncate", 8, 0, A("d")));
	VAL(recvmsg(d, &h, 0));
	YES(h.msg_flags & MSG_TRUNC);
	int fill = 0;
	fcntl(c, F_SETFL, O_NONBLOCK);
	while (sendto(c, "x", 1, 0, A("d")) == 1) fill++;
	SAY("%s", ename(errno));
	YES(fill >= 5);
	static char big[1 << 20];
	VAL(sendto(c, big, 1 << 20, 0, A("b")));
	close(d);
	VAL(sendto(c, "x", 1, 0, A("d")));
	VAL(sendto(c, "", 0, 0, A("b")));
	VAL(recv(b, m, 64, 0));
	return 0;
}
