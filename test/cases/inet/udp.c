// UDP: datagrams, connect, errors, peek, truncation.
#include "../case.h"
#include <netinet/in.h>
#include <arpa/inet.h>

int main(void) {
	struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}}, p;
	socklen_t n = sizeof a;
	int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
	MUST(bind(s, (void *)&a, sizeof a));
	getsockname(s, (void *)&a, &n);
	VAL(sendto(c, "hello", 5, 0, (void *)&a, sizeof a));
	char b[64] = {0};
	n = sizeof p;
	VAL(recvfrom(s, b, 64, 0, (void *)&p, &n));
	SAY("%s from %s", b, inet_ntoa(p.sin_addr));
	VAL(sendto(s, "reply", 5, 0, (void *)&p, sizeof p));
	VAL(recv(c, b, 2, MSG_TRUNC));
	VAL(recv(c, b, 2, MSG_DONTWAIT));
	VAL(send(c, "x", 1, 0));
	OK(connect(c, (void *)&a, sizeof a));
	VAL(send(c, "x", 1, 0));
	VAL(send(c, "", 0, 0));
	VAL(recv(s, b, 64, MSG_PEEK));
	VAL(recv(s, b, 64, 0));
	VAL(recv(s, b, 64, 0));
	int i;
	VAL(ioctl(s, FIONREAD, &i));
	SAY("%d", i);
	send(c, "abc", 3, 0);
	send(c, "defgh", 5, 0);
	VAL(ioctl(s, FIONREAD, &i));
	SAY("%d", i);
	int o = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in ca;
	n = sizeof ca;
	getsockname(c, (void *)&ca, &n);
	sendto(o, "stranger", 8, 0, (void *)&ca, sizeof ca);
	msleep(10);
	VAL(recv(c, b, 64, MSG_DONTWAIT));
	close(s);
	VAL(send(c, "x", 1, 0));
	msleep(10);
	VAL(send(c, "x", 1, 0));
	msleep(10);
	VAL(recv(c, b, 64, MSG_DONTWAIT));
	VAL(recv(c, b, 64, MSG_DONTWAIT));
	struct sockaddr un = {AF_UNSPEC};
	OK(connect(c, &un, sizeof un));
	VAL(send(c, "x", 1, 0));
	static char big[70000];
	VAL(sendto(c, big, 65508, 0, (void *)&a, sizeof a));
	VAL(sendto(c, big, 65507, 0, (void *)&a, sizeof a));
	VAL(sendto(c, "x", 1, 0, (void *)&a, 4));
	a.sin_addr.s_addr = inet_addr("255.255.255.255");
	VAL(sendto(c, "x", 1, 0, (void *)&a, sizeof a));
	OK(shutdown(o, SHUT_RD));
	OK(getpeername(o, (void *)&p, &n));
	OK(accept(o, NULL, NULL));
	VAL(read(c, (void *)1, 0));
	return 0;
}
