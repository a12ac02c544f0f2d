// SCM_CREDENTIALS, SO_PASSCRED, SO_PEERCRED.
#include "../case.h"
static int sendcred(int s, pid_t p, uid_t u, gid_t g) {
	struct ucred c = {p, u, g};
	char b = 'c', x[CMSG_SPACE(sizeof c)] = {0};
	struct iovec v = {&b, 1};
	struct msghdr h = {0, 0, &v, 1, x, sizeof x, 0};
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	m->cmsg_level = SOL_SOCKET;
	m->cmsg_type = SCM_CREDENTIALS;
	m->cmsg_len = CMSG_LEN(sizeof c);
	memcpy(CMSG_DATA(m), &c, sizeof c);
	return sendmsg(s, &h, 0);
}
static void recvcred(int s, pid_t me) {
	struct ucred c;
	char b[8], x[CMSG_SPACE(sizeof c)];
	struct iovec v = {b, 8};
	struct msghdr h = {0, 0, &v, 1, x, sizeof x, 0};
	ssize_t r = recvmsg(s, &h, 0);
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	if (!m) {
		SAY("%zd bytes, nothing", r);
		return;
	}
	memcpy(&c, CMSG_DATA(m), sizeof c);
	SAY("%zd bytes, pid %s uid %d gid %d", r, c.pid == me ? "sender" : c.pid == 0 ? "0" : "other", c.uid, c.gid);
}

int main(void) {
	int s[2], on = 1;
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	OK(sendcred(s[0], getpid(), 0, 0));
	recvcred(s[1], getpid());
	OK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	MUST(write(s[0], "x", 1));
	recvcred(s[1], getpid());
	OK(sendcred(s[0], getpid(), 7, 8));
	recvcred(s[1], getpid());
	OK(sendcred(s[0], getppid(), 0, 0));
	OK(sendcred(s[0], 999999, 0, 0));
	pid_t k = SPAWN({
		setresgid(20, 20, 20);
		setresuid(10, 10, 10);
		OK(sendcred(s[0], getpid(), 0, 0));
		OK(sendcred(s[0], getpid(), 10, 20));
	});
	reap(k);
	struct pollfd p = {s[1], POLLIN, 0};
	while (poll(&p, 1, 0) == 1) recvcred(s[1], k);
	struct ucred c;
	socklen_t n = sizeof c;
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	OK(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &c, &n));
	YES(c.pid == getpid() && c.uid == 0);
	struct sockaddr_un a = {AF_UNIX, "l"};
	int l = socket(AF_UNIX, SOCK_STREAM, 0);
	MUST(bind(l, (void *)&a, sizeof a));
	MUST(listen(l, 1));
	MUST(chmod("l", 0777));
	MUST(chmod(".", 0755));
	gate g = mkgate();
	k = SPAWN({
		setresgid(40, 40, 40);
		setresuid(30, 30, 30);
		int q = socket(AF_UNIX, SOCK_STREAM, 0);
		MUST(connect(q, (void *)&a, sizeof a));
		n = sizeof c;
		OK(getsockopt(q, SOL_SOCKET, SO_PEERCRED, &c, &n));
		YES(c.uid == 0 && c.pid == getppid());
		hold(g);
	});
	int q = MUST(accept(l, NULL, NULL));
	n = sizeof c;
	msleep(30);
	OK(getsockopt(q, SOL_SOCKET, SO_PEERCRED, &c, &n));
	YES(c.pid == k && c.uid == 30 && c.gid == 40);
	pass(g);
	reap(k);
	int d = socket(AF_UNIX, SOCK_STREAM, 0);
	n = sizeof c;
	OK(getsockopt(d, SOL_SOCKET, SO_PEERCRED, &c, &n));
	SAY("pid %d uid %d", c.pid, c.uid);
	return 0;
}
