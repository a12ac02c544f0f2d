// Deep trees and paths longer than PATH_MAX by steps.
#include "../case.h"

int main(void) {
	char name[101];
	memset(name, 'd', 100);
	name[100] = 0;
	int ok = 0;
	for (int i = 0; i < 60; i++) {
		if (mkdir(name, 0755) || chdir(name)) break;
		ok++;
	}
	VAL(ok);
	static char b[8192];
	OK(syscall(SYS_getcwd, b, 4096));
	long n = syscall(SYS_getcwd, b, 8192);
	SAY("%s", n == -1 ? ename(errno) : "long path");
	MUST(mkfile("f", "deep", 0644));
	cat("f");
	int fd = MUST(open(".", O_RDONLY));
	cat("./f");
	for (int i = 0; i < 60; i++) {
		MUST(chdir(".."));
	}
	OK(access(name, F_OK));
	OK(fchdir(fd));
	OK(unlink("f"));
	for (int i = 0; i < 60; i++) {
		MUST(chdir(".."));
		MUST(rmdir(name));
	}
	OK(access(name, F_OK));
	char p[4200] = "";
	for (int i = 0; i < 2000; i++) strcat(p, "./");
	strcat(p, "x");
	OK(mkfile(p, "", 0600));
	OK(access("x", F_OK));
	strcat(p, "/");
	memset(p + 4001, '/', 94);
	p[4095] = 0;
	OK(access(p, F_OK));
	return 0;
}
