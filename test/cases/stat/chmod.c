// chmod(2), fchmod, fchmodat and the bits that chown clears.
#include "../case.h"
static void m(const char *n) {
	struct stat s;
	MUST(lstat(n, &s));
	SAY("%s %04o %d:%d", n, s.st_mode & 07777, s.st_uid, s.st_gid);
}

int main(void) {
	MUST(mkfile("f", "x", 0644));
	MUST(symlink("f", "l"));
	OK(chmod("f", 07777));
	m("f");
	OK(chmod("l", 0600));
	m("f");
	OK(chmod("f", 0170000 | 0644));
	m("f");
	OK(chmod("none", 0));
	OK(chmod("f/x", 0));
	int fd = MUST(open("f", O_RDONLY));
	OK(fchmod(fd, 0400));
	m("f");
	OK(fchmod(-1, 0));
	OK(syscall(SYS_fchmodat, AT_FDCWD, "f", 0604));
	m("f");
	OK(syscall(452, AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
	OK(syscall(452, fd, "", 0601, AT_EMPTY_PATH));
	m("f");
	OK(syscall(452, AT_FDCWD, "f", 0600, 8));
	OK(chmod("f", 06755));
	OK(chown("f", 0, 0));
	m("f");
	OK(chmod("f", 06755));
	OK(chown("f", -1, -1));
	m("f");
	OK(chmod("f", 02644));
	OK(chown("f", 5, 6));
	m("f");
	OK(chmod("f", 06755));
	RUN({
		int w = MUST(open("f", O_WRONLY));
		MUST(setresuid(9, 9, 9));
		MUST(write(w, "y", 1));
	});
	m("f");
	OK(chmod("f", 06755));
	int w = MUST(open("f", O_WRONLY));
	MUST(write(w, "z", 1));
	m("f");
	MUST(mkdir("d", 0755));
	OK(chmod("d", 02755));
	MUST(chown("d", 0, 77));
	MUST(chmod("d", 02755));
	MUST(mkfile("d/x", "", 0600));
	m("d/x");
	MUST(mkdir("d/sub", 0700));
	m("d/sub");
	MUST(chown("f", 1000, 2000));
	RUN({
		gid_t g[1] = {2000};
		setgroups(1, g);
		MUST(setresgid(2000, 2000, 2000));
		MUST(setresuid(1000, 1000, 1000));
		OK(chmod("f", 02755));
		m("f");
	});
	MUST(chown("f", 1000, 3000));
	RUN({
		setgroups(0, 0);
		MUST(setresgid(2000, 2000, 2000));
		MUST(setresuid(1000, 1000, 1000));
		OK(chmod("f", 02755));
		m("f");
	});
	return 0;
}
