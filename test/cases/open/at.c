// openat(2): directory descriptors and their errors.
#include "../case.h"

int main(void) {
	MUST(mkdir("d", 0755));
	MUST(mkfile("d/f", "x", 0644));
	MUST(mkfile("g", "y", 0644));
	int d = OK(open("d", O_RDONLY | O_DIRECTORY));
	OK(openat(d, "f", O_RDONLY));
	OK(openat(d, "../g", O_RDONLY));
	OK(openat(d, "g", O_RDONLY));
	OK(openat(-1, "g", O_RDONLY));
	OK(openat(-1, "/dev/null", O_RDONLY));
	OK(openat(AT_FDCWD, "g", O_RDONLY));
	int g = OK(open("g", O_RDONLY));
	OK(openat(g, "x", O_RDONLY));
	OK(openat(g, "", O_RDONLY));
	int p = OK(open("d", O_PATH));
	OK(openat(p, "f", O_RDONLY));
	MUST(unlink("d/f"));
	MUST(rmdir("d"));
	OK(openat(d, "f", O_RDONLY));
	OK(openat(d, "f", O_WRONLY | O_CREAT, 0600));
	OK(openat(d, ".", O_RDONLY));
	OK(openat(d, "..", O_RDONLY));
	return 0;
}
