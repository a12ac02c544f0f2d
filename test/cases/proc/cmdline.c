// cmdline, environ, comm, auxv.
#include "../case.h"

int main(void) {
	MUST(mkfile("s", "#!/bin/sh\ntr '\\0' '|' < /proc/$$/cmdline; echo; cat /proc/$$/comm; tr '\\0' '|' < /proc/$$/environ | grep -o 'MARK=[^|]*'\n", 0755));
	STATUS("script", RUN({
		char *e[] = {"MARK=here", "PATH=/bin:/usr/bin", NULL};
		execle("./s", "zero", "a b", "", "c", NULL, e);
	}));
	char b[4096];
	int fd = MUST(open("/proc/self/cmdline", O_RDONLY));
	ssize_t n = read(fd, b, 4096);
	YES(n > 0 && b[n - 1] == 0);
	fd = MUST(open("/proc/self/environ", O_RDONLY));
	n = read(fd, b, 4096);
	YES(memmem(b, n, "LC_ALL=C", 9) != NULL);
	fd = MUST(open("/proc/self/auxv", O_RDONLY));
	n = read(fd, b, 4096);
	YES(n > 0 && n % 16 == 0);
	long *a = (long *)b;
	int found = 0;
	for (int i = 0; i < n / 16; i++) found += a[2 * i] == 6 && a[2 * i + 1] == 4096;
	VAL(found);
	pid_t k = SPAWN({
		pause();
	});
	char p[64];
	kill(k, 9);
	siginfo_t i;
	waitid(P_PID, k, &i, WEXITED | WNOWAIT);
	snprintf(p, 64, "/proc/%d/cmdline", k);
	fd = OK(open(p, O_RDONLY));
	VAL(read(fd, b, 10));
	reap(k);
	VAL(read(fd, b, 10));
	OK(open(p, O_RDONLY));
	return 0;
}
