// clock_gettime, clock_getres, clock_settime errors.
#include "../case.h"

int main(void) {
	struct timespec a, b, r;
	int ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
	char *n[] = {"REALTIME", "MONOTONIC", "PROCESS", "THREAD", "RAW", "REALTIME_COARSE", "MONOTONIC_COARSE", "BOOTTIME", "TAI"};
	for (int i = 0; i < 9; i++) {
		int x = clock_gettime(ids[i], &a), y = syscall(SYS_clock_gettime, ids[i], &b), z = clock_getres(ids[i], &r);
		SAY("%s: %d %d %d %s %s", n[i], x, y, z, b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec) ? "forward" : "back", r.tv_sec == 0 && r.tv_nsec >= 1 && r.tv_nsec <= 20000000 ? "fine" : "coarse");
	}
	OK(clock_gettime(99, &a));
	OK(clock_getres(99, &a));
	OK(clock_getres(CLOCK_REALTIME, NULL));
	OK(syscall(SYS_clock_gettime, CLOCK_REALTIME, 1L));
	OK(clock_settime(CLOCK_MONOTONIC, &a));
	a.tv_nsec = -1;
	OK(clock_settime(CLOCK_REALTIME, &a));
	RUN({
		setresuid(1, 1, 1);
		clock_gettime(CLOCK_REALTIME, &a);
		OK(clock_settime(CLOCK_REALTIME, &a));
		struct timeval tv;
		gettimeofday(&tv, NULL);
		OK(settimeofday(&tv, NULL));
	});
	struct timeval t;
	OK(gettimeofday(&t, NULL));
	clock_gettime(CLOCK_REALTIME, &a);
	YES(a.tv_sec - t.tv_sec <= 1);
	time_t s = time(NULL);
	YES(s - a.tv_sec <= 1 && s >= a.tv_sec - 1);
	YES(syscall(SYS_time, &s) == s);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	volatile long x = 0;
	for (long i = 0; i < 20000000; i++) x += i;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	YES((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec > 1000000);
	long c0 = b.tv_nsec + b.tv_sec * 1000000000L;
	msleep(100);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	YES(a.tv_nsec + a.tv_sec * 1000000000L - c0 < 50000000);
	clockid_t c;
	RET(clock_getcpuclockid(0, &c));
	OK(clock_gettime(c, &a));
	RET(clock_getcpuclockid(999999, &c));
	RET(pthread_getcpuclockid(pthread_self(), &c));
	OK(clock_gettime(c, &a));
	return 0;
}
