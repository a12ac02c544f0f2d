// chown(2), lchown, fchownat.
#include "../case.h"
static void m(const char *n) {
	struct stat s;
	MUST(lstat(n, &s));
	SAY("%s %d:%d", n, s.st_uid, s.st_gid);
}

int main(void) {
	MUST(mkfile("f", "x", 0644));
	MUST(symlink("f", "l"));
	OK(chown("l", 10, 20));
	m("f");
	m("l");
	OK(lchown("l", 11, 21));
	m("f");
	m("l");
	OK(chown("f", -1, 30));
	m("f");
	OK(chown("f", 12, -1));
	m("f");
	OK(fchownat(AT_FDCWD, "l", 1, 2, AT_SYMLINK_NOFOLLOW));
	m("l");
	int fd = MUST(open("f", O_RDONLY));
	OK(fchown(fd, 3, 4));
	m("f");
	OK(fchownat(fd, "", 5, 6, AT_EMPTY_PATH));
	m("f");
	OK(fchownat(fd, "", 5, 6, 0));
	OK(fchownat(AT_FDCWD, "f", 1, 1, 0x400000));
	OK(chown("none", 0, 0));
	OK(fchown(-1, 0, 0));
	OK(chown("f/x", 0, 0));
	OK(chown("", 0, 0));
	return 0;
}
