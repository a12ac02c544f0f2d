// poll(2), ppoll(2) over kinds of files.
#include "../case.h"
static void show(const char *n, struct pollfd *p) {
	printf("%s:", n);
	if (p->revents & POLLIN) printf(" IN");
	if (p->revents & POLLOUT) printf(" OUT");
	if (p->revents & POLLHUP) printf(" HUP");
	if (p->revents & POLLERR) printf(" ERR");
	if (p->revents & POLLNVAL) printf(" NVAL");
	if (p->revents & POLLRDHUP) printf(" RDHUP");
	if (p->revents & POLLRDNORM) printf(" RDNORM");
	if (p->revents & POLLWRNORM) printf(" WRNORM");
	if (p->revents & POLLPRI) printf(" PRI");
	printf("\n");
}
static void one(const char *n, int fd) {
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP | POLLRDNORM | POLLWRNORM, 0};
	VAL(poll(&p, 1, 0));
	show(n, &p);
}
static void h(int s) {
}

int main(void) {
	int p[2], s[2];
	MUST(pipe(p));
	one("empty pipe, read end", p[0]);
	one("empty pipe, write end", p[1]);
	write(p[1], "x", 1);
	one("pipe with data", p[0]);
	close(p[1]);
	one("pipe with data, no writer", p[0]);
	char c;
	read(p[0], &c, 1);
	one("pipe, no writer", p[0]);
	MUST(pipe(p));
	close(p[0]);
	one("pipe, no reader", p[1]);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	one("socket", s[0]);
	shutdown(s[1], SHUT_WR);
	one("peer will not write", s[0]);
	close(s[1]);
	one("peer closed", s[0]);
	one("file", MUST(open("f", O_RDWR | O_CREAT, 0600)));
	one("directory", MUST(open(".", O_RDONLY)));
	one("null", MUST(open("/dev/null", O_RDWR)));
	one("bad", 99);
	one("negative", -1);
	one("eventfd", eventfd(0, 0));
	one("eventfd ready", eventfd(1, 0));
	one("new stream socket", socket(AF_UNIX, SOCK_STREAM, 0));
	VAL(poll(NULL, 0, 0));
	long t = nowms();
	VAL(poll(NULL, 0, 50));
	YES(nowms() - t >= 50);
	MUST(pipe(p));
	struct pollfd q = {p[0], POLLIN, 0};
	t = nowms();
	VAL(poll(&q, 1, 30));
	YES(nowms() - t >= 30);
	pid_t k = SPAWN({
		sleeping(getppid());
		write(p[1], "x", 1);
	});
	VAL(poll(&q, 1, 5000));
	show("woken", &q);
	reap(k);
	VAL(poll(&q, 100000, 0));
	VAL(poll((void *)1, 1, 0));
	read(p[0], &c, 1);
	struct sigaction sa = {.sa_handler = h, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &sa, NULL);
	k = SPAWN({
		sleeping(getppid());
		kill(getppid(), SIGUSR1);
	});
	VAL(poll(&q, 1, 5000));
	reap(k);
	struct timespec ts = {0, 20000000};
	VAL(ppoll(&q, 1, &ts, NULL));
	ts.tv_nsec = -1;
	VAL(ppoll(&q, 1, &ts, NULL));
	sigset_t m, old;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, &old);
	raise(SIGUSR1);
	ts = (struct timespec){5, 0};
	VAL(ppoll(&q, 1, &ts, &old));
	VAL(ppoll(&q, 1, &(struct timespec){0, 1000}, NULL));
	VAL(syscall(SYS_ppoll, &q, 1, NULL, &old, 3));
	return 0;
}
