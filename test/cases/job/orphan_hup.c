// A stopped orphaned group gets SIGHUP and SIGCONT.
#include "../case.h"
static void h(int s) {
	SAY("%s", signame(s));
}

int main(void) {
	gate g = mkgate(), ready = mkgate();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid_t mid = SPAWN({
		setsid();
		pid_t k = SPAWN({
			setpgid(0, 0);
			signal(SIGCONT, h);
			signal(SIGHUP, h);
			pass(ready);
			raise(SIGSTOP);
			fflush(stdout);
			_exit(5);
		});
		int s;
		waitpid(k, &s, WUNTRACED);
		STATUS("stopped", s);
	});
	reap(mid);
	int s;
	VAL(wait(&s) > 0);
	STATUS("group member", s);
	return 0;
}
