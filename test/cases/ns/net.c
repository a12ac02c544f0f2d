// A new network namespace is empty and separate.
#include "../case.h"
#include <netinet/in.h>
#include <net/if.h>

int main(void) {
	struct sockaddr_in a = {AF_INET, htons(7777), {htonl(INADDR_LOOPBACK)}};
	int l = socket(AF_INET, SOCK_STREAM, 0);
	MUST(bind(l, (void *)&a, sizeof a));
	MUST(listen(l, 1));
	RUN({
		OK(unshare(CLONE_NEWNET));
		int s = socket(AF_INET, SOCK_STREAM, 0);
		OK(connect(s, (void *)&a, sizeof a));
		struct ifreq r;
		memset(&r, 0, sizeof r);
		strcpy(r.ifr_name, "lo");
		OK(ioctl(s, SIOCGIFFLAGS, &r));
		YES(r.ifr_flags & IFF_UP);
		r.ifr_flags |= IFF_UP;
		OK(ioctl(s, SIOCSIFFLAGS, &r));
		s = socket(AF_INET, SOCK_STREAM, 0);
		OK(connect(s, (void *)&a, sizeof a));
		int m = socket(AF_INET, SOCK_STREAM, 0);
		OK(bind(m, (void *)&a, sizeof a));
		OK(listen(m, 1));
		OK(connect(s, (void *)&a, sizeof a));
	});
	OK(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof a));
	struct sockaddr_un u = {AF_UNIX, "\0case-ns"};
	int x = socket(AF_UNIX, SOCK_STREAM, 0);
	MUST(bind(x, (void *)&u, 10));
	MUST(listen(x, 1));
	RUN({
		unshare(CLONE_NEWNET);
		OK(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&u, 10));
	});
	return 0;
}
