// unlink(2), unlinkat(2), files that live on while open.
#include "../case.h"

int main(void) {
	MUST(mkfile("f", "still here", 0644));
	MUST(mkdir("d", 0755));
	MUST(symlink("f", "l"));
	MUST(symlink("d", "ld"));
	OK(unlink("l"));
	OK(access("f", F_OK));
	OK(unlink("d"));
	OK(unlink("none"));
	OK(unlink("f/x"));
	OK(unlink("f/"));
	OK(unlink("d/"));
	OK(unlink(""));
	OK(unlink("/"));
	OK(unlink("."));
	OK(unlink(".."));
	OK(unlink("ld/"));
	OK(unlink("ld"));
	OK(unlink((void *)1));
	int fd = MUST(open("f", O_RDWR));
	OK(unlink("f"));
	OK(open("f", O_RDONLY));
	char b[32] = {0};
	VAL(read(fd, b, 32));
	SAY("%s", b);
	VAL(write(fd, "!", 1));
	struct stat s;
	fstat(fd, &s);
	SAY("links %ld size %ld", (long)s.st_nlink, (long)s.st_size);
	char p[64], l[256];
	snprintf(p, 64, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(p, l, 256);
	l[n] = 0;
	SAY("%s", strrchr(l, '/'));
	int again = OK(open(p, O_RDONLY));
	VAL(read(again, b, 32));
	OK(mkfile("f", "new", 0644));
	cat("f");
	RUN({
		execl("/bin/true", "true", NULL);
	});
	return 0;
}
