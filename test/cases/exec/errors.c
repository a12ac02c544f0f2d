// execve(2): every reason to refuse.
#include "../case.h"
static void x(const char *p) {
	pid_t k = fork();
	if (!k) {
		execl(p, "x", NULL);
		SAY("%.40s: %s", p, ename(errno));
		fflush(stdout);
		_exit(1);
	}
	reap(k);
}

int main(void) {
	MUST(mkfile("noexec", "#!/bin/sh\n", 0644));
	MUST(mkfile("empty", "", 0755));
	MUST(mkfile("text", "echo hi\n", 0755));
	MUST(mkfile("short", "\177ELF", 0755));
	MUST(mkfile("elfish", "\177ELF\2\1\1 garbage garbage garbage garbage garbage garbage garbage garbage", 0755));
	MUST(mkfile("badint", "#!/no/such/interpreter\n", 0755));
	MUST(mkfile("nointerp", "#!\n", 0755));
	MUST(mkfile("dirint", "#!/usr\n", 0755));
	MUST(mkfile("self", "#!./self\n", 0755));
	MUST(mkdir("dir", 0755));
	MUST(symlink("loop", "loop"));
	MUST(mkfifo("fifo", 0755));
	x("none");
	x("noexec");
	x("empty");
	x("text");
	x("short");
	x("elfish");
	x("badint");
	x("nointerp");
	x("dirint");
	x("self");
	x("dir");
	x("loop");
	x("fifo");
	x("");
	x("empty/x");
	x("/dev/null");
	RUN({
		OK(execve((void *)1, NULL, NULL));
	});
	RUN({
		char *bad[] = {(void *)1, NULL};
		OK(execve("/bin/true", bad, NULL));
	});
	RUN({
		char *big = malloc(200 << 10);
		memset(big, 'x', (200 << 10) - 1);
		big[(200 << 10) - 1] = 0;
		OK(execl("/bin/true", "true", big, NULL));
	});
	RUN({
		int n = 30000;
		char *one = malloc(100);
		memset(one, 'y', 99);
		one[99] = 0;
		char **v = calloc(n + 1, sizeof *v);
		for (int i = 0; i < n; i++) v[i] = one;
		OK(execv("/bin/true", v));
	});
	MUST(mkfile("user", "#!/bin/sh\nexit 0\n", 0700));
	RUN({
		MUST(setresuid(1000, 1000, 1000));
		OK(execl("./user", "user", NULL));
	});
	int w = MUST(open("text", O_WRONLY));
	RUN({
		OK(execl("./text", "text", NULL));
	});
	return 0;
}
