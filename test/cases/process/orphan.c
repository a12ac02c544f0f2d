// Orphans are given to the nearest reaper.
#include "../case.h"

int main(void) {
	gate g = mkgate(), d = mkgate();
	pid_t me = getpid(), outer = getppid();
	STATUS("no reaper here", RUN({
		pid_t k = fork();
		if (k == 0) {
			hold(g);
			YES(getppid() == outer);
			fflush(stdout);
			pass(d);
			_exit(0);
		}
	}));
	pass(g);
	hold(d);
	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	int on = 0;
	prctl(PR_GET_CHILD_SUBREAPER, &on);
	VAL(on);
	RUN({
		pid_t k = fork();
		if (k == 0) {
			hold(g);
			YES(getppid() == me);
			fflush(stdout);
			_exit(6);
		}
	});
	pass(g);
	int s;
	VAL(wait(&s) > 0);
	STATUS("adopted", s);
	RUN({
		prctl(PR_GET_CHILD_SUBREAPER, &on);
		SAY("inherited %d", on);
	});
	VAL(wait(&s));
	RUN({
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
		int sg;
		prctl(PR_GET_PDEATHSIG, &sg);
		SAY("%s", signame(sg));
	});
	RUN({
		pid_t k = fork();
		if (k == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			pass(d);
			for (;;) pause();
		}
		hold(d);
	});
	VAL(wait(&s) > 0);
	STATUS("parent died", s);
	OK(prctl(PR_SET_PDEATHSIG, 99));
	return 0;
}
