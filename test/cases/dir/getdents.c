// getdents64(2): contents, types, seek, small buffers.
#include "../case.h"
static int cmp(const void *a, const void *b) {
	return strcmp(*(char **)a, *(char **)b);
}
struct d64 {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

int main(void) {
	MUST(mkfile("file", "", 0600));
	MUST(mkdir("sub", 0700));
	MUST(symlink("x", "link"));
	MUST(mkfifo("fifo", 0600));
	MUST(mknod("sock", S_IFSOCK | 0600, 0));
	char *lines[32];
	int n = 0;
	DIR *d = opendir(".");
	struct dirent *e;
	while ((e = readdir(d))) {
		char b[64];
		snprintf(b, 64, "%s type %d", e->d_name, e->d_type);
		lines[n++] = strdup(b);
		struct stat s;
		lstat(e->d_name, &s);
		if (strcmp(e->d_name, "..")) if (s.st_ino != e->d_ino) SAY("%s: inode differs", e->d_name);
	}
	qsort(lines, n, sizeof *lines, cmp);
	for (int i = 0; i < n; i++) SAY("%s", lines[i]);
	rewinddir(d);
	int again = 0;
	while (readdir(d)) again++;
	SAY("again %d", again);
	MUST(mkfile("more", "", 0600));
	rewinddir(d);
	again = 0;
	while (readdir(d)) again++;
	SAY("after adding %d", again);
	int fd = MUST(open(".", O_RDONLY));
	char b[1024];
	VAL(syscall(SYS_getdents64, fd, b, 10));
	VAL(syscall(SYS_getdents64, fd, b, 24));
	int total = 0, calls = 0;
	long r;
	while ((r = syscall(SYS_getdents64, fd, b, 64)) > 0) {
		calls++;
		for (long o = 0; o < r;) {
			struct d64 *x = (void *)(b + o);
			total++;
			o += x->len;
			if (x->len % 8) SAY("bad alignment");
		}
	}
	SAY("total with small buffer: %s", total == 7 || total == 8 ? "all" : "lost");
	VAL(syscall(SYS_getdents64, fd, b, 1024));
	VAL(lseek(fd, 0, SEEK_SET));
	YES(syscall(SYS_getdents64, fd, b, 1024) > 0);
	MUST(mkfile("f2", "", 0600));
	int f = MUST(open("f2", O_RDONLY));
	OK(syscall(SYS_getdents64, f, b, 1024));
	OK(syscall(SYS_getdents64, -1, b, 1024));
	lseek(fd, 0, SEEK_SET);
	OK(syscall(SYS_getdents64, fd, (void *)1, 1024));
	MUST(mkdir("gone", 0700));
	int g = MUST(open("gone", O_RDONLY));
	MUST(rmdir("gone"));
	OK(syscall(SYS_getdents64, g, b, 1024));
	lseek(fd, 0, SEEK_SET);
	YES(syscall(SYS_getdents, fd, b, 1024) > 0);
	return 0;
}
