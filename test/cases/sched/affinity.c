// sched_setaffinity, sched_getaffinity, getcpu.
#include "../case.h"

int main(void) {
	cpu_set_t c, d;
	OK(sched_getaffinity(0, sizeof c, &c));
	int n = CPU_COUNT(&c);
	YES(n >= 1 && n == sysconf(_SC_NPROCESSORS_ONLN));
	int first = 0;
	while (!CPU_ISSET(first, &c)) first++;
	CPU_ZERO(&d);
	CPU_SET(first, &d);
	OK(sched_setaffinity(0, sizeof d, &d));
	CPU_ZERO(&c);
	OK(sched_getaffinity(0, sizeof c, &c));
	VAL(CPU_COUNT(&c));
	RUN({
		CPU_ZERO(&c);
		sched_getaffinity(0, sizeof c, &c);
		SAY("child %d", CPU_COUNT(&c));
	});
	CPU_ZERO(&d);
	OK(sched_setaffinity(0, sizeof d, &d));
	CPU_SET(1000, &d);
	OK(sched_setaffinity(0, sizeof d, &d));
	OK(sched_getaffinity(0, 1, &c));
	OK(sched_getaffinity(999999, sizeof c, &c));
	OK(sched_setaffinity(999999, sizeof d, &d));
	OK(syscall(SYS_sched_getaffinity, 0, 8, 1));
	unsigned cpu, node;
	OK(syscall(SYS_getcpu, &cpu, &node, NULL));
	YES(cpu == first);
	return 0;
}
