// A hand-made lock under contention, across threads and processes.
#include "../case.h"
#include <linux/futex.h>
static int *w;
static long *count;
static void lock(void) {
	int c = 0;
	if (__atomic_compare_exchange_n(w, &c, 1, 0, 5, 5)) return;
	if (c != 2) c = __atomic_exchange_n(w, 2, 5);
	while (c) {
		syscall(SYS_futex, w, FUTEX_WAIT, 2, NULL, NULL, 0);
		c = __atomic_exchange_n(w, 2, 5);
	}
}
static void unlock(void) {
	if (__atomic_fetch_sub(w, 1, 5) != 1) {
		__atomic_store_n(w, 0, 5);
		syscall(SYS_futex, w, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
}
static void *t(void *a) {
	for (int i = 0; i < 2000; i++) {
		lock();
		long v = *count;
		if (i % 64 == 0) sched_yield();
		*count = v + 1;
		unlock();
	}
	return NULL;
}

int main(void) {
	w = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	count = (long *)(w + 16);
	pid_t k[2];
	for (int i = 0; i < 2; i++) k[i] = SPAWN({
		pthread_t q;
		pthread_create(&q, NULL, t, NULL);
		t(NULL);
		pthread_join(q, NULL);
	});
	t(NULL);
	for (int i = 0; i < 2; i++) reap(k[i]);
	VAL(*count);
	return 0;
}
