// fork, exec, exit and clone events.
#include "../case.h"
#include <sys/ptrace.h>

int main(void) {
	int s;
	pid_t k = SPAWN({
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		pid_t c = fork();
		if (c == 0) _exit(2);
		waitpid(c, NULL, 0);
		execl("/bin/true", "true", NULL);
	});
	waitpid(k, &s, 0);
	OK(ptrace(PTRACE_SETOPTIONS, k, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT));
	int events = 0;
	pid_t child = 0;
	ptrace(PTRACE_CONT, k, 0, 0);
	for (;;) {
		pid_t w = waitpid(-1, &s, __WALL);
		if (w == -1) break;
		if (WIFSTOPPED(s)) {
			int e = s >> 16;
			unsigned long m = 0;
			if (w == k && e) {
				ptrace(PTRACE_GETEVENTMSG, w, 0, &m);
				if (e == PTRACE_EVENT_FORK) {
					SAY("fork");
					child = m;
				} else if (e == PTRACE_EVENT_EXEC) {
					SAY("exec");
					YES(m == k);
				} else if (e == PTRACE_EVENT_EXIT) SAY("exit status %lu", m >> 8);
			}
			ptrace(PTRACE_CONT, w, 0, WSTOPSIG(s) == SIGTRAP || WSTOPSIG(s) == SIGSTOP ? 0 : WSTOPSIG(s));
		} else if (w == k) {
			STATUS("tracee", s);
		}
	}
	YES(child > 0);
	k = SPAWN({
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execl("/bin/true", "true", NULL);
	});
	waitpid(k, &s, 0);
	STATUS("exec without options", s);
	YES(s >> 16 == 0);
	ptrace(PTRACE_CONT, k, 0, 0);
	STATUS("end", reap(k));
	return 0;
}
