// Connected packets keep their borders.
#include "../case.h"

int main(void) {
	struct sockaddr_un a = {AF_UNIX, "s"};
	int l = OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
	OK(bind(l, (void *)&a, sizeof a));
	OK(listen(l, 5));
	int c = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	VAL(send(c, "x", 1, MSG_NOSIGNAL));
	OK(connect(c, (void *)&a, sizeof a));
	int s = OK(accept(l, NULL, NULL));
	VAL(send(c, "abc", 3, 0));
	VAL(send(c, "defg", 4, 0));
	char b[16];
	VAL(recv(s, b, 2, 0));
	VAL(recv(s, b, 16, 0));
	struct iovec v = {b, 2};
	struct msghdr h = {0, 0, &v, 1};
	send(c, "long", 4, 0);
	VAL(recvmsg(s, &h, 0));
	YES(h.msg_flags & MSG_TRUNC);
	send(c, "eor", 3, MSG_EOR);
	v.iov_len = 16;
	VAL(recvmsg(s, &h, 0));
	YES(h.msg_flags & MSG_EOR);
	int st = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(connect(st, (void *)&a, sizeof a));
	close(c);
	VAL(recv(s, b, 16, 0));
	VAL(send(s, "x", 1, MSG_NOSIGNAL));
	VAL(sendto(s, "x", 1, MSG_NOSIGNAL, (void *)&a, sizeof a));
	return 0;
}
