// Fdinfo positions, flags, and special files.
#include "../case.h"
static void show(int fd) {
	char p[64], b[1024];
	snprintf(p, 64, "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(p, "r");
	if (!f) {
		SAY("%s", ename(errno));
		return;
	} while (fgets(b, 1024, f)) if (!strncmp(b, "pos", 3) || !strncmp(b, "flags", 5) || !strncmp(b, "eventfd-count", 13) || !strncmp(b, "tfd", 3) || !strncmp(b, "sigmask", 7)) {
		char *t = strstr(b, "ino:");
		if (t) *t = 0, strcat(b, "\n");
		printf("  %s", b);
	}
	fclose(f);
}

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
	write(fd, "12345", 5);
	show(fd);
	lseek(fd, 3, SEEK_SET);
	show(fd);
	int p[2];
	MUST(pipe2(p, O_NONBLOCK));
	show(p[0]);
	show(p[1]);
	show(eventfd(7, 0));
	show(99);
	DIR *d = opendir("/proc/self/fdinfo");
	int n = 0;
	while (readdir(d)) n++;
	YES(n >= 8);
	show(MUST(open(".", O_RDONLY | O_DIRECTORY)));
	show(MUST(open(".", O_PATH)));
	return 0;
}
