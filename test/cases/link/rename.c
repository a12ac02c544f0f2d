// rename(2): every pair of kinds.
#include "../case.h"
static void mk(const char *n, char k) {
	char p[64];
	switch (k) {
		case 'f':
		mkfile(n, "f", 0644);
		break;
		case 'd':
		mkdir(n, 0755);
		break;
		case 'n':
		mkdir(n, 0755);
		snprintf(p, 64, "%s/x", n);
		mkfile(p, "", 0600);
		break;
		case 'l':
		symlink("t", n);
		break;
		case 'p':
		mkfifo(n, 0600);
		break;
	}
}

int main(void) {
	char *kinds = "fdnlp-", a[8], b[8];
	int k = 0;
	for (char *x = kinds; *x; x++) for (char *y = kinds; *y; y++) {
		k++;
		snprintf(a, 8, "a%d", k);
		snprintf(b, 8, "b%d", k);
		mk(a, *x);
		mk(b, *y);
		int r = rename(a, b);
		struct stat s;
		SAY("%c over %c: %s, old %s", *x, *y, r ? ename(errno) : "ok", lstat(a, &s) ? "gone" : "there");
	}
	MUST(mkdir("d", 0755));
	MUST(mkdir("d/e", 0755));
	OK(rename("d", "d/e/x"));
	OK(rename("d", "d"));
	OK(rename("d/e", "d"));
	OK(rename("d/.", "x"));
	OK(rename("d/..", "x"));
	OK(rename("d", "."));
	OK(rename("d", ".."));
	OK(rename("d/", "q/"));
	OK(rename("q/e", "e"));
	mk("f", 'f');
	OK(rename("f", "g/"));
	OK(rename("f/", "g"));
	OK(rename("f", "none/g"));
	OK(rename("f/x", "g"));
	OK(rename("", "g"));
	OK(rename("f", ""));
	OK(link("f", "h"));
	OK(rename("f", "h"));
	OK(access("f", F_OK));
	YES(rename("/", "x") == -1);
	YES(rename("f", "/") == -1);
	OK(rename("f", "/proc/x"));
	char n[300];
	memset(n, 'n', 256);
	n[256] = 0;
	OK(rename("f", n));
	OK(rename("q", "e/q"));
	OK(access("e/q", F_OK));
	int fd = MUST(open("f", O_RDONLY));
	OK(rename("f", "moved"));
	struct stat s;
	fstat(fd, &s);
	SAY("links %ld", (long)s.st_nlink);
	return 0;
}
