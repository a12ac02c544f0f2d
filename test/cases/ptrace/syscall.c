// PTRACE_SYSCALL: entry and exit, changing the result.
#include "../case.h"
#include <sys/ptrace.h>
#include <sys/user.h>
#include <linux/ptrace.h>

int main(void) {
	int s;
	pid_t k = SPAWN({
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		long r = syscall(SYS_getppid, 11, 22);
		_exit(r == 99 ? 5 : 6);
	});
	waitpid(k, &s, 0);
	OK(ptrace(PTRACE_SETOPTIONS, k, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	struct user_regs_struct r;
	for (;;) {
		MUST(ptrace(PTRACE_SYSCALL, k, 0, 0));
		waitpid(k, &s, 0);
		if (!WIFSTOPPED(s)) break;
		if (WSTOPSIG(s) != (SIGTRAP | 0x80)) continue;
		MUST(ptrace(PTRACE_GETREGS, k, 0, &r));
		if (r.orig_rax == SYS_getppid) {
			struct __ptrace_syscall_info in;
			long n = ptrace(0x420e, k, sizeof in, &in);
			YES(n > 0);
			if (r.rax == -ENOSYS) SAY("entry %llu %llu op %d", r.rdi, r.rsi, in.op);
			else {
				SAY("exit op %d", in.op);
				r.rax = 99;
				MUST(ptrace(PTRACE_SETREGS, k, 0, &r));
			}
		}
	}
	STATUS("child", s);
	k = SPAWN({
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		long r = syscall(SYS_getppid);
		_exit(r == -1 && errno == ENOSYS ? 3 : 4);
	});
	waitpid(k, &s, 0);
	ptrace(PTRACE_SETOPTIONS, k, 0, PTRACE_O_TRACESYSGOOD);
	for (int in = 1;;) {
		MUST(ptrace(PTRACE_SYSCALL, k, 0, 0));
		waitpid(k, &s, 0);
		if (!WIFSTOPPED(s)) break;
		ptrace(PTRACE_GETREGS, k, 0, &r);
		if (r.orig_rax == SYS_getppid && r.rax == -ENOSYS) {
			r.orig_rax = -1;
			ptrace(PTRACE_SETREGS, k, 0, &r);
		}
	}
	STATUS("skipped call", s);
	return 0;
}
