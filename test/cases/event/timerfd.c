// Timerfd: one shot, interval, absolute, cancel.
#include "../case.h"
#include <sys/timerfd.h>

int main(void) {
	int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	uint64_t n;
	struct itimerspec t = {{0, 0}, {0, 20000000}}, o;
	VAL(read(fd, &n, 8));
	OK(timerfd_settime(fd, 0, &t, NULL));
	VAL(read(fd, &n, 8));
	OK(timerfd_gettime(fd, &o));
	YES(o.it_value.tv_sec == 0 && o.it_value.tv_nsec > 0 && o.it_value.tv_nsec <= 20000000);
	msleep(30);
	VAL(read(fd, &n, 8));
	SAY("%lu", n);
	VAL(read(fd, &n, 8));
	OK(timerfd_gettime(fd, &o));
	YES(o.it_value.tv_nsec == 0);
	t = (struct itimerspec){{0, 10000000}, {0, 1}};
	OK(timerfd_settime(fd, 0, &t, &o));
	msleep(55);
	VAL(read(fd, &n, 8));
	YES(n >= 5);
	t = (struct itimerspec){{0, 0}, {0, 0}};
	OK(timerfd_settime(fd, 0, &t, &o));
	YES(o.it_interval.tv_nsec == 10000000);
	VAL(read(fd, &n, 8));
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	t.it_value = now;
	OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL));
	msleep(2);
	VAL(read(fd, &n, 8));
	VAL(read(fd, &n, 4));
	t.it_value.tv_nsec = 1000000000;
	OK(timerfd_settime(fd, 0, &t, NULL));
	OK(timerfd_settime(fd, 99, &t, NULL));
	OK(timerfd_create(77, 0));
	OK(timerfd_create(CLOCK_REALTIME, 5));
	OK(timerfd_create(CLOCK_BOOTTIME, 0));
	OK(timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC));
	OK(timerfd_settime(0, 0, &t, NULL));
	OK(timerfd_gettime(-1, &o));
	int b = timerfd_create(CLOCK_REALTIME, 0);
	t = (struct itimerspec){{0, 0}, {0, 20000000}};
	timerfd_settime(b, 0, &t, NULL);
	VAL(read(b, &n, 8));
	timerfd_settime(b, 0, &t, NULL);
	struct pollfd p = {b, POLLIN, 0};
	VAL(poll(&p, 1, 1000));
	VAL(write(b, &n, 8));
	return 0;
}
