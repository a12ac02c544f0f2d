// Socket options of TCP.
#include "../case.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
static int s, v;
static socklen_t n;
#define GET(l, o) ({ v = -7; n = sizeof v; int r = getsockopt(s, l, o, &v, &n); if (r) SAY(#o ": %s", ename(errno)); else SAY(#o " = %d", v); })
#define SET(l, o, x) ({ v = x; int r = setsockopt(s, l, o, &v, sizeof v); SAY("set " #o " %d: %s", x, r ? ename(errno) : "ok"); })

int main(void) {
	s = socket(AF_INET, SOCK_STREAM, 0);
	GET(SOL_SOCKET, SO_TYPE);
	GET(SOL_SOCKET, SO_DOMAIN);
	GET(SOL_SOCKET, SO_PROTOCOL);
	GET(SOL_SOCKET, SO_REUSEADDR);
	SET(SOL_SOCKET, SO_REUSEADDR, 1);
	GET(SOL_SOCKET, SO_REUSEADDR);
	SET(SOL_SOCKET, SO_REUSEPORT, 1);
	GET(SOL_SOCKET, SO_REUSEPORT);
	SET(SOL_SOCKET, SO_KEEPALIVE, 1);
	GET(SOL_SOCKET, SO_KEEPALIVE);
	GET(SOL_SOCKET, SO_ACCEPTCONN);
	GET(IPPROTO_TCP, TCP_NODELAY);
	SET(IPPROTO_TCP, TCP_NODELAY, 1);
	GET(IPPROTO_TCP, TCP_NODELAY);
	SET(IPPROTO_TCP, TCP_KEEPIDLE, 30);
	GET(IPPROTO_TCP, TCP_KEEPIDLE);
	SET(IPPROTO_TCP, TCP_KEEPIDLE, 0);
	SET(IPPROTO_TCP, TCP_KEEPINTVL, 5);
	GET(IPPROTO_TCP, TCP_KEEPINTVL);
	SET(IPPROTO_TCP, TCP_KEEPCNT, 4);
	GET(IPPROTO_TCP, TCP_KEEPCNT);
	SET(IPPROTO_TCP, TCP_CORK, 1);
	GET(IPPROTO_TCP, TCP_CORK);
	SET(IPPROTO_TCP, TCP_USER_TIMEOUT, 1000);
	GET(IPPROTO_TCP, TCP_USER_TIMEOUT);
	SET(IPPROTO_TCP, TCP_QUICKACK, 1);
	GET(IPPROTO_TCP, TCP_DEFER_ACCEPT);
	SET(IPPROTO_TCP, TCP_SYNCNT, 3);
	GET(IPPROTO_TCP, TCP_SYNCNT);
	SET(IPPROTO_TCP, 9999, 1);
	GET(IPPROTO_TCP, 9999);
	SET(IPPROTO_IP, IP_TTL, 33);
	GET(IPPROTO_IP, IP_TTL);
	SET(IPPROTO_IP, IP_TTL, 300);
	SET(IPPROTO_IP, IP_TOS, 16);
	GET(IPPROTO_IP, IP_TOS);
	GET(IPPROTO_IP, IP_MTU_DISCOVER);
	SET(IPPROTO_IPV6, IPV6_V6ONLY, 1);
	SET(SOL_SOCKET, SO_RCVLOWAT, 4);
	GET(SOL_SOCKET, SO_RCVLOWAT);
	SET(SOL_SOCKET, SO_OOBINLINE, 1);
	GET(SOL_SOCKET, SO_OOBINLINE);
	SET(SOL_SOCKET, SO_BROADCAST, 1);
	GET(SOL_SOCKET, SO_BROADCAST);
	SET(SOL_SOCKET, SO_RCVBUF, 50000);
	GET(SOL_SOCKET, SO_RCVBUF);
	struct tcp_info ti;
	n = sizeof ti;
	OK(getsockopt(s, IPPROTO_TCP, TCP_INFO, &ti, &n));
	SAY("state %d", ti.tcpi_state);
	char cc[16] = {0};
	n = sizeof cc;
	OK(getsockopt(s, IPPROTO_TCP, TCP_CONGESTION, cc, &n));
	YES(cc[0] != 0);
	OK(setsockopt(s, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8));
	OK(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "none", 4));
	OK(setsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2));
	char dev[16] = {0};
	n = 16;
	OK(getsockopt(s, SOL_SOCKET, SO_BINDTODEVICE, dev, &n));
	SAY("%s", dev);
	return 0;
}
