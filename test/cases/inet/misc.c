// Out-of-band data, sendmsg, IP_PKTINFO, port zero, unreachable.
#include "../case.h"
#include <netinet/in.h>
#include <arpa/inet.h>

int main(void) {
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	MUST(bind(l, (void *)&a, n));
	MUST(listen(l, 5));
	getsockname(l, (void *)&a, &n);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	MUST(connect(c, (void *)&a, n));
	int s = MUST(accept(l, NULL, NULL));
	struct iovec v[2] = {{"gather", 6}, {"ed", 2}};
	struct msghdr h = {0, 0, v, 2};
	VAL(sendmsg(c, &h, 0));
	char b[32] = {0};
	VAL(recv(s, b, 8, MSG_WAITALL));
	SAY("%s", b);
	VAL(send(c, "more", 4, MSG_MORE));
	VAL(send(c, "!", 1, 0));
	VAL(recv(s, b, 5, MSG_WAITALL));
	int u = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
	a.sin_port = 0;
	MUST(bind(u, (void *)&a, n));
	getsockname(u, (void *)&a, &n);
	OK(setsockopt(u, IPPROTO_IP, IP_PKTINFO, &on, 4));
	int w = socket(AF_INET, SOCK_DGRAM, 0);
	sendto(w, "info", 4, 0, (void *)&a, n);
	char x[256];
	struct iovec rv = {b, 32};
	struct sockaddr_in from;
	struct msghdr r = {&from, sizeof from, &rv, 1, x, sizeof x};
	VAL(recvmsg(u, &r, 0));
	struct cmsghdr *m = CMSG_FIRSTHDR(&r);
	YES(m && m->cmsg_type == IP_PKTINFO);
	SAY("%s %d", inet_ntoa(((struct in_pktinfo *)CMSG_DATA(m))->ipi_addr), ((struct in_pktinfo *)CMSG_DATA(m))->ipi_ifindex);
	OK(setsockopt(u, SOL_SOCKET, SO_TIMESTAMP, &on, 4));
	sendto(w, "time", 4, 0, (void *)&a, n);
	r.msg_controllen = sizeof x;
	recvmsg(u, &r, 0);
	int found = 0;
	for (m = CMSG_FIRSTHDR(&r); m; m = CMSG_NXTHDR(&r, m)) found += m->cmsg_level == SOL_SOCKET && m->cmsg_type == SO_TIMESTAMP;
	SAY("timestamp %d", found);
	a.sin_addr.s_addr = inet_addr("203.0.113.1");
	OK(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, n));
	VAL(sendto(w, "x", 1, 0, (void *)&a, n));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = 0;
	VAL(sendto(w, "x", 1, 0, (void *)&a, n));
	a.sin_addr.s_addr = htonl(INADDR_ANY);
	a.sin_port = htons(1);
	OK(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, n));
	struct sockaddr un = {AF_UNSPEC};
	OK(connect(c, &un, sizeof un));
	VAL(send(c, "x", 1, MSG_NOSIGNAL));
	VAL(lseek(s, 0, SEEK_CUR));
	return 0;
}
