// Priority inheriting futexes.
#include "../case.h"
#include <linux/futex.h>
static long fx(int *u, int op, int v, const struct timespec *t, void *u2, int v3) {
	return syscall(SYS_futex, u, op, v, t, u2, v3);
}
static int w;
static gate g;
static void *taker(void *a) {
	pass(g);
	VAL(fx(&w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	YES((w & FUTEX_TID_MASK) == syscall(SYS_gettid));
	VAL(fx(&w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	return NULL;
}

int main(void) {
	g = mkgate();
	VAL(fx(&w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	YES(w == getpid());
	VAL(fx(&w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	VAL(fx(&w, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	pthread_t p;
	pthread_create(&p, NULL, taker, NULL);
	hold(g);
	msleep(40);
	YES(w & FUTEX_WAITERS);
	long un = fx(&w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
	pthread_join(p, NULL);
	VAL(un);
	YES(w == 0);
	VAL(fx(&w, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	w = 4194303;
	VAL(fx(&w, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	w = 0;
	pthread_mutexattr_t a;
	pthread_mutex_t m;
	pthread_mutexattr_init(&a);
	RET(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
	RET(pthread_mutex_init(&m, &a));
	RET(pthread_mutex_lock(&m));
	RET(pthread_mutex_trylock(&m));
	RET(pthread_mutex_unlock(&m));
	struct timespec past = {1, 0};
	pthread_mutex_lock(&m);
	RUN({
	});
	return 0;
}
