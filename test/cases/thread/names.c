// Each thread has its own name, credentials and mask, as Linux has it.
#include "../case.h"
static gate g;
static void *f(void *a) {
	prctl(PR_SET_NAME, "second");
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &m, NULL);
	syscall(SYS_setresuid, 5, 5, 5);
	char b[16];
	prctl(PR_GET_NAME, b);
	SAY("%s uid %d", b, (int)syscall(SYS_getuid));
	OK(open("secret", O_RDONLY));
	umask(077);
	chdir("/");
	return NULL;
}

int main(void) {
	MUST(chmod(".", 0755));
	MUST(mkfile("secret", "", 0600));
	pthread_t p;
	pthread_create(&p, NULL, f, NULL);
	pthread_join(p, NULL);
	sigset_t m;
	pthread_sigmask(SIG_BLOCK, NULL, &m);
	SAY("main usr1 %d uid %d umask %o", sigismember(&m, SIGUSR1), (int)syscall(SYS_getuid), umask(0));
	char b[4096];
	SAY("%s", getcwd(b, 4096));
	prctl(PR_GET_NAME, b);
	SAY("%s", b);
	RET(setuid(7));
	pthread_create(&p, NULL, f, NULL);
	pthread_join(p, NULL);
	return 0;
}
