// Extended attributes: user and trusted names.
#include "../case.h"
#include <sys/xattr.h>

int main(void) {
	MUST(mkfile("f", "x", 0644));
	MUST(symlink("f", "l"));
	char b[64] = {0};
	OK(setxattr("f", "user.a", "one", 3, 0));
	VAL(getxattr("f", "user.a", b, 64));
	SAY("%s", b);
	VAL(getxattr("f", "user.a", NULL, 0));
	VAL(getxattr("f", "user.a", b, 2));
	OK(setxattr("f", "user.a", "two", 3, XATTR_CREATE));
	OK(setxattr("f", "user.b", "two", 3, XATTR_REPLACE));
	OK(setxattr("f", "user.a", "three", 5, XATTR_REPLACE));
	OK(setxattr("f", "user.empty", "", 0, 0));
	VAL(getxattr("f", "user.empty", b, 64));
	VAL(getxattr("f", "user.none", b, 64));
	OK(setxattr("f", "bad", "x", 1, 0));
	OK(setxattr("f", "bad.name", "x", 1, 0));
	OK(setxattr("f", "", "x", 1, 0));
	OK(setxattr("f", "user.c", "x", 1, 99));
	OK(setxattr("none", "user.c", "x", 1, 0));
	OK(setxattr("f", "user.big", b, 70000, 0));
	char n[300] = "user.";
	memset(n + 5, 'n', 290);
	OK(setxattr("f", n, "x", 1, 0));
	VAL(listxattr("f", b, 64) > 0);
	VAL(listxattr("f", b, 1));
	OK(lsetxattr("l", "user.x", "x", 1, 0));
	VAL(lgetxattr("l", "user.a", b, 64));
	OK(removexattr("f", "user.a"));
	OK(removexattr("f", "user.a"));
	int fd = MUST(open("f", O_RDONLY));
	OK(fsetxattr(fd, "user.d", "d", 1, 0));
	VAL(fgetxattr(fd, "user.d", b, 64));
	OK(fremovexattr(fd, "user.d"));
	OK(fgetxattr(-1, "user.d", b, 64));
	OK(setxattr("f", "trusted.t", "t", 1, 0));
	VAL(getxattr("f", "trusted.t", b, 64));
	MUST(mkfifo("p", 0600));
	OK(setxattr("p", "user.a", "x", 1, 0));
	MUST(chmod(".", 0755));
	RUN({
		MUST(setresuid(1000, 1000, 1000));
		OK(setxattr("f", "user.q", "x", 1, 0));
		OK(getxattr("f", "trusted.t", b, 64));
		OK(getxattr("f", "user.empty", b, 64));
		OK(setxattr("f", "trusted.u", "x", 1, 0));
		OK(setxattr("f", "security.foo", "x", 1, 0));
	});
	OK(getxattr("f", "security.capability", b, 64));
	OK(getxattr("f", "system.posix_acl_access", b, 64));
	return 0;
}
