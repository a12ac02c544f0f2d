// PTRACE_TRACEME, registers, memory, stepping, detach.
#include "../case.h"
#include <sys/ptrace.h>
#include <sys/user.h>
static volatile long secret = 0x1122334455667788;

int main(void) {
	int s;
	pid_t k = SPAWN({
		OK(ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		secret++;
		raise(SIGUSR1);
		_exit(secret == 42 ? 7 : 8);
	});
	waitpid(k, &s, 0);
	STATUS("stop", s);
	struct user_regs_struct r;
	OK(ptrace(PTRACE_GETREGS, k, 0, &r));
	YES(r.rip > 0x400000 && r.cs == 0x33);
	errno = 0;
	SAY("%lx", ptrace(PTRACE_PEEKDATA, k, &secret, 0));
	OK(ptrace(PTRACE_POKEDATA, k, &secret, 41L));
	OK(ptrace(PTRACE_PEEKDATA, k, 16, 0));
	OK(ptrace(PTRACE_SINGLESTEP, k, 0, 0));
	waitpid(k, &s, 0);
	STATUS("step", s);
	siginfo_t i;
	OK(ptrace(PTRACE_GETSIGINFO, k, 0, &i));
	SAY("%s", signame(i.si_signo));
	OK(ptrace(PTRACE_CONT, k, 0, 0));
	waitpid(k, &s, 0);
	STATUS("signal", s);
	OK(ptrace(PTRACE_CONT, k, 0, 0));
	STATUS("suppressed it", reap(k));
	OK(ptrace(PTRACE_CONT, k, 0, 0));
	OK(ptrace(PTRACE_ATTACH, getpid(), 0, 0));
	OK(ptrace(PTRACE_ATTACH, 999999, 0, 0));
	OK(ptrace(9999, getppid(), 0, 0));
	k = SPAWN({
		for (;;) pause();
	});
	OK(ptrace(PTRACE_ATTACH, k, 0, 0));
	waitpid(k, &s, 0);
	STATUS("attached", s);
	OK(ptrace(PTRACE_DETACH, k, 0, 0));
	kill(k, SIGTERM);
	STATUS("detached", reap(k));
	k = SPAWN({
		for (;;) pause();
	});
	OK(ptrace(PTRACE_SEIZE, k, 0, 0));
	OK(ptrace(PTRACE_INTERRUPT, k, 0, 0));
	waitpid(k, &s, 0);
	STATUS("interrupt", s);
	YES(s >> 16 == PTRACE_EVENT_STOP);
	OK(ptrace(PTRACE_CONT, k, 0, 0));
	kill(k, SIGKILL);
	STATUS("killed", reap(k));
	return 0;
}
