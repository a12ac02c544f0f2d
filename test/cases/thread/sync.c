// mutexes, condition variables, semaphores, barriers, rwlocks.
#include "../case.h"
#include <semaphore.h>
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int q, n;
static pthread_barrier_t b;
static sem_t s;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void init(void) {
	SAY("once");
}
static void *cons(void *a) {
	for (;;) {
		pthread_mutex_lock(&m);
		while (!q) pthread_cond_wait(&c, &m);
		int v = q;
		q = 0;
		pthread_cond_broadcast(&c);
		pthread_mutex_unlock(&m);
		if (v < 0) return NULL;
		n += v;
	}
}
static void *bar(void *a) {
	pthread_once(&once, init);
	return (void *)(long)(pthread_barrier_wait(&b) == PTHREAD_BARRIER_SERIAL_THREAD);
}
static void *poster(void *a) {
	for (int i = 0; i < 100; i++) sem_post(&s);
	return NULL;
}

int main(void) {
	pthread_t t;
	pthread_create(&t, NULL, cons, NULL);
	for (int i = 1; i <= 201; i++) {
		pthread_mutex_lock(&m);
		while (q) pthread_cond_wait(&c, &m);
		q = i == 201 ? -1 : i;
		pthread_cond_broadcast(&c);
		pthread_mutex_unlock(&m);
	}
	pthread_join(t, NULL);
	SAY("%d", n);
	pthread_barrier_init(&b, NULL, 5);
	pthread_t p[5];
	long serial = 0;
	for (int i = 0; i < 5; i++) pthread_create(&p[i], NULL, bar, NULL);
	for (int i = 0; i < 5; i++) {
		void *r;
		pthread_join(p[i], &r);
		serial += (long)r;
	}
	SAY("%ld", serial);
	sem_init(&s, 0, 0);
	pthread_create(&t, NULL, poster, NULL);
	for (int i = 0; i < 100; i++) sem_wait(&s);
	pthread_join(t, NULL);
	OK(sem_trywait(&s));
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000) ts.tv_nsec -= 1000000000, ts.tv_sec++;
	OK(sem_timedwait(&s, &ts));
	pthread_mutex_lock(&m);
	RET(pthread_cond_timedwait(&c, &m, &ts));
	RET(pthread_mutex_unlock(&m));
	RET(pthread_rwlock_rdlock(&rw));
	RET(pthread_rwlock_tryrdlock(&rw));
	RET(pthread_rwlock_trywrlock(&rw));
	sem_t *ps = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sem_init(ps, 1, 0);
	pid_t k = SPAWN({
		OK(sem_wait(ps));
	});
	sleeping(k);
	sem_post(ps);
	reap(k);
	sem_t *ns = sem_open("/case-sem", O_CREAT | O_EXCL, 0600, 2);
	YES(ns != SEM_FAILED);
	int v;
	sem_getvalue(ns, &v);
	SAY("%d", v);
	OK(sem_unlink("/case-sem"));
	YES(sem_open("/case-sem", 0) == SEM_FAILED);
	return 0;
}
