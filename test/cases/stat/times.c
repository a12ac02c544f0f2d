// Timestamps change with what is done.
#include "../case.h"
static struct timespec at, mt, ct;
static void mark(const char *n) {
	struct stat s;
	MUST(stat(n, &s));
	at = s.st_atim;
	mt = s.st_mtim;
	ct = s.st_ctim;
	msleep(15);
}
static int newer(struct timespec a, struct timespec b) {
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}
static void what(const char *n, const char *did) {
	struct stat s;
	MUST(stat(n, &s));
	SAY("%s %s: mtime %s, ctime %s", n, did, newer(s.st_mtim, mt) ? "moved" : "same", newer(s.st_ctim, ct) ? "moved" : "same");
}

int main(void) {
	MUST(mkfile("f", "x", 0644));
	MUST(mkdir("d", 0755));
	int fd = MUST(open("f", O_RDWR));
	mark("f");
	write(fd, "y", 1);
	what("f", "written");
	mark("f");
	write(fd, "y", 0);
	what("f", "written with nothing");
	mark("f");
	ftruncate(fd, 1);
	what("f", "truncated to its size");
	mark("f");
	ftruncate(fd, 100);
	what("f", "grown");
	mark("f");
	chmod("f", 0600);
	what("f", "chmod");
	mark("f");
	chown("f", 0, 0);
	what("f", "chown");
	mark("f");
	link("f", "g");
	what("f", "linked");
	mark("f");
	rename("g", "h");
	what("f", "renamed");
	mark("f");
	unlink("h");
	what("f", "unlinked");
	mark("f");
	close(open("f", O_RDONLY));
	what("f", "opened");
	mark("f");
	close(open("f", O_WRONLY | O_TRUNC));
	what("f", "opened with O_TRUNC");
	mark("d");
	mkfile("d/x", "", 0600);
	what("d", "entry made");
	mark("d");
	rename("d/x", "d/y");
	what("d", "entry renamed");
	mark("d");
	unlink("d/y");
	what("d", "entry removed");
	mark("d");
	mkdir("d/z", 0700);
	what("d", "subdirectory made");
	mark("d");
	chmod("d/z", 0755);
	what("d", "child changed");
	mark("d");
	rmdir("d/z");
	what("d", "subdirectory removed");
	mark("f");
	char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ftruncate(fd, 4096);
	mark("f");
	m[0] = 1;
	msync(m, 4096, MS_SYNC);
	SAY("done");
	return 0;
}
