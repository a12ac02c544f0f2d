// POSIX message queues.
#include "../case.h"
#include <mqueue.h>
#include <signal.h>

int main(void) {
	struct mq_attr a = {0, 3, 64, 0};
	char b[64];
	unsigned p;
	mqd_t q = OK(mq_open("/case-q", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &a));
	OK(mq_open("/case-q", O_RDWR | O_CREAT | O_EXCL, 0600, &a));
	OK(mq_send(q, "low", 3, 1));
	OK(mq_send(q, "high", 4, 9));
	OK(mq_send(q, "mid", 3, 5));
	OK(mq_send(q, "full", 4, 5));
	OK(mq_getattr(q, &a));
	SAY("%ld %ld %ld", a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
	VAL(mq_receive(q, b, 10, &p));
	for (int i = 0; i < 3; i++) {
		ssize_t r = mq_receive(q, b, 64, &p);
		SAY("%.*s %u", (int)r, b, p);
	}
	VAL(mq_receive(q, b, 64, &p));
	OK(mq_send(q, b, 65, 0));
	OK(mq_send(q, b, 1, 40000));
	a.mq_flags = 0;
	OK(mq_setattr(q, &a, NULL));
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += 20000000;
	if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
	VAL(mq_timedreceive(q, b, 64, &p, &t));
	pid_t k = SPAWN({
		ssize_t r = mq_receive(q, b, 64, &p);
		SAY("child %.*s", (int)r, b);
	});
	sleeping(k);
	mq_send(q, "hello", 5, 0);
	reap(k);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 3};
	OK(mq_notify(q, &e));
	OK(mq_notify(q, &e));
	mq_send(q, "n", 1, 0);
	siginfo_t i;
	VAL(sigwaitinfo(&m, &i) == SIGUSR1);
	SAY("code %d value %d", i.si_code, i.si_value.sival_int);
	struct pollfd f = {q, POLLIN | POLLOUT, 0};
	VAL(poll(&f, 1, 0));
	YES(f.revents == (POLLIN | POLLOUT));
	OK(mq_unlink("/case-q"));
	OK(mq_unlink("/case-q"));
	OK(mq_open("/none", O_RDWR));
	OK(syscall(SYS_mq_open, "", O_RDWR));
	OK(mq_open("noslash", O_RDWR | O_CREAT, 0600, NULL));
	OK(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL));
	a.mq_maxmsg = 0;
	OK(mq_open("/x", O_RDWR | O_CREAT, 0600, &a));
	OK(mq_close(q));
	OK(mq_close(q));
	return 0;
}
