// SCM_RIGHTS: passing descriptors.
#include "../case.h"
static int sendfds(int s, int *fds, int n) {
	char b = 'f', c[CMSG_SPACE(sizeof(int) * 300)] = {0};
	struct iovec v = {&b, 1};
	struct msghdr h = {0, 0, &v, 1, c, CMSG_SPACE(n * 4), 0};
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_RIGHTS;
	m->cmsg_len = CMSG_LEN(n * 4);
	memcpy(CMSG_DATA(m), fds, n * 4);
	return sendmsg(s, &h, 0);
}
static int recvfds(int s, int *fds, int room, int fl) {
	char b[8], c[CMSG_SPACE(sizeof(int) * 300)];
	struct iovec v = {b, 8};
	struct msghdr h = {0, 0, &v, 1, c, room, 0};
	ssize_t r = recvmsg(s, &h, fl);
	if (r == -1) {
		SAY("recvmsg %s", ename(errno));
		return -1;
	}
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	int n = m && h.msg_controllen ? (m->cmsg_len - CMSG_LEN(0)) / 4 : 0;
	if (n) memcpy(fds, CMSG_DATA(m), n * 4);
	SAY("received %zd bytes, %d descriptors%s", r, n, h.msg_flags & MSG_CTRUNC ? ", truncated" : "");
	return n;
}

int main(void) {
	int s[2], f[300], g[300];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	f[0] = MUST(open("x", O_RDWR | O_CREAT, 0600));
	f[1] = MUST(open("/dev/null", O_RDONLY));
	MUST(write(f[0], "content", 7));
	OK(sendfds(s[0], f, 2));
	close(f[0]);
	recvfds(s[1], g, CMSG_SPACE(8), 0);
	char b[16] = {0};
	VAL(pread(g[0], b, 16, 0));
	SAY("%s", b);
	VAL(lseek(g[0], 0, SEEK_CUR));
	VAL(fcntl(g[0], F_GETFD));
	f[0] = g[0];
	OK(sendfds(s[0], f, 1));
	recvfds(s[1], g, CMSG_SPACE(4), MSG_CMSG_CLOEXEC);
	VAL(fcntl(g[0], F_GETFD));
	OK(sendfds(s[0], f, 2));
	recvfds(s[1], g, CMSG_SPACE(4) - 4, 0);
	OK(sendfds(s[0], f, 1));
	recvfds(s[1], g, 0, 0);
	f[5] = 999;
	OK(sendfds(s[0], f + 5, 1));
	for (int i = 0; i < 254; i++) f[i] = f[1];
	OK(sendfds(s[0], f, 253));
	OK(sendfds(s[0], f, 254));
	recvfds(s[1], g, CMSG_SPACE(253 * 4), 0);
	close_range(10, 999, 0);
	OK(sendfds(s[0], f + 1, 1));
	VAL(read(s[1], b, 1));
	int t[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, t));
	OK(sendfds(t[0], &t[1], 1));
	close(t[0]);
	close(t[1]);
	pid_t k = SPAWN({
		recvfds(s[1], g, CMSG_SPACE(4), 0);
		VAL(write(g[0], "from child", 10));
	});
	int p[2];
	pipe(p);
	sendfds(s[0], &p[1], 1);
	reap(k);
	close(p[1]);
	memset(b, 0, 16);
	VAL(read(p[0], b, 16));
	SAY("%s", b);
	VAL(read(p[0], b, 16));
	OK(sendfds(s[0], f + 1, 1));
	recvfds(s[1], g, CMSG_SPACE(4), MSG_PEEK);
	recvfds(s[1], g, CMSG_SPACE(4), 0);
	return 0;
}
