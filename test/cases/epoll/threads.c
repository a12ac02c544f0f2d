// Several threads wait on one epoll.
#include "../case.h"
static int ep, got;
static void *t(void *a) {
	struct epoll_event e;
	for (;;) {
		int n = epoll_wait(ep, &e, 1, 3000);
		if (n != 1) return (void *)1;
		uint64_t v;
		if (e.data.fd < 0) return NULL;
		if (read(e.data.fd, &v, 8) == 8) __atomic_fetch_add(&got, (int)v, 5);
	}
}

int main(void) {
	ep = epoll_create1(0);
	int ev = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK), end = eventfd(0, 0);
	struct epoll_event e = {EPOLLIN, {.fd = ev}};
	epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e);
	pthread_t p[4];
	for (int i = 0; i < 4; i++) pthread_create(&p[i], NULL, t, NULL);
	uint64_t one = 1;
	for (int i = 0; i < 500; i++) write(ev, &one, 8);
	while (__atomic_load_n(&got, 5) < 500) msleep(1);
	VAL(got);
	e = (struct epoll_event){EPOLLIN, {.fd = -1}};
	epoll_ctl(ep, EPOLL_CTL_ADD, end, &e);
	write(end, &one, 8);
	long bad = 0;
	for (int i = 0; i < 4; i++) {
		void *r;
		pthread_join(p[i], &r);
		bad += (long)r;
	}
	VAL(bad);
	return 0;
}
