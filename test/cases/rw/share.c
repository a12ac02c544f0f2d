// One open file description in many descriptors and processes.
#include "../case.h"

int main(void) {
	int a = MUST(open("f", O_RDWR | O_CREAT, 0600)), b = dup(a), c = MUST(open("f", O_RDWR));
	MUST(write(a, "0123456789", 10));
	VAL(lseek(b, 0, SEEK_CUR));
	VAL(lseek(c, 0, SEEK_CUR));
	lseek(a, 0, SEEK_SET);
	pid_t k[4];
	int p[2];
	pipe(p);
	for (int i = 0; i < 4; i++) k[i] = SPAWN({
		char x;
		while (read(a, &x, 1) == 1) write(p[1], &x, 1);
	});
	for (int i = 0; i < 4; i++) reap(k[i]);
	char buf[32];
	ssize_t n = read(p[0], buf, 32);
	int seen[10] = {0};
	for (int i = 0; i < n; i++) seen[buf[i] - '0']++;
	int once = 1;
	for (int i = 0; i < 10; i++) once &= seen[i] == 1;
	SAY("%zd bytes, each once: %d", n, once);
	OK(fcntl(b, F_SETFL, O_APPEND));
	YES(fcntl(a, F_GETFL) & O_APPEND);
	YES(!(fcntl(c, F_GETFL) & O_APPEND));
	OK(close(a));
	VAL(write(b, "!", 1));
	char path[32];
	snprintf(path, 32, "/dev/fd/%d", c);
	int d = OK(open(path, O_RDONLY));
	lseek(c, 5, SEEK_SET);
	VAL(lseek(d, 0, SEEK_CUR));
	VAL(syscall(SYS_kcmp, getpid(), getpid(), 0, c, d) != 0);
	return 0;
}
