// execveat(2), fexecve(3).
#include "../case.h"
static void x(int d, const char *p, int fl) {
	pid_t k = fork();
	if (!k) {
		char *v[] = {"x", "arg", NULL}, *e[] = {NULL};
		syscall(SYS_execveat, d, p, v, e, fl);
		SAY("%s: %s", p, ename(errno));
		fflush(stdout);
		_exit(1);
	}
	STATUS(p, reap(k));
}

int main(void) {
	MUST(mkdir("d", 0755));
	MUST(mkfile("d/s", "#!/bin/sh\necho \"$0 $1\" | sed 's,/dev/fd/[0-9]*,/dev/fd/N,'\n", 0755));
	MUST(symlink("s", "d/l"));
	int d = MUST(open("d", O_RDONLY | O_DIRECTORY));
	x(d, "s", 0);
	x(d, "l", 0);
	x(d, "l", AT_SYMLINK_NOFOLLOW);
	x(AT_FDCWD, "d/s", 0);
	int f = MUST(open("d/s", O_RDONLY)), c = MUST(open("d/s", O_RDONLY | O_CLOEXEC)), p = MUST(open("/bin/true", O_PATH));
	x(f, "", AT_EMPTY_PATH);
	x(c, "", AT_EMPTY_PATH);
	x(p, "", AT_EMPTY_PATH);
	x(f, "", 0);
	x(99, "s", 0);
	x(f, "s", 0);
	x(d, "none", 0);
	x(d, "s", 8);
	x(d, "", AT_EMPTY_PATH);
	STATUS("fexecve", RUN({
		int t = open("/bin/echo", O_RDONLY | O_CLOEXEC);
		char *v[] = {"echo", "by descriptor", NULL};
		fexecve(t, v, v + 2);
	}));
	int m = memfd_create("prog", 0), e = MUST(open("/bin/echo", O_RDONLY));
	char b[65536];
	ssize_t n;
	while ((n = read(e, b, sizeof b)) > 0) write(m, b, n);
	STATUS("memfd", RUN({
		char *v[] = {"echo", "from memory", NULL};
		fexecve(m, v, v + 2);
	}));
	return 0;
}
