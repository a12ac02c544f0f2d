// chdir(2), fchdir(2), getcwd(2).
#include "../case.h"

int main(void) {
	char b[4096], base[4096];
	MUST(getcwd(base, 4096) ? 0 : -1);
	MUST(mkdir("a", 0755));
	MUST(mkdir("a/b", 0755));
	OK(chdir("a/b"));
	getcwd(b, 4096);
	SAY("%s", b + strlen(base));
	OK(chdir(".."));
	getcwd(b, 4096);
	SAY("%s", b + strlen(base));
	int fd = MUST(open("b", O_RDONLY));
	OK(fchdir(fd));
	getcwd(b, 4096);
	SAY("%s", b + strlen(base));
	MUST(rename("../b", "../c"));
	getcwd(b, 4096);
	SAY("%s", b + strlen(base));
	MUST(chdir(base));
	MUST(mkfile("f", "", 0600));
	OK(chdir("f"));
	OK(chdir("none"));
	OK(chdir(""));
	OK(chdir((void *)1));
	OK(fchdir(-1));
	OK(fchdir(MUST(open("f", O_RDONLY))));
	OK(syscall(SYS_getcwd, b, 1));
	OK(syscall(SYS_getcwd, (void *)1, 4096));
	OK(syscall(SYS_getcwd, b, 0));
	chdir("/");
	VAL(syscall(SYS_getcwd, b, 4096));
	SAY("%s", b);
	chdir(base);
	MUST(symlink("a/c", "l"));
	OK(chdir("l"));
	getcwd(b, 4096);
	SAY("%s", b + strlen(base));
	OK(rmdir("../c"));
	OK(syscall(SYS_getcwd, b, 4096));
	OK(chdir(".."));
	getcwd(b, 4096);
	SAY("%s", b + strlen(base));
	char l[4096];
	ssize_t n = readlink("/proc/self/cwd", l, 4096);
	l[n] = 0;
	SAY("%s", l + strlen(base));
	return 0;
}
