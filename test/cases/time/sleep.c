// nanosleep, clock_nanosleep.
#include "../case.h"

int main(void) {
	struct timespec t = {0, 30000000}, r = {9, 9};
	long a = nowms();
	OK(nanosleep(&t, &r));
	YES(nowms() - a >= 30);
	SAY("%ld", (long)r.tv_sec);
	t.tv_nsec = 1000000000;
	OK(nanosleep(&t, NULL));
	t = (struct timespec){-1, 0};
	OK(nanosleep(&t, NULL));
	OK(nanosleep((void *)1, NULL));
	t = (struct timespec){0, 0};
	OK(nanosleep(&t, NULL));
	t.tv_nsec = 20000000;
	a = nowms();
	RET(clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL));
	YES(nowms() - a >= 20);
	clock_gettime(CLOCK_MONOTONIC, &t);
	RET(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	t.tv_sec -= 5;
	RET(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	RET(clock_nanosleep(99, 0, &t, NULL));
	RET(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL));
	RET(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &t, NULL));
	t = (struct timespec){0, 5000000};
	RET(clock_nanosleep(CLOCK_BOOTTIME, 0, &t, NULL));
	t.tv_nsec = -4;
	RET(clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL));
	a = nowms();
	OK(usleep(10000));
	YES(nowms() - a >= 10);
	return 0;
}
