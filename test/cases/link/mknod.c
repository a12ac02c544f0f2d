// mknod(2), mkfifo(3).
#include "../case.h"
static void t(const char *n) {
	struct stat s;
	if (lstat(n, &s)) SAY("%s: %s", n, ename(errno));
	else SAY("%s: %s %04o", n, ftype(s.st_mode), s.st_mode & 07777);
}

int main(void) {
	OK(mknod("r", S_IFREG | 0666, 0));
	t("r");
	OK(mknod("z", 0640, 0));
	t("z");
	OK(mknod("p", S_IFIFO | 0666, 0));
	t("p");
	OK(mknod("s", S_IFSOCK | 0600, 0));
	t("s");
	OK(mknod("d", S_IFDIR | 0700, 0));
	OK(mknod("l", S_IFLNK | 0700, 0));
	OK(mknod("bad", 0110000, 0));
	OK(mknod("p", S_IFIFO | 0666, 0));
	OK(mknod("none/x", S_IFREG, 0));
	OK(mknod("x/", S_IFREG, 0));
	OK(mknod("null", S_IFCHR | 0666, 0x103));
	t("null");
	OK(open("s", O_RDWR));
	OK(open("p", O_RDWR | O_NONBLOCK));
	OK(open("p", O_WRONLY | O_NONBLOCK));
	OK(mknodat(-1, "q", S_IFIFO, 0));
	OK(mkfifo("p", 0600));
	OK(mkfifo("q", 01644));
	t("q");
	return 0;
}
