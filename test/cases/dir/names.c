// Odd names: unicode, control characters, dots, long.
#include "../case.h"

int main(void) {
	char *n[] = {"sp ace", "new\nline", "\xc3\xa9t\xc3\xa9", "\xff\xfe", "...", ".hidden", "-dash", "a\\b", "tab\there", "*?[x]", "\1\2\3", "..x", "x.."};
	int c = sizeof n / sizeof *n, bad = 0;
	for (int i = 0; i < c; i++) {
		MUST(mkfile(n[i], n[i], 0600));
		char b[64] = {0};
		int fd = open(n[i], O_RDONLY);
		read(fd, b, 63);
		close(fd);
		bad += strcmp(b, n[i]) != 0;
	}
	VAL(bad);
	DIR *d = opendir(".");
	struct dirent *e;
	int found = 0;
	while ((e = readdir(d))) for (int i = 0; i < c; i++) found += !strcmp(e->d_name, n[i]);
	SAY("%d of %d", found, c);
	for (int i = 0; i < c; i++) {
		bad += rename(n[i], "moved");
		bad += access("moved", F_OK);
		bad += unlink("moved");
	}
	VAL(bad);
	rewinddir(d);
	found = 0;
	while ((e = readdir(d))) found++;
	VAL(found);
	MUST(mkfile("CASE", "", 0600));
	OK(access("case", F_OK));
	char l[256];
	memset(l, 0xe9, 255);
	l[255] = 0;
	OK(mkfile(l, "", 0600));
	OK(unlink(l));
	return 0;
}
