// sched_setaffinity moves the thread: getcpu follows at once.
#include "../case.h"

int main(void) {
	cpu_set_t all, one;
	OK(sched_getaffinity(0, sizeof all, &all));
	int right = 1;
	for (int round = 0; round < 50; round++)
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &all)) continue;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			if (sched_setaffinity(0, sizeof one, &one)) right = 0;
			if (sched_getcpu() != cpu) right = 0;
		}
	YES(right);
	return 0;
}
