// Threads: ids, sharing, detached, many.
#include "../case.h"
static int sum;
static __thread int tls = 5;
static void *f(void *a) {
	YES(tls == 5);
	tls = 6;
	YES(syscall(SYS_gettid) != getpid());
	return (void *)((long)a * 2);
}
static void *add(void *a) {
	for (int i = 0; i < 1000; i++) __atomic_fetch_add(&sum, 1, 5);
	return NULL;
}

int main(void) {
	pthread_t t;
	YES(syscall(SYS_gettid) == getpid());
	int made = pthread_create(&t, NULL, f, (void *)21);
	void *r;
	RET(pthread_join(t, &r));
	RET(made);
	SAY("%ld tls %d", (long)r, tls);
	pthread_t p[100];
	for (int i = 0; i < 100; i++) pthread_create(&p[i], NULL, add, NULL);
	for (int i = 0; i < 100; i++) pthread_join(p[i], NULL);
	SAY("%d", sum);
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	sum = 0;
	pthread_create(&t, &a, add, NULL);
	while (__atomic_load_n(&sum, 5) < 1000) msleep(1);
	char n[16];
	RET(pthread_setname_np(pthread_self(), "a name"));
	RET(pthread_getname_np(pthread_self(), n, 16));
	SAY("%s", n);
	int tid;
	YES(syscall(SYS_set_tid_address, &tid) == getpid());
	YES(pthread_self() != 0);
	return 0;
}
