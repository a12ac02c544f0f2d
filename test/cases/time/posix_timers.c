// timer_create(2): signals, threads, overrun, errors.
#include "../case.h"
static volatile int n, val, over;
static timer_t T;
static void h(int s, siginfo_t *i, void *u) {
	n++;
	val = i->si_value.sival_int;
	if (i->si_code != SI_TIMER) SAY("wrong code");
	over += timer_getoverrun(T);
}

int main(void) {
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &sa, NULL);
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 33};
	OK(timer_create(CLOCK_MONOTONIC, &e, &T));
	struct itimerspec t = {{0, 0}, {0, 200000000}}, o;
	OK(timer_settime(T, 0, &t, NULL));
	OK(timer_gettime(T, &o));
	YES(o.it_value.tv_nsec > 0 && o.it_value.tv_nsec <= 200000000);
	while (!n) msleep(1);
	SAY("n %d value %d", n, val);
	OK(timer_gettime(T, &o));
	YES(o.it_value.tv_nsec == 0);
	t.it_value.tv_nsec = 20000000;
	t.it_interval.tv_nsec = 5000000;
	n = over = 0;
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	OK(timer_settime(T, 0, &t, NULL));
	msleep(80);
	sigprocmask(SIG_UNBLOCK, &m, NULL);
	while (!n) msleep(1);
	YES(n + over >= 10);
	t = (struct itimerspec){{0, 0}, {0, 0}};
	OK(timer_settime(T, 0, &t, &o));
	YES(o.it_interval.tv_nsec == 5000000);
	OK(timer_delete(T));
	OK(timer_delete(T));
	OK(timer_gettime(T, &o));
	OK(timer_settime((timer_t)99, 0, &t, NULL));
	OK(timer_create(99, &e, &T));
	e.sigev_signo = 99;
	OK(timer_create(CLOCK_REALTIME, &e, &T));
	e.sigev_signo = SIGUSR1;
	e.sigev_notify = 77;
	OK(timer_create(CLOCK_REALTIME, &e, &T));
	e.sigev_notify = SIGEV_NONE;
	OK(timer_create(CLOCK_REALTIME, &e, &T));
	t.it_value.tv_sec = 100;
	OK(timer_settime(T, 0, &t, NULL));
	OK(timer_gettime(T, &o));
	YES(o.it_value.tv_sec == 99 || o.it_value.tv_sec == 100);
	t.it_value.tv_nsec = -1;
	OK(timer_settime(T, 0, &t, NULL));
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	t.it_value = now;
	e.sigev_notify = SIGEV_SIGNAL;
	OK(timer_create(CLOCK_REALTIME, &e, &T));
	n = 0;
	OK(timer_settime(T, TIMER_ABSTIME, &t, NULL));
	while (!n) msleep(1);
	SAY("n %d", n);
	OK(timer_create(CLOCK_PROCESS_CPUTIME_ID, &e, &T));
	t.it_value = (struct timespec){0, 10000000};
	n = 0;
	OK(timer_settime(T, 0, &t, NULL));
	while (!n) {
	}
	SAY("cpu timer fired");
	e.sigev_notify = SIGEV_THREAD_ID;
	e._sigev_un._tid = getpid();
	OK(timer_create(CLOCK_MONOTONIC, &e, &T));
	e._sigev_un._tid = 1;
	OK(timer_create(CLOCK_MONOTONIC, &e, &T));
	RUN({
		OK(timer_gettime(T, &o));
	});
	return 0;
}
