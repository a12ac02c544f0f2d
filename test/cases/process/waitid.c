// waitid(2): what is reported, WNOWAIT, pidfd.
#include "../case.h"
static void show(siginfo_t *i) {
	SAY("  %s status %d", i->si_code == CLD_EXITED ? "EXITED" : i->si_code == CLD_KILLED ? "KILLED" : i->si_code == CLD_DUMPED ? "DUMPED" : i->si_code == CLD_STOPPED ? "STOPPED" : i->si_code == CLD_CONTINUED ? "CONTINUED" : "nothing", i->si_status);
}

int main(void) {
	siginfo_t i;
	memset(&i, 0, sizeof i);
	OK(waitid(P_ALL, 0, &i, WEXITED));
	OK(waitid(P_ALL, 0, &i, 0));
	OK(waitid(99, 0, &i, WEXITED));
	OK(waitid(P_PID, -1, &i, WEXITED));
	pid_t k = SPAWN({
		_exit(7);
	});
	OK(waitid(P_PID, k, &i, WEXITED | WNOWAIT));
	show(&i);
	YES(i.si_pid == k && i.si_uid == 0 && i.si_signo == SIGCHLD);
	OK(waitid(P_PID, k, &i, WEXITED));
	show(&i);
	OK(waitid(P_PID, k, &i, WEXITED));
	k = SPAWN({
		for (;;) pause();
	});
	memset(&i, 0x11, sizeof i);
	OK(waitid(P_PID, k, &i, WEXITED | WNOHANG));
	YES(i.si_pid == 0 && i.si_signo == 0);
	kill(k, SIGSTOP);
	OK(waitid(P_PID, k, &i, WSTOPPED));
	show(&i);
	kill(k, SIGCONT);
	OK(waitid(P_PGID, 0, &i, WCONTINUED));
	show(&i);
	kill(k, SIGKILL);
	OK(waitid(P_PGID, getpgrp(), &i, WEXITED));
	show(&i);
	k = SPAWN({
		_exit(2);
	});
	int pf = MUST(syscall(SYS_pidfd_open, k, 0));
	OK(waitid(P_PIDFD, pf, &i, WEXITED));
	show(&i);
	OK(waitid(P_PIDFD, pf, &i, WEXITED));
	OK(waitid(P_PIDFD, 0, &i, WEXITED));
	OK(waitid(P_PIDFD, 99, &i, WEXITED));
	k = SPAWN({
		_exit(1);
	});
	OK(waitid(P_ALL, 0, NULL, WEXITED));
	struct rusage u;
	k = SPAWN({
		_exit(1);
	});
	OK(syscall(SYS_waitid, P_ALL, 0, &i, WEXITED, &u));
	int s;
	k = SPAWN({
		kill(getpid(), SIGSEGV);
	});
	OK(waitid(P_PID, k, &i, WEXITED));
	SAY("  %s", signame(i.si_status));
	return 0;
}
