// /proc/self/maps shows mappings as they are.
#include "../case.h"
static void line(void *at) {
	FILE *f = fopen("/proc/self/maps", "r");
	char b[512], pr[8], name[256];
	unsigned long s, e, off;
	int n = 0;
	while (fgets(b, 512, f)) {
		name[0] = 0;
		sscanf(b, "%lx-%lx %7s %lx %*s %*s %255[^\n]", &s, &e, pr, &off, name);
		if ((unsigned long)at >= s && (unsigned long)at < e) {
			char *l = strrchr(name, '/');
			SAY("%s %lu pages before, %lu after, offset %lx %s", pr, ((unsigned long)at - s) / 4096, (e - (unsigned long)at) / 4096, off, l ? l + 1 : name[0] == '[' ? name : "");
			n++;
		}
	}
	fclose(f);
	if (!n) SAY("not mapped");
}

int main(void) {
	int fd = MUST(open("file", O_RDWR | O_CREAT, 0600));
	MUST(ftruncate(fd, 5 * 4096));
	char *m = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
	line(m);
	mprotect(m + 4096, 4096, PROT_READ);
	line(m);
	line(m + 4096);
	line(m + 8192);
	munmap(m + 8192, 4096);
	line(m + 8192);
	line(m + 3 * 4096);
	m = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(m, 4096, PROT_EXEC | PROT_READ);
	FILE *f = fopen("/proc/self/maps", "r");
	char b[512];
	int heap = 0, stack = 0, vdso = 0, self = 0;
	while (fgets(b, 512, f)) {
		heap += !!strstr(b, "[heap]");
		stack += !!strstr(b, "[stack]");
		vdso += !!strstr(b, "[vdso]");
		self += !!strstr(b, "mm-maps");
	}
	YES(heap == 1);
	YES(stack == 1);
	YES(vdso == 1);
	YES(self >= 3);
	unlink("file");
	f = fopen("/proc/self/maps", "r");
	while (fgets(b, 512, f)) if (strstr(b, "(deleted)")) {
		SAY("deleted file shown");
		break;
	}
	return 0;
}
