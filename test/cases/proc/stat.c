// /proc/self/stat, statm: fields in their places.
#include "../case.h"

int main(void) {
	char b[2048], *p, st;
	int fd = MUST(open("/proc/self/stat", O_RDONLY));
	ssize_t n = read(fd, b, 2047);
	b[n] = 0;
	prctl(PR_SET_NAME, "a) (b");
	close(fd);
	fd = MUST(open("/proc/self/stat", O_RDONLY));
	n = read(fd, b, 2047);
	b[n] = 0;
	YES(atoi(b) == getpid());
	YES(strstr(b, " (a) (b) ") != NULL);
	p = strrchr(b, ')') + 2;
	int ppid, pgrp, sid, tty, tpgid;
	sscanf(p, "%c %d %d %d %d %d", &st, &ppid, &pgrp, &sid, &tty, &tpgid);
	SAY("%c tty %d tpgid %d", st, tty, tpgid);
	YES(ppid == getppid() && pgrp == getpgrp() && sid == getsid(0));
	long f[60];
	int k = 0;
	char *q = p + 2;
	while (k < 60 && sscanf(q, "%ld", &f[k]) == 1) {
		k++;
		q = strchr(q, ' ');
		if (!q) break;
		q++;
	}
	SAY("%d fields", k + 3);
	SAY("priority %ld nice %ld threads %ld", f[14], f[15], f[16]);
	YES(f[19] > 0);
	YES(f[20] > 0);
	YES(b[n - 1] == '\n');
	fd = MUST(open("/proc/self/statm", O_RDONLY));
	n = read(fd, b, 2047);
	b[n] = 0;
	long m[7];
	VAL(sscanf(b, "%ld %ld %ld %ld %ld %ld %ld", m, m + 1, m + 2, m + 3, m + 4, m + 5, m + 6));
	YES(m[0] >= m[1] && m[1] > 0);
	lseek(fd, 0, SEEK_SET);
	VAL(read(fd, b, 1));
	VAL(read(fd, b, 0));
	VAL(write(fd, "x", 1));
	OK(open("/proc/self/stat", O_RDONLY | O_CREAT, 0600));
	return 0;
}
