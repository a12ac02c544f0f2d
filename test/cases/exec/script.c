// #! lines: options, spaces, length, nesting.
#include "../case.h"
static void x(const char *p) {
	pid_t k = fork();
	if (!k) {
		execl(p, "argv0", "last", NULL);
		SAY("%s: %s", p, ename(errno));
		fflush(stdout);
		_exit(1);
	}
	STATUS(p, reap(k));
}

int main(void) {
	MUST(mkfile("show", "#!/bin/sh\nfor a in \"$@\"; do echo \"[$a]\"; done\n", 0755));
	MUST(mkfile("opt", "#!./show one two\t three  \nrest\n", 0755));
	x("./opt");
	MUST(mkfile("space", "#!  ./show   arg\n", 0755));
	x("./space");
	MUST(mkfile("nonl", "#!./show", 0755));
	x("./nonl");
	MUST(mkfile("tab", "#!\t./show\targ\n", 0755));
	x("./tab");
	MUST(mkfile("n1", "#!./opt n1\n", 0755));
	x("./n1");
	MUST(mkfile("n2", "#!./n1\n", 0755));
	x("./n2");
	MUST(mkfile("n3", "#!./n2\n", 0755));
	x("./n3");
	MUST(mkfile("n4", "#!./n3\n", 0755));
	x("./n4");
	MUST(mkfile("n5", "#!./n4\n", 0755));
	x("./n5");
	char b[400] = "#!./show ";
	memset(b + 9, 'a', 300);
	strcpy(b + 309, "\n");
	MUST(mkfile("long", b, 0755));
	x("./long");
	memset(b + 2, 'z', 300);
	MUST(mkfile("longpath", b, 0755));
	x("./longpath");
	MUST(mkfile("crlf", "#!/bin/sh\r\necho\r\n", 0755));
	x("./crlf");
	MUST(symlink("opt", "link"));
	x("./link");
	return 0;
}
