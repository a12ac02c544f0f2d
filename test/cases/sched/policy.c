// schedulers, priorities, nice.
#include "../case.h"

int main(void) {
	struct sched_param p = {0};
	VAL(sched_getscheduler(0));
	OK(sched_getparam(0, &p));
	SAY("%d", p.sched_priority);
	VAL(sched_get_priority_max(SCHED_FIFO));
	VAL(sched_get_priority_min(SCHED_FIFO));
	VAL(sched_get_priority_max(SCHED_OTHER));
	VAL(sched_get_priority_max(99));
	OK(sched_yield());
	OK(sched_setscheduler(0, SCHED_BATCH, &p));
	VAL(sched_getscheduler(0));
	OK(sched_setscheduler(0, SCHED_OTHER, &p));
	p.sched_priority = 5;
	OK(sched_setscheduler(0, SCHED_OTHER, &p));
	OK(sched_setscheduler(0, 99, &p));
	OK(sched_setscheduler(999999, SCHED_OTHER, &p));
	OK(sched_getscheduler(-1));
	OK(sched_getparam(0, NULL));
	struct timespec t;
	OK(sched_rr_get_interval(0, &t));
	VAL(getpriority(PRIO_PROCESS, 0));
	OK(setpriority(PRIO_PROCESS, 0, 5));
	VAL(getpriority(PRIO_PROCESS, 0));
	RUN({
		errno = 0;
		VAL(getpriority(PRIO_PROCESS, 0));
		VAL(nice(2));
		VAL(nice(100));
	});
	OK(setpriority(PRIO_PROCESS, 0, 100));
	VAL(getpriority(PRIO_PROCESS, 0));
	OK(setpriority(99, 0, 0));
	OK(setpriority(PRIO_PROCESS, 999999, 0));
	VAL(getpriority(PRIO_PGRP, 0));
	OK(setpriority(PRIO_PROCESS, 0, 0));
	RUN({
		setresuid(5, 5, 5);
		OK(setpriority(PRIO_PROCESS, 0, 3));
		OK(setpriority(PRIO_PROCESS, 0, 1));
		OK(setpriority(PRIO_PROCESS, getppid(), 1));
		p.sched_priority = 1;
		OK(sched_setscheduler(0, SCHED_FIFO, &p));
	});
	struct {
		unsigned size, policy;
		unsigned long flags;
		int nice;
		unsigned prio;
		unsigned long a, b, c;
	} at = {0};
	OK(syscall(SYS_sched_getattr, 0, &at, sizeof at, 0));
	SAY("size %u policy %u nice %d", at.size, at.policy, at.nice);
	at.nice = 4;
	OK(syscall(SYS_sched_setattr, 0, &at, 0));
	VAL(getpriority(PRIO_PROCESS, 0));
	OK(syscall(SYS_sched_getattr, 0, &at, 4, 0));
	VAL(syscall(SYS_ioprio_get, 1, 0));
	OK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 4));
	VAL(syscall(SYS_ioprio_get, 1, 0));
	return 0;
}
