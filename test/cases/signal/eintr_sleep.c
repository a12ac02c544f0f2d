// Interrupted sleeps report what remains.
#include "../case.h"
static void h(int s) {
}

int main(void) {
	struct sigaction sa = {.sa_handler = h};
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {{0, 0}, {0, 100000}};
	struct timespec t = {1, 0}, r = {0, 0};
	setitimer(ITIMER_REAL, &it, NULL);
	OK(nanosleep(&t, &r));
	YES(r.tv_sec == 0 && r.tv_nsec > 500000000);
	setitimer(ITIMER_REAL, &it, NULL);
	r.tv_sec = 0;
	RET(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &r));
	YES(r.tv_sec == 0 && r.tv_nsec > 500000000);
	struct timespec abs;
	clock_gettime(CLOCK_MONOTONIC, &abs);
	abs.tv_sec++;
	setitimer(ITIMER_REAL, &it, NULL);
	r = (struct timespec){7, 7};
	RET(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, &r));
	YES(r.tv_sec == 7);
	setitimer(ITIMER_REAL, &it, NULL);
	VAL(sleep(3) >= 2);
	setitimer(ITIMER_REAL, &it, NULL);
	OK(usleep(900000));
	pid_t k = SPAWN({
		struct timespec q = {0, 200000000};
		long a = nowms();
		OK(nanosleep(&q, NULL));
		YES(nowms() - a >= 200);
	});
	msleep(30);
	kill(k, SIGSTOP);
	msleep(30);
	kill(k, SIGCONT);
	STATUS("stopped in between", reap(k));
	return 0;
}
