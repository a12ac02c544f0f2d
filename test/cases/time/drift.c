// Intervals do not drift and vDSO time agrees with the call.
#include "../case.h"

int main(void) {
	struct timespec a, b, c;
	int bad = 0;
	for (int i = 0; i < 2000; i++) {
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &a);
		clock_gettime(CLOCK_MONOTONIC, &b);
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &c);
		long x = a.tv_sec * 1000000000L + a.tv_nsec, y = b.tv_sec * 1000000000L + b.tv_nsec, z = c.tv_sec * 1000000000L + c.tv_nsec;
		bad += y < x || z < y;
	}
	VAL(bad);
	for (int i = 0; i < 2000; i++) {
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &a);
		clock_gettime(CLOCK_REALTIME, &b);
		syscall(SYS_clock_gettime, CLOCK_REALTIME, &c);
		long x = a.tv_sec * 1000000000L + a.tv_nsec, y = b.tv_sec * 1000000000L + b.tv_nsec, z = c.tv_sec * 1000000000L + c.tv_nsec;
		bad += y < x || z < y;
	}
	VAL(bad);
	timer_t t;
	struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	sigprocmask(SIG_BLOCK, &m, NULL);
	timer_create(CLOCK_MONOTONIC, &e, &t);
	struct itimerspec it = {{0, 4000000}, {0, 4000000}};
	long s = nowms();
	timer_settime(t, 0, &it, NULL);
	int n = 0;
	while (n < 50) {
		int g;
		sigwait(&m, &g);
		n += 1 + timer_getoverrun(t);
	}
	long d = nowms() - s;
	YES(d >= 50 * 4 - 1);
	YES(d < 50 * 4 + 150);
	return 0;
}
