// Socket options of unix sockets.
#include "../case.h"

int main(void) {
	int s[2], v;
	socklen_t n;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
#define GET(o) ({ v = -7; n = sizeof v; int r = getsockopt(s[0], SOL_SOCKET, o, &v, &n); if (r) SAY(#o ": %s", ename(errno)); else SAY(#o " = %d (%d bytes)", v, (int)n); })
#define SET(o, x) ({ v = x; int r = setsockopt(s[0], SOL_SOCKET, o, &v, sizeof v); SAY("set " #o ": %s", r ? ename(errno) : "ok"); })
	GET(SO_TYPE);
	GET(SO_DOMAIN);
	GET(SO_PROTOCOL);
	GET(SO_ACCEPTCONN);
	GET(SO_ERROR);
	GET(SO_REUSEADDR);
	GET(SO_KEEPALIVE);
	GET(SO_BROADCAST);
	GET(SO_PASSCRED);
	SET(SO_PASSCRED, 5);
	GET(SO_PASSCRED);
	SET(SO_SNDBUF, 10000);
	GET(SO_SNDBUF);
	SET(SO_SNDBUF, 1);
	GET(SO_SNDBUF);
	SET(SO_RCVBUF, 100000);
	GET(SO_RCVBUF);
	GET(SO_RCVLOWAT);
	SET(SO_REUSEADDR, 1);
	GET(SO_REUSEADDR);
	SET(SO_TYPE, 1);
	GET(999);
	SET(999, 1);
	SET(SO_PRIORITY, 3);
	GET(SO_PRIORITY);
	struct timeval t = {0, 30000};
	OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	n = sizeof t;
	OK(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, &n));
	SAY("%ld %ld", (long)t.tv_sec, (long)t.tv_usec / 10000);
	long a = nowms();
	char b;
	VAL(read(s[0], &b, 1));
	YES(nowms() - a >= 30);
	OK(setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t));
	static char big[1 << 20];
	YES(write(s[0], big, 1 << 20) < 1 << 20);
	VAL(write(s[0], big, 1));
	t.tv_usec = 2000000;
	OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t));
	OK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, 4));
	OK(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &v, 1));
	OK(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, (void *)1, 4));
	OK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, (void *)1));
	n = 2;
	OK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &v, &n));
	VAL(n);
	OK(setsockopt(s[0], 6, 1, &v, 4));
	OK(getsockopt(0, SOL_SOCKET, SO_TYPE, &v, &n));
	struct linger l = {1, 5};
	OK(setsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, sizeof l));
	n = sizeof l;
	OK(getsockopt(s[0], SOL_SOCKET, SO_LINGER, &l, &n));
	SAY("%d %d", l.l_onoff, l.l_linger);
	return 0;
}
