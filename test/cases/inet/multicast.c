// UDP port sharing, multicast options, large datagrams in order.
#include "../case.h"
#include <netinet/in.h>
#include <arpa/inet.h>

int main(void) {
	int s = socket(AF_INET, SOCK_DGRAM, 0), v = 1;
	unsigned char c = 5;
	socklen_t n;
	OK(setsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &c, 1));
	c = 0;
	n = 1;
	OK(getsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &c, &n));
	SAY("%d", c);
	OK(setsockopt(s, IPPROTO_IP, IP_MULTICAST_LOOP, &v, 4));
	struct ip_mreq m = {{inet_addr("224.0.0.99")}, {htonl(INADDR_LOOPBACK)}};
	OK(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m));
	OK(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m));
	OK(setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof m));
	OK(setsockopt(s, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof m));
	m.imr_multiaddr.s_addr = inet_addr("10.0.0.1");
	OK(setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m));
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
	n = sizeof a;
	MUST(bind(s, (void *)&a, n));
	getsockname(s, (void *)&a, &n);
	int d = socket(AF_INET, SOCK_DGRAM, 0);
	static char b[20000];
	int bad = 0;
	for (int i = 0; i < 50; i++) {
		b[0] = i;
		MUST(sendto(d, b, 1 + i * 300, 0, (void *)&a, sizeof a));
		static char r[20000];
		ssize_t k = recv(s, r, sizeof r, 0);
		bad += k != 1 + i * 300 || r[0] != i;
	}
	VAL(bad);
	OK(setsockopt(s, IPPROTO_IP, IP_RECVERR, &v, 4));
	OK(setsockopt(s, IPPROTO_IP, IP_HDRINCL, &v, 4));
	OK(setsockopt(s, SOL_SOCKET, SO_NO_CHECK, &v, 4));
	OK(setsockopt(d, SOL_SOCKET, SO_RCVBUF, &v, 4));
	return 0;
}
