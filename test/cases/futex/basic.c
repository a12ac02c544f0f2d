// FUTEX_WAIT, FUTEX_WAKE, timeouts, errors.
#include "../case.h"
#include <linux/futex.h>
static long fx(int *u, int op, int v, const struct timespec *t, void *u2, int v3) {
	return syscall(SYS_futex, u, op, v, t, u2, v3);
}
static int w;
static void *waiter(void *a) {
	VAL(fx(&w, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
	return NULL;
}
static void h(int s) {
}

int main(void) {
	struct timespec t = {0, 20000000};
	VAL(fx(&w, FUTEX_WAIT, 1, NULL, NULL, 0));
	long a = nowms();
	VAL(fx(&w, FUTEX_WAIT, 0, &t, NULL, 0));
	YES(nowms() - a >= 20);
	VAL(fx(&w, FUTEX_WAKE, 1, NULL, NULL, 0));
	t.tv_nsec = -1;
	VAL(fx(&w, FUTEX_WAIT, 0, &t, NULL, 0));
	VAL(fx((int *)((char *)&w + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
	VAL(fx((int *)4096, FUTEX_WAIT, 0, NULL, NULL, 0));
	VAL(fx((int *)4096, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	VAL(fx(&w, 99, 0, NULL, NULL, 0));
	VAL(fx(&w, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
	VAL(fx(&w, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
	struct timespec abs;
	clock_gettime(CLOCK_MONOTONIC, &abs);
	abs.tv_nsec += 20000000;
	if (abs.tv_nsec >= 1000000000) abs.tv_sec++, abs.tv_nsec -= 1000000000;
	VAL(fx(&w, FUTEX_WAIT_BITSET, 0, &abs, NULL, ~0));
	clock_gettime(CLOCK_REALTIME, &abs);
	VAL(fx(&w, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &abs, NULL, ~0));
	pthread_t p[3];
	for (int i = 0; i < 3; i++) pthread_create(&p[i], NULL, waiter, NULL);
	int woken = 0;
	msleep(60);
	woken += fx(&w, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0);
	woken += fx(&w, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0);
	for (int i = 0; i < 3; i++) pthread_join(p[i], NULL);
	SAY("woken %d", woken);
	int *s = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t k = SPAWN({
		VAL(fx(s, FUTEX_WAIT, 0, NULL, NULL, 0));
	});
	sleeping(k);
	VAL(fx(s, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
	long woke = fx(s, FUTEX_WAKE, 1, NULL, NULL, 0);
	reap(k);
	VAL(woke);
	struct sigaction sa = {.sa_handler = h};
	sigaction(SIGUSR1, &sa, NULL);
	k = SPAWN({
		VAL(fx(s, FUTEX_WAIT, 0, NULL, NULL, 0));
	});
	sleeping(k);
	kill(k, SIGUSR1);
	reap(k);
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	ftruncate(fd, 4096);
	int *m1 = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *m2 = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	k = SPAWN({
		VAL(fx(m1, FUTEX_WAIT, 0, NULL, NULL, 0));
	});
	sleeping(k);
	woke = fx(m2, FUTEX_WAKE, 1, NULL, NULL, 0);
	reap(k);
	VAL(woke);
	int *ro = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
	VAL(fx(ro, FUTEX_WAKE, 1, NULL, NULL, 0));
	VAL(fx(ro, FUTEX_WAIT, 1, NULL, NULL, 0));
	return 0;
}
