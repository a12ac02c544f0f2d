// utimensat(2), futimens(3), utimes, utime.
#include "../case.h"
#include <utime.h>
static void show(const char *n) {
	struct stat s;
	MUST(lstat(n, &s));
	SAY("%s: atime %ld.%09ld mtime %ld.%09ld", n, (long)s.st_atim.tv_sec, s.st_atim.tv_nsec, (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

int main(void) {
	MUST(mkfile("f", "x", 0644));
	MUST(symlink("f", "l"));
	struct timespec t[2] = {{100, 5}, {200, 999999999}};
	OK(utimensat(AT_FDCWD, "f", t, 0));
	show("f");
	t[0].tv_nsec = UTIME_OMIT;
	t[1].tv_sec = 300;
	t[1].tv_nsec = 0;
	OK(utimensat(AT_FDCWD, "f", t, 0));
	show("f");
	t[0].tv_nsec = UTIME_OMIT, t[1].tv_nsec = UTIME_OMIT;
	OK(utimensat(AT_FDCWD, "f", t, 0));
	OK(utimensat(AT_FDCWD, "none", t, 0));
	show("f");
	t[0].tv_nsec = 0, t[1].tv_nsec = 1000000000;
	OK(utimensat(AT_FDCWD, "f", t, 0));
	t[1].tv_nsec = -1;
	OK(utimensat(AT_FDCWD, "f", t, 0));
	t[0] = (struct timespec){7, 0}, t[1] = (struct timespec){8, 0};
	OK(utimensat(AT_FDCWD, "l", t, AT_SYMLINK_NOFOLLOW));
	show("l");
	show("f");
	int fd = MUST(open("f", O_RDONLY));
	OK(futimens(fd, t));
	show("f");
	OK(utimensat(fd, "", t, AT_EMPTY_PATH));
	OK(utimensat(AT_FDCWD, "f", t, 0x8000));
	OK(utimensat(-1, "f", t, 0));
	OK(syscall(SYS_utimensat, AT_FDCWD, NULL, t, 0));
	t[0].tv_sec = -5;
	OK(futimens(fd, t));
	show("f");
	struct timeval v[2] = {{11, 999999}, {12, 1}};
	OK(utimes("f", v));
	show("f");
	v[0].tv_usec = 1000000;
	OK(utimes("f", v));
	struct utimbuf u = {21, 22};
	OK(utime("f", &u));
	show("f");
	OK(utime("f", NULL));
	struct stat s;
	stat("f", &s);
	YES(s.st_mtime > 1000000000);
	OK(futimesat(AT_FDCWD, "f", NULL));
	t[0].tv_nsec = UTIME_NOW;
	t[1] = (struct timespec){9, 9};
	OK(utimensat(AT_FDCWD, "f", t, 0));
	stat("f", &s);
	YES(s.st_atime > 1000000000 && s.st_mtime == 9);
	return 0;
}
