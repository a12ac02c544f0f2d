// SIGEV_THREAD timers and per-thread CPU clocks.
#include "../case.h"
static int n;
static void f(union sigval v) {
	__atomic_fetch_add(&n, v.sival_int, 5);
}
static clockid_t c;
static gate g, d;
static void *spin(void *a) {
	pthread_getcpuclockid(pthread_self(), &c);
	volatile long x = 0;
	for (long i = 0; i < 30000000; i++) x += i;
	pass(g);
	hold(d);
	return NULL;
}

int main(void) {
	timer_t t;
	struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = f, .sigev_value.sival_int = 3};
	OK(timer_create(CLOCK_MONOTONIC, &e, &t));
	struct itimerspec it = {{0, 0}, {0, 10000000}};
	OK(timer_settime(t, 0, &it, NULL));
	while (!__atomic_load_n(&n, 5)) msleep(2);
	VAL(n);
	g = mkgate(), d = mkgate();
	pthread_t p;
	pthread_create(&p, NULL, spin, NULL);
	hold(g);
	struct timespec a, b;
	OK(clock_gettime(c, &a));
	YES(a.tv_nsec > 1000000 || a.tv_sec > 0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	YES(b.tv_sec * 1000000000L + b.tv_nsec < a.tv_sec * 1000000000L + a.tv_nsec);
	pass(d);
	pthread_join(p, NULL);
	return 0;
}
