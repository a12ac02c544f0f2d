// sigsuspend(2), sigtimedwait(2), sigwaitinfo, pause.
#include "../case.h"
static volatile int got;
static void h(int s) {
	got = s;
}

int main(void) {
	sigset_t m, none;
	sigemptyset(&none);
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigaddset(&m, SIGUSR2);
	sigprocmask(SIG_BLOCK, &m, NULL);
	signal(SIGUSR1, h);
	raise(SIGUSR1);
	OK(sigsuspend(&none));
	SAY("%s", signame(got));
	sigset_t q;
	sigprocmask(SIG_BLOCK, NULL, &q);
	YES(sigismember(&q, SIGUSR1));
	siginfo_t i;
	raise(SIGUSR2);
	VAL(sigwaitinfo(&m, &i) == SIGUSR2);
	YES(i.si_pid == getpid());
	struct timespec t = {0, 20000000};
	long a = nowms();
	VAL(sigtimedwait(&m, &i, &t));
	YES(nowms() - a >= 20);
	t.tv_nsec = -1;
	VAL(sigtimedwait(&m, &i, &t));
	t.tv_nsec = 0;
	VAL(sigtimedwait(&m, &i, &t));
	pid_t k = SPAWN({
		sleeping(getppid());
		sigqueue(getppid(), SIGUSR1, (union sigval){.sival_int = 9});
	});
	VAL(sigwaitinfo(&m, &i) == SIGUSR1);
	SAY("value %d", i.si_value.sival_int);
	reap(k);
	struct sigaction sa = {.sa_handler = h};
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {{0, 0}, {0, 150000}};
	setitimer(ITIMER_REAL, &it, NULL);
	VAL(sigwaitinfo(&m, &i));
	SAY("%s", signame(got));
	int s;
	raise(SIGUSR2);
	RET(sigwait(&m, &s));
	SAY("%s", signame(s));
	it.it_value.tv_usec = 150000;
	setitimer(ITIMER_REAL, &it, NULL);
	OK(pause());
	sigset_t c;
	sigemptyset(&c);
	sigaddset(&c, SIGCHLD);
	sigprocmask(SIG_BLOCK, &c, NULL);
	k = SPAWN({
		_exit(5);
	});
	VAL(sigwaitinfo(&c, &i) == SIGCHLD);
	YES(i.si_code == CLD_EXITED);
	SAY("status %d", i.si_status);
	YES(i.si_pid == k);
	reap(k);
	OK(syscall(SYS_rt_sigtimedwait, &m, NULL, NULL, 4));
	OK(syscall(SYS_rt_sigsuspend, &m, 4));
	return 0;
}
