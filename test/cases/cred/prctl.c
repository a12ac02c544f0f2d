// prctl(2): names, dumpable, no_new_privs and errors.
#include "../case.h"

int main(void) {
	char n[32] = {0};
	OK(prctl(PR_SET_NAME, "a-very-long-thread-name"));
	OK(prctl(PR_GET_NAME, n));
	SAY("%s", n);
	char b[32] = {0};
	int fd = MUST(open("/proc/self/comm", O_RDWR));
	read(fd, b, 32);
	SAY("%s", b);
	OK(write(fd, "viaproc", 7));
	prctl(PR_GET_NAME, n);
	SAY("%s", n);
	VAL(prctl(PR_GET_DUMPABLE));
	OK(prctl(PR_SET_DUMPABLE, 0));
	VAL(prctl(PR_GET_DUMPABLE));
	OK(prctl(PR_SET_DUMPABLE, 2));
	OK(prctl(PR_SET_DUMPABLE, 1));
	VAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	OK(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 1));
	RUN({
		OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		VAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
		RUN({
			VAL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
		});
		system("grep NoNewPrivs /proc/self/status");
	});
	int v = 0;
	OK(prctl(PR_SET_TIMERSLACK, 100));
	VAL(prctl(PR_GET_TIMERSLACK));
	OK(prctl(PR_GET_TSC, &v));
	VAL(v);
	OK(prctl(PR_SET_NAME, (void *)1));
	OK(prctl(99999));
	VAL(prctl(PR_GET_SECCOMP));
	OK(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY) == 0 || errno == EINVAL);
	OK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	VAL(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	OK(prctl(PR_SET_MM, 99, 0, 0, 0));
	unsigned long fs;
	OK(syscall(SYS_arch_prctl, 0x1003, &fs));
	YES(fs != 0);
	OK(syscall(SYS_arch_prctl, 0x9999, 0));
	return 0;
}
