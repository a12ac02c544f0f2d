// Operations relative to directory descriptors after renames.
#include "../case.h"

int main(void) {
	MUST(mkdir("a", 0755));
	int d = MUST(open("a", O_RDONLY));
	OK(mkdirat(d, "b", 0755));
	OK(symlinkat("target", d, "l"));
	OK(mknodat(d, "p", S_IFIFO | 0600, 0));
	int f = OK(openat(d, "f", O_CREAT | O_RDWR, 0600));
	MUST(rename("a", "z"));
	OK(linkat(d, "f", d, "g", 0));
	OK(renameat(d, "g", AT_FDCWD, "out"));
	OK(access("out", F_OK));
	struct stat s;
	OK(fstatat(d, "b", &s, 0));
	OK(fchmodat(d, "f", 0640, 0));
	OK(fchownat(d, "f", 1, 2, 0));
	OK(faccessat(d, "f", R_OK, 0));
	struct timespec t[2] = {{1, 1}, {2, 2}};
	OK(utimensat(d, "f", t, 0));
	OK(unlinkat(d, "b", 0));
	OK(unlinkat(d, "b", AT_REMOVEDIR));
	OK(unlinkat(d, "l", AT_REMOVEDIR));
	OK(access("z/f", F_OK));
	OK(fchmodat(d, "f", 0640, AT_SYMLINK_NOFOLLOW) == 0 || errno == EOPNOTSUPP);
	int sub = OK(openat(d, "..", O_RDONLY));
	OK(faccessat(sub, "out", F_OK, 0));
	OK(renameat2(d, "f", d, "p", RENAME_EXCHANGE));
	fstatat(d, "f", &s, AT_SYMLINK_NOFOLLOW);
	SAY("f is a %s", ftype(s.st_mode));
	OK(mkdirat(f, "x", 0755));
	OK(symlinkat("x", f, "y"));
	OK(unlinkat(f, "x", 0));
	OK(mkdirat(d, "/", 0755));
	OK(mkdirat(99, "rel", 0755));
	return 0;
}
