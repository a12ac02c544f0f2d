// MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT, sendmmsg, recvmmsg.
#include "../case.h"

int main(void) {
	int s[2];
	char b[64] = {0};
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	VAL(recv(s[0], b, 8, MSG_DONTWAIT));
	write(s[1], "abcdef", 6);
	VAL(recv(s[0], b, 3, MSG_PEEK));
	VAL(recv(s[0], b, 64, MSG_PEEK));
	VAL(recv(s[0], b, 64, MSG_TRUNC));
	pid_t k = SPAWN({
		write(s[1], "12", 2);
		sleeping(getppid());
		write(s[1], "345", 3);
	});
	VAL(recv(s[0], b, 5, MSG_WAITALL));
	reap(k);
	SAY("%.5s", b);
	OK(recv(s[0], b, 1, MSG_OOB));
	OK(recv(s[0], b, 1, MSG_ERRQUEUE | MSG_DONTWAIT));
	int d[2];
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, d));
	struct iovec v[3] = {{"one", 3}, {"three", 5}, {"q", 1}};
	struct mmsghdr m[3];
	memset(m, 0, sizeof m);
	for (int i = 0; i < 3; i++) {
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	VAL(sendmmsg(d[0], m, 3, 0));
	SAY("%u %u %u", m[0].msg_len, m[1].msg_len, m[2].msg_len);
	char r[4][16];
	struct iovec rv[4];
	struct mmsghdr rm[4];
	memset(rm, 0, sizeof rm);
	for (int i = 0; i < 4; i++) {
		rv[i] = (struct iovec){r[i], 16};
		rm[i].msg_hdr.msg_iov = &rv[i];
		rm[i].msg_hdr.msg_iovlen = 1;
	}
	VAL(recvmmsg(d[1], rm, 2, 0, NULL));
	SAY("%u %u", rm[0].msg_len, rm[1].msg_len);
	VAL(recvmmsg(d[1], rm, 4, MSG_WAITFORONE, NULL));
	VAL(recvmmsg(d[1], rm, 4, MSG_DONTWAIT, NULL));
	struct timespec t = {0, 20000000};
	write(d[0], "z", 1);
	VAL(recvmmsg(d[1], rm, 1, 0, &t));
	struct msghdr h = {0};
	h.msg_iov = rv;
	h.msg_iovlen = 2000;
	OK(recvmsg(d[1], &h, MSG_DONTWAIT));
	OK(recvmsg(d[1], (void *)1, MSG_DONTWAIT));
	OK(sendmsg(d[1], &h, 0));
	OK(recv(0, b, 1, 0));
	OK(recv(99, b, 1, 0));
	VAL(send(s[0], b, 0, 0));
	VAL(recv(s[1], b, 4, MSG_DONTWAIT));
	return 0;
}
