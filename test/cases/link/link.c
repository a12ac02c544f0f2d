// link(2), linkat(2).
#include "../case.h"

int main(void) {
	struct stat s;
	MUST(mkfile("f", "data", 0644));
	MUST(mkdir("d", 0755));
	MUST(symlink("f", "l"));
	OK(link("f", "g"));
	stat("f", &s);
	SAY("links %ld", (long)s.st_nlink);
	OK(link("f", "g"));
	OK(link("f", "d/x"));
	OK(link("d", "dd"));
	OK(link("none", "x"));
	OK(link("f", "none/x"));
	OK(link("f", "f/x"));
	OK(link("f", ""));
	OK(link("", "x"));
	OK(link("f", "new/"));
	OK(link("f/", "x"));
	OK(link("l", "hl"));
	lstat("hl", &s);
	SAY("hl is a %s", ftype(s.st_mode));
	OK(linkat(AT_FDCWD, "l", AT_FDCWD, "hf", AT_SYMLINK_FOLLOW));
	lstat("hf", &s);
	SAY("hf is a %s", ftype(s.st_mode));
	OK(linkat(AT_FDCWD, "f", AT_FDCWD, "q", 1));
	OK(linkat(-1, "f", AT_FDCWD, "q", 0));
	OK(linkat(AT_FDCWD, "f", -1, "q", 0));
	int fd = MUST(open("f", O_RDONLY));
	OK(linkat(fd, "", AT_FDCWD, "byfd", AT_EMPTY_PATH));
	OK(linkat(fd, "", AT_FDCWD, "byfd2", 0));
	MUST(unlink("f"));
	cat("g");
	OK(link("g", "."));
	OK(link("g", "d"));
	OK(link("/proc/version", "v"));
	OK(link("d/x", "/dev/shm/none-such-dir/x"));
	MUST(symlink("target", "dang"));
	OK(link("g", "dang"));
	OK(link("dang", "dang2"));
	return 0;
}
