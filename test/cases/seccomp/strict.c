// SECCOMP_MODE_STRICT.
#include "../case.h"

int main(void) {
	STATUS("allowed", RUN({
		SAY("before");
		MUST(prctl(PR_SET_SECCOMP, 1));
		write(1, "written\n", 8);
		syscall(SYS_exit, 3);
	}));
	STATUS("forbidden", RUN({
		MUST(prctl(PR_SET_SECCOMP, 1));
		getpid();
		syscall(SYS_getppid);
	}));
	OK(prctl(PR_SET_SECCOMP, 99));
	OK(prctl(PR_SET_SECCOMP, 2, 0));
	OK(syscall(SYS_seccomp, 99, 0, NULL));
	OK(syscall(SYS_seccomp, 1, 0, NULL));
	VAL(prctl(PR_GET_SECCOMP));
	return 0;
}
