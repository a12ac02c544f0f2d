// shutdown(2) and half-closed streams.
#include "../case.h"

int main(void) {
	signal(SIGPIPE, SIG_IGN);
	int s[2];
	char b[8];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	write(s[0], "abc", 3);
	OK(shutdown(s[0], SHUT_WR));
	VAL(write(s[0], "x", 1));
	VAL(read(s[1], b, 8));
	VAL(read(s[1], b, 8));
	VAL(write(s[1], "back", 4));
	VAL(read(s[0], b, 8));
	OK(shutdown(s[1], SHUT_RD));
	OK(shutdown(s[1], SHUT_WR));
	VAL(read(s[0], b, 8));
	struct pollfd p = {s[0], POLLIN | POLLOUT | POLLRDHUP, 0};
	VAL(poll(&p, 1, 0));
	SAY("%s%s%s%s", p.revents & POLLIN ? "IN " : "", p.revents & POLLOUT ? "OUT " : "", p.revents & POLLHUP ? "HUP " : "", p.revents & POLLRDHUP ? "RDHUP" : "");
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	write(s[1], "q", 1);
	OK(shutdown(s[0], SHUT_RD));
	VAL(read(s[0], b, 8));
	VAL(read(s[0], b, 8));
	VAL(write(s[1], "x", 1));
	OK(shutdown(s[0], 9));
	OK(shutdown(0, SHUT_RD));
	OK(shutdown(99, SHUT_RD));
	OK(shutdown(socket(AF_UNIX, SOCK_STREAM, 0), SHUT_RD));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pid_t k = SPAWN({
		VAL(read(s[0], b, 8));
	});
	sleeping(k);
	shutdown(s[1], SHUT_WR);
	reap(k);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	write(s[0], "unread", 6);
	close(s[1]);
	VAL(read(s[0], b, 8));
	SAY("%s", ename(errno));
	VAL(read(s[0], b, 8));
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	write(s[1], "data", 4);
	close(s[1]);
	VAL(read(s[0], b, 8));
	VAL(read(s[0], b, 8));
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	OK(shutdown(s[0], SHUT_WR));
	VAL(write(s[0], "x", 1));
	VAL(write(s[1], "x", 1));
	return 0;
}
