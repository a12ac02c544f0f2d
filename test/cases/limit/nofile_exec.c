// Limits seen by programs and passed on.
#include "../case.h"

int main(void) {
	struct rlimit r = {33, 44};
	OK(setrlimit(RLIMIT_NOFILE, &r));
	system("ulimit -Sn; ulimit -Hn");
	r = (struct rlimit){1 << 20, 1 << 21};
	OK(setrlimit(RLIMIT_STACK, &r));
	system("ulimit -Ss; ulimit -Hs");
	r = (struct rlimit){0, 0};
	OK(setrlimit(RLIMIT_CORE, &r));
	system("ulimit -c");
	r = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	OK(setrlimit(RLIMIT_CPU, &r));
	system("ulimit -t");
	FILE *f = fopen("/proc/self/limits", "r");
	char b[256];
	while (fgets(b, 256, f)) if (strstr(b, "open files") || strstr(b, "stack size") || strstr(b, "core file") || strstr(b, "cpu time")) printf("%s", b);
	return 0;
}
