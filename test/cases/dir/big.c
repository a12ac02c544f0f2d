// Ten thousand entries: made, listed, removed.
#include "../case.h"

int main(void) {
	MUST(mkdir("d", 0755));
	MUST(chdir("d"));
	char n[16];
	for (int i = 0; i < 10000; i++) {
		snprintf(n, 16, "e%d", i);
		int fd = MUST(open(n, O_CREAT | O_WRONLY, 0600));
		close(fd);
	}
	DIR *d = opendir(".");
	int c = 0;
	while (readdir(d)) c++;
	VAL(c);
	closedir(d);
	for (int i = 0; i < 10000; i += 2) {
		snprintf(n, 16, "e%d", i);
		MUST(unlink(n));
	}
	d = opendir(".");
	c = 0;
	while (readdir(d)) c++;
	VAL(c);
	OK(rmdir("../d"));
	for (int i = 1; i < 10000; i += 2) {
		snprintf(n, 16, "e%d", i);
		MUST(unlink(n));
	}
	OK(rmdir("../d"));
	return 0;
}
