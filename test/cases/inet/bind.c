// bind(2): addresses, ports in use, privileges.
#include "../case.h"
#include <netinet/in.h>
#include <arpa/inet.h>
static int b(int s, const char *ip, int port) {
	struct sockaddr_in a = {AF_INET, htons(port), {inet_addr(ip)}};
	return bind(s, (void *)&a, sizeof a);
}

int main(void) {
	int t = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	OK(b(t, "127.0.0.1", 4444));
	OK(b(t, "127.0.0.1", 4445));
	OK(b(u, "127.0.0.1", 4444));
	OK(b(u, "0.0.0.0", 4444));
	OK(b(u, "127.0.0.2", 4444));
	int v = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(v, SOL_SOCKET, SO_REUSEADDR, &on, 4);
	OK(b(v, "127.0.0.1", 4444));
	MUST(listen(t, 1));
	int w = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(w, SOL_SOCKET, SO_REUSEADDR, &on, 4);
	OK(b(w, "127.0.0.1", 4444));
	OK(b(w, "8.8.8.8", 80));
	int x = socket(AF_INET, SOCK_DGRAM, 0);
	OK(b(x, "127.0.0.1", 4444));
	int y = socket(AF_INET, SOCK_DGRAM, 0);
	OK(b(y, "127.0.0.1", 4444));
	int r1 = socket(AF_INET, SOCK_STREAM, 0), r2 = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(r1, SOL_SOCKET, SO_REUSEPORT, &on, 4);
	setsockopt(r2, SOL_SOCKET, SO_REUSEPORT, &on, 4);
	OK(b(r1, "127.0.0.1", 5555));
	OK(b(r2, "127.0.0.1", 5555));
	OK(listen(r1, 1));
	OK(listen(r2, 1));
	struct sockaddr_in a = {AF_INET};
	OK(bind(w, (void *)&a, 4));
	a.sin_family = AF_UNIX;
	OK(bind(w, (void *)&a, sizeof a));
	OK(bind(w, (void *)1, sizeof a));
	OK(bind(0, (void *)&a, sizeof a));
	OK(b(w, "127.0.0.1", 80));
	RUN({
		setresuid(5, 5, 5);
		int q = socket(AF_INET, SOCK_STREAM, 0);
		OK(b(q, "127.0.0.1", 81));
		OK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
		OK(socket(AF_PACKET, SOCK_RAW, 0));
	});
	OK(listen(socket(AF_INET, SOCK_DGRAM, 0), 1));
	int q = socket(AF_INET, SOCK_STREAM, 0);
	OK(listen(q, 1));
	socklen_t n = sizeof a;
	getsockname(q, (void *)&a, &n);
	YES(a.sin_port != 0);
	OK(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	OK(socket(AF_INET, 99, 0));
	OK(socket(77, SOCK_STREAM, 0));
	OK(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	OK(socket(AF_INET, SOCK_SEQPACKET, 0));
	return 0;
}
