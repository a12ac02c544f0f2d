// getrusage, times.
#include "../case.h"
#include <sys/times.h>
static long us(struct timeval t) {
	return t.tv_sec * 1000000 + t.tv_usec;
}

int main(void) {
	struct rusage u, v;
	OK(getrusage(RUSAGE_SELF, &u));
	YES(u.ru_maxrss > 0);
	volatile long x = 0;
	for (long i = 0; i < 50000000; i++) x += i;
	OK(getrusage(RUSAGE_SELF, &v));
	YES(us(v.ru_utime) - us(u.ru_utime) > 5000);
	OK(getrusage(RUSAGE_THREAD, &v));
	YES(us(v.ru_utime) > 5000);
	OK(getrusage(RUSAGE_CHILDREN, &v));
	SAY("%ld", us(v.ru_utime));
	RUN({
		volatile long y = 0;
		for (long i = 0; i < 50000000; i++) y += i;
	});
	OK(getrusage(RUSAGE_CHILDREN, &v));
	YES(us(v.ru_utime) + us(v.ru_stime) > 5000);
	OK(getrusage(9, &v));
	OK(getrusage(RUSAGE_SELF, (void *)1));
	struct tms t;
	YES(times(&t) != -1);
	YES(t.tms_utime >= 0 && t.tms_cutime >= 0);
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	clock_t c = times(NULL);
	msleep(50);
	clock_t d = times(NULL);
	YES(d - c >= 4 && d - c < 100);
	pid_t k = SPAWN({
		for (long i = 0; i < 30000000; i++) x += i;
	});
	int s;
	wait4(k, &s, 0, &u);
	YES(us(u.ru_utime) > 2000);
	char *m = malloc(30 << 20);
	memset(m, 1, 30 << 20);
	getrusage(RUSAGE_SELF, &u);
	YES(u.ru_maxrss >= 30 << 10);
	return 0;
}
