// IPv6 loopback, v4-mapped addresses, V6ONLY.
#include "../case.h"
#include <netinet/in.h>
#include <arpa/inet.h>

int main(void) {
	struct sockaddr_in6 a = {AF_INET6, 0, 0, IN6ADDR_ANY_INIT}, p;
	socklen_t n = sizeof a;
	int l = OK(socket(AF_INET6, SOCK_STREAM, 0)), v;
	n = 4;
	OK(getsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &v, &n));
	SAY("%d", v);
	OK(bind(l, (void *)&a, sizeof a));
	OK(listen(l, 5));
	n = sizeof a;
	getsockname(l, (void *)&a, &n);
	char t[64];
	int c = socket(AF_INET6, SOCK_STREAM, 0);
	a.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
	OK(connect(c, (void *)&a, sizeof a));
	n = sizeof p;
	int s = OK(accept(l, (void *)&p, &n));
	SAY("%s", inet_ntop(AF_INET6, &p.sin6_addr, t, 64));
	struct sockaddr_in f = {AF_INET, a.sin6_port, {htonl(INADDR_LOOPBACK)}};
	c = socket(AF_INET, SOCK_STREAM, 0);
	OK(connect(c, (void *)&f, sizeof f));
	n = sizeof p;
	s = OK(accept(l, (void *)&p, &n));
	SAY("%s", inet_ntop(AF_INET6, &p.sin6_addr, t, 64));
	VAL(write(c, "v4", 2));
	VAL(read(s, t, 10));
	c = socket(AF_INET6, SOCK_STREAM, 0);
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &a.sin6_addr);
	OK(connect(c, (void *)&a, sizeof a));
	n = sizeof p;
	getsockname(c, (void *)&p, &n);
	SAY("%s", inet_ntop(AF_INET6, &p.sin6_addr, t, 64));
	int o = socket(AF_INET6, SOCK_STREAM, 0), on = 1;
	OK(setsockopt(o, IPPROTO_IPV6, IPV6_V6ONLY, &on, 4));
	struct sockaddr_in6 x = {AF_INET6, 0, 0, IN6ADDR_ANY_INIT};
	MUST(bind(o, (void *)&x, sizeof x));
	MUST(listen(o, 1));
	n = sizeof x;
	getsockname(o, (void *)&x, &n);
	f.sin_port = x.sin6_port;
	OK(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&f, sizeof f));
	OK(setsockopt(o, IPPROTO_IPV6, IPV6_V6ONLY, &v, 4));
	int u = socket(AF_INET6, SOCK_DGRAM, 0), w = socket(AF_INET6, SOCK_DGRAM, 0);
	x = (struct sockaddr_in6){AF_INET6, 0, 0, IN6ADDR_LOOPBACK_INIT};
	MUST(bind(u, (void *)&x, sizeof x));
	n = sizeof x;
	getsockname(u, (void *)&x, &n);
	VAL(sendto(w, "six", 3, 0, (void *)&x, sizeof x));
	VAL(recv(u, t, 10, 0));
	OK(bind(w, (void *)&f, sizeof f));
	inet_pton(AF_INET6, "2001:db8::1", &x.sin6_addr);
	OK(bind(socket(AF_INET6, SOCK_DGRAM, 0), (void *)&x, sizeof x));
	return 0;
}
