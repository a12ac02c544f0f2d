// Filters: errno, trap, kill, log, order, fork and exec.
#include "../case.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/audit.h>
static int install(int nr, unsigned act) {
	struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1), BPF_STMT(BPF_RET | BPF_K, act), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog p = {4, f};
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p);
}
static void h(int s, siginfo_t *i, void *u) {
	SAY("%s code %d nr %s arch %s", signame(s), i->si_code, i->si_syscall == SYS_getppid ? "getppid" : "?", i->si_arch == AUDIT_ARCH_X86_64 ? "x86_64" : "?");
	((ucontext_t *)u)->uc_mcontext.gregs[REG_RAX] = 77;
}
static void *t(void *a) {
	syscall(SYS_getppid);
	return NULL;
}

int main(void) {
	RUN({
		OK(install(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV));
		OK(syscall(SYS_getppid));
		VAL(prctl(PR_GET_SECCOMP));
		OK(install(SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY));
		OK(syscall(SYS_getppid));
		OK(install(SYS_getppid, SECCOMP_RET_ALLOW));
		OK(syscall(SYS_getppid));
		RUN({
			OK(syscall(SYS_getppid));
		});
		system("grep -E '^Seccomp:' /proc/self/status");
	});
	RUN({
		OK(install(SYS_getppid, SECCOMP_RET_ERRNO));
		VAL(syscall(SYS_getppid));
	});
	RUN({
		OK(install(SYS_getppid, SECCOMP_RET_ERRNO | 5000));
		long r = syscall(SYS_getppid);
		YES(r == -1 || r < -1);
	});
	STATUS("trap", RUN({
		struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
		sigaction(SIGSYS, &sa, NULL);
		install(SYS_getppid, SECCOMP_RET_TRAP | 9);
		VAL(syscall(SYS_getppid));
	}));
	STATUS("trap by default", RUN({
		install(SYS_getppid, SECCOMP_RET_TRAP);
		syscall(SYS_getppid);
	}));
	STATUS("kill process", RUN({
		install(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
		syscall(SYS_getppid);
	}));
	STATUS("kill thread", RUN({
		pthread_t p;
		install(SYS_getppid, SECCOMP_RET_KILL_THREAD);
		pthread_create(&p, NULL, t, NULL);
		msleep(30);
		_exit(6);
	}));
	RUN({
		install(SYS_getppid, SECCOMP_RET_LOG);
		OK(syscall(SYS_getppid));
	});
	RUN({
		install(SYS_getppid, SECCOMP_RET_TRACE);
		OK(syscall(SYS_getppid));
	});
	RUN({
		setresuid(5, 5, 5);
		OK(install(SYS_getppid, SECCOMP_RET_ALLOW));
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		OK(install(SYS_getppid, SECCOMP_RET_ALLOW));
	});
	return 0;
}
