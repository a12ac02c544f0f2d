// Cancellation and cleanup.
#include "../case.h"
static gate g;
static void clean(void *a) {
	SAY("cleanup %s", (char *)a);
}
static void *f(void *a) {
	pthread_cleanup_push(clean, "one");
	pthread_cleanup_push(clean, "two");
	pass(g);
	char c;
	int p[2];
	pipe(p);
	read(p[0], &c, 1);
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return NULL;
}
static void *loop(void *a) {
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	pass(g);
	for (;;) {
	}
}
static void *no(void *a) {
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pass(g);
	msleep(30);
	return (void *)3;
}

int main(void) {
	g = mkgate();
	pthread_t t;
	void *r;
	pthread_create(&t, NULL, f, NULL);
	hold(g);
	msleep(20);
	int c1 = pthread_cancel(t);
	RET(pthread_join(t, &r));
	RET(c1);
	YES(r == PTHREAD_CANCELED);
	pthread_create(&t, NULL, loop, NULL);
	hold(g);
	c1 = pthread_cancel(t);
	RET(pthread_join(t, &r));
	RET(c1);
	YES(r == PTHREAD_CANCELED);
	pthread_create(&t, NULL, no, NULL);
	hold(g);
	c1 = pthread_cancel(t);
	RET(pthread_join(t, &r));
	RET(c1);
	SAY("%ld", (long)r);
	return 0;
}
