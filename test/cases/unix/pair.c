// socketpair(2): stream, datagram, seqpacket.
#include "../case.h"

int main(void) {
	char b[64];
	int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
	char *n[] = {"stream", "dgram", "seqpacket"};
	for (int i = 0; i < 3; i++) {
		int s[2];
		SAY("%s", n[i]);
		OK(socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK, 0, s));
		VAL(write(s[0], "abc", 3));
		VAL(write(s[0], "defgh", 5));
		VAL(read(s[1], b, 2));
		VAL(read(s[1], b, 64));
		VAL(read(s[1], b, 64));
		VAL(write(s[0], "", 0));
		VAL(read(s[1], b, 64));
		VAL(send(s[1], "x", 1, 0));
		VAL(recv(s[0], b, 64, MSG_PEEK));
		VAL(recv(s[0], b, 64, 0));
		signal(SIGPIPE, SIG_IGN);
		close(s[1]);
		VAL(read(s[0], b, 64));
		VAL(write(s[0], "x", 1));
		VAL(send(s[0], "x", 1, MSG_NOSIGNAL));
		close(s[0]);
	}
	int s[2];
	OK(socketpair(AF_INET, SOCK_STREAM, 0, s));
	OK(socketpair(AF_UNIX, 99, 0, s));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 99, s));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, (void *)1));
	OK(socketpair(99, SOCK_STREAM, 0, s));
	OK(socket(AF_UNIX, SOCK_STREAM | 0x100, 0));
	OK(socket(AF_UNIX, SOCK_RAW, 0));
	OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	VAL(fcntl(s[0], F_GETFD));
	close(s[1]);
	STATUS("SIGPIPE", RUN({
		signal(SIGPIPE, SIG_DFL);
		write(s[0], "x", 1);
	}));
	return 0;
}
