// Nice values and priorities survive fork and exec.
#include "../case.h"

int main(void) {
	OK(setpriority(PRIO_PROCESS, 0, 7));
	STATUS("nice", RUN({
		execl("/bin/sh", "sh", "-c", "nice; ps -o ni= -p $$ | tr -d ' '", NULL);
	}));
	pid_t k = SPAWN({
		pause();
	});
	VAL(getpriority(PRIO_PROCESS, k));
	OK(setpriority(PRIO_PROCESS, k, 9));
	VAL(getpriority(PRIO_PROCESS, k));
	VAL(getpriority(PRIO_PGRP, 0));
	OK(setpriority(PRIO_USER, 54321, 1));
	kill(k, 9);
	reap(k);
	RUN({
		struct sched_param p = {0};
		OK(sched_setscheduler(0, SCHED_IDLE, &p));
		VAL(sched_getscheduler(0));
		RUN({
			VAL(sched_getscheduler(0));
		});
		OK(sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &p));
		VAL(sched_getscheduler(0));
		RUN({
			VAL(sched_getscheduler(0));
		});
	});
	for (int i = 0; i < 1000; i++) sched_yield();
	return 0;
}
