// __WNOTHREAD, __WALL, __WCLONE.
#include "../case.h"
static pid_t k;
static void *t(void *a) {
	int s;
	VAL(waitpid(k, &s, __WNOTHREAD | WNOHANG));
	VAL(waitpid(k, &s, 0) == k);
	return NULL;
}

int main(void) {
	int s;
	k = SPAWN({
		_exit(1);
	});
	pthread_t p;
	pthread_create(&p, NULL, t, NULL);
	pthread_join(p, NULL);
	k = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (k == 0) _exit(3);
	VAL(waitpid(k, &s, WNOHANG));
	VAL(waitpid(k, &s, __WCLONE) == k);
	STATUS("clone child", s);
	k = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (k == 0) _exit(4);
	VAL(waitpid(k, &s, __WALL) == k);
	STATUS("clone child", s);
	k = SPAWN({
		_exit(5);
	});
	VAL(waitpid(k, &s, __WCLONE));
	VAL(waitpid(k, &s, 0) == k);
	return 0;
}
