// signalfd(2): queueing, fields, masks.
#include "../case.h"
#include <sys/signalfd.h>

int main(void) {
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigaddset(&m, SIGUSR2);
	sigaddset(&m, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &m, NULL);
	int fd = OK(signalfd(-1, &m, SFD_NONBLOCK));
	struct signalfd_siginfo s[4];
	VAL(read(fd, s, sizeof s));
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	union sigval v = {.sival_int = 42};
	sigqueue(getpid(), SIGRTMIN, v);
	v.sival_int = 43;
	sigqueue(getpid(), SIGRTMIN, v);
	struct pollfd p = {fd, POLLIN, 0};
	VAL(poll(&p, 1, 0));
	long n = read(fd, s, sizeof s);
	SAY("%ld records", n / (long)sizeof *s);
	for (int i = 0; i < n / sizeof *s; i++) SAY("%s code %s int %d mine %s", signame(s[i].ssi_signo), s[i].ssi_code == SI_USER ? "USER" : s[i].ssi_code == SI_QUEUE ? "QUEUE" : "?", s[i].ssi_int, s[i].ssi_pid == getpid() ? "yes" : "no");
	VAL(read(fd, s, sizeof s));
	VAL(read(fd, s, 10));
	sigset_t u;
	sigemptyset(&u);
	sigaddset(&u, SIGUSR1);
	OK(signalfd(fd, &u, 0));
	raise(SIGUSR2);
	VAL(read(fd, s, sizeof s));
	raise(SIGUSR1);
	VAL(read(fd, s, sizeof s));
	SAY("%s", signame(s[0].ssi_signo));
	OK(signalfd(0, &m, 0));
	OK(signalfd(99, &m, 0));
	OK(signalfd(-1, &m, 3));
	OK(syscall(SYS_signalfd4, -1, &m, 4, 0));
	sigaddset(&m, SIGKILL);
	OK(signalfd(-1, &m, SFD_CLOEXEC));
	int b = signalfd(-1, &m, 0);
	raise(SIGUSR1);
	VAL(read(b, s, sizeof *s));
	sigpending(&u);
	YES(sigismember(&u, SIGUSR1));
	pid_t k = SPAWN({
		sleeping(getppid());
		kill(getppid(), SIGUSR1);
	});
	VAL(read(b, s, sizeof *s));
	VAL(read(b, s, sizeof *s));
	YES(s[0].ssi_pid == k);
	reap(k);
	VAL(write(b, s, 8));
	return 0;
}
