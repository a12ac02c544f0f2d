// Path resolution: dots, slashes, links in the middle.
#include "../case.h"

int main(void) {
	MUST(mkdir("a", 0755));
	MUST(mkdir("a/b", 0755));
	MUST(mkfile("a/b/f", "x", 0644));
	MUST(symlink("a", "la"));
	MUST(symlink("a/b/", "lb"));
	MUST(symlink("a/b/f", "lf"));
	MUST(symlink("a/b/f/", "lfs"));
	MUST(symlink("..", "a/up"));
	MUST(symlink(".", "self"));
	MUST(mkfile("f", "", 0644));
	struct stat s;
	char *p[] = {"a//b///f", "./a/./b/./f", "a/b/../b/f", "la/b/f", "lb/f", "lf", "lf/", "lfs", "a/up/f", "a/up/a/up/f", "self/self/self/f", "f/.", "f/..", "a/b/f/..", "none/../f", "a/.", "a/..", "la/", "la/.", "/../../..", "a/b/f/x", "lb", "lb/", "self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/self/f"};
	for (int i = 0; i < sizeof p / sizeof *p; i++) {
		if (stat(p[i], &s) == -1) SAY("%.40s: %s", p[i], ename(errno));
		else SAY("%.40s: %s", p[i], ftype(s.st_mode));
		if (lstat(p[i], &s) == -1) SAY("  itself %s", ename(errno));
		else SAY("  itself %s", ftype(s.st_mode));
	}
	return 0;
}
