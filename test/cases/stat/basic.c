// stat(2), lstat(2), fstat(2), fstatat(2).
#include "../case.h"
static void show(const char *n, struct stat *s) {
	SAY("%s: %s %04o links %ld uid %d gid %d size %ld", n, ftype(s->st_mode), s->st_mode & 07777, (long)s->st_nlink, s->st_uid, s->st_gid, S_ISDIR(s->st_mode) ? 0L : (long)s->st_size);
}

int main(void) {
	struct stat a, b;
	MUST(mkfile("f", "hello", 0640));
	MUST(symlink("f", "l"));
	MUST(mkdir("d", 0750));
	MUST(mkdir("d/e", 0700));
	MUST(link("f", "h"));
	MUST(mkfifo("p", 0600));
	MUST(stat("f", &a));
	show("f", &a);
	MUST(stat("l", &b));
	show("l", &b);
	YES(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	MUST(lstat("l", &b));
	b.st_mode |= 0;
	show("l itself", &b);
	MUST(stat("d", &b));
	show("d", &b);
	MUST(stat("p", &b));
	show("p", &b);
	MUST(stat("h", &b));
	YES(b.st_ino == a.st_ino);
	YES(a.st_blksize >= 512);
	YES(a.st_blocks > 0);
	int fd = MUST(open("f", O_RDONLY));
	MUST(fstat(fd, &b));
	YES(b.st_ino == a.st_ino);
	int p[2];
	MUST(pipe(p));
	MUST(fstat(p[0], &b));
	show("pipe", &b);
	MUST(fstat(socket(AF_UNIX, SOCK_STREAM, 0), &b));
	SAY("socket: %s", ftype(b.st_mode));
	OK(stat("none", &b));
	OK(stat("f/", &b));
	OK(stat("d/", &b));
	OK(stat("", &b));
	OK(stat((void *)1, &b));
	OK(syscall(SYS_stat, "f", (void *)1));
	OK(fstat(-1, &b));
	OK(lstat("l/", &b));
	OK(fstatat(AT_FDCWD, "l", &b, AT_SYMLINK_NOFOLLOW));
	OK(fstatat(fd, "", &b, AT_EMPTY_PATH));
	OK(fstatat(fd, "", &b, 0));
	OK(fstatat(fd, "x", &b, 0));
	OK(fstatat(AT_FDCWD, "f", &b, 0x10000));
	OK(fstatat(-5, "f", &b, 0));
	unlink("f");
	unlink("h");
	fstat(fd, &b);
	SAY("links after unlink %ld", (long)b.st_nlink);
	return 0;
}
