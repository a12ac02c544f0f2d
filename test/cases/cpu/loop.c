// The same call site many times, from several threads and after fork.
#include "../case.h"
static long site(long nr) {
	long r;
	asm volatile("mov %1, %%rax\n\tsyscall" : "=a"(r) : "r"(nr) : "rcx", "r11", "memory");
	return r;
}
static long fixed(void) {
	long r;
	asm volatile("mov $39, %%eax\n\tsyscall" : "=a"(r)::"rcx", "r11", "memory");
	return r;
}
static int bad;
static void *t(void *a) {
	for (int i = 0; i < 20000; i++) if (fixed() != getpid() || site(SYS_gettid) != syscall(SYS_gettid)) __atomic_fetch_add(&bad, 1, 5);
	return NULL;
}

int main(void) {
	for (int i = 0; i < 1000; i++) bad += fixed() != getpid();
	VAL(bad);
	pthread_t p[4];
	for (int i = 0; i < 4; i++) pthread_create(&p[i], NULL, t, NULL);
	for (int i = 0; i < 4; i++) pthread_join(p[i], NULL);
	VAL(bad);
	STATUS("child", RUN({
		pid_t me = getpid();
		for (int i = 0; i < 1000; i++) bad += fixed() != me;
		_exit(bad);
	}));
	VAL(site(12345) == -ENOSYS);
	VAL(site(SYS_getppid) == getppid());
	return 0;
}
