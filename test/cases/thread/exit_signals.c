// Tgkill to threads that have gone; thread ids are not reused at once.
#include "../case.h"
static pid_t tid;
static void *f(void *a) {
	tid = syscall(SYS_gettid);
	return NULL;
}

int main(void) {
	pthread_t p;
	pthread_create(&p, NULL, f, NULL);
	pthread_join(p, NULL);
	msleep(10);
	OK(syscall(SYS_tgkill, getpid(), tid, 0));
	OK(syscall(SYS_tkill, tid, 0));
	pid_t first = tid;
	pthread_create(&p, NULL, f, NULL);
	pthread_join(p, NULL);
	YES(tid != first);
	OK(syscall(SYS_sched_getaffinity, tid, 8, &first));
	char path[64];
	snprintf(path, 64, "/proc/self/task/%d", tid);
	OK(access(path, F_OK));
	OK(syscall(SYS_get_robust_list, tid, &p, &p));
	return 0;
}
