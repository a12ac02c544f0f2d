// Robust lists: the owner dies.
#include "../case.h"
static pthread_mutex_t *m;
static void *die(void *a) {
	pthread_mutex_lock(m);
	return NULL;
}

int main(void) {
	m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, 1);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(m, &a);
	RUN({
		pthread_mutex_lock(m);
		_exit(0);
	});
	RET(pthread_mutex_lock(m));
	RET(pthread_mutex_consistent(m));
	RET(pthread_mutex_unlock(m));
	pthread_t t;
	pthread_create(&t, NULL, die, NULL);
	pthread_join(t, NULL);
	RET(pthread_mutex_lock(m));
	RET(pthread_mutex_unlock(m));
	RET(pthread_mutex_lock(m));
	pthread_mutex_init(m, &a);
	gate g = mkgate();
	pid_t k = SPAWN({
		pthread_mutex_lock(m);
		pass(g);
		for (;;) pause();
	});
	hold(g);
	pid_t w = SPAWN({
		RET(pthread_mutex_lock(m));
	});
	sleeping(w);
	kill(k, SIGKILL);
	reap(k);
	reap(w);
	void *head;
	size_t len;
	OK(syscall(SYS_get_robust_list, 0, &head, &len));
	YES(len == 24);
	OK(syscall(SYS_set_robust_list, head, 10));
	OK(syscall(SYS_get_robust_list, 999999, &head, &len));
	return 0;
}
