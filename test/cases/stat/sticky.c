// Sticky directories, set-group-ID directories.
#include "../case.h"

int main(void) {
	MUST(chmod(".", 0755));
	MUST(mkdir("t", 0777));
	MUST(chmod("t", 01777));
	MUST(mkfile("t/a", "", 0666));
	MUST(chown("t/a", 10, 10));
	MUST(mkfile("t/b", "", 0666));
	MUST(chown("t/b", 20, 20));
	MUST(mkdir("t/d", 0777));
	MUST(chown("t/d", 20, 20));
	RUN({
		setresuid(10, 10, 10);
		OK(unlink("t/b"));
		OK(rename("t/b", "t/c"));
		OK(rename("t/a", "t/b"));
		OK(rmdir("t/d"));
		OK(unlink("t/a"));
		OK(mkdir("t/mine", 0700));
		OK(rmdir("t/mine"));
	});
	MUST(chown("t", 10, 10));
	RUN({
		setresuid(10, 10, 10);
		OK(unlink("t/b"));
		OK(rmdir("t/d"));
	});
	MUST(mkdir("s", 0777));
	MUST(chown("s", 0, 50));
	MUST(chmod("s", 02777));
	RUN({
		setgroups(0, NULL);
		setresgid(30, 30, 30);
		setresuid(10, 10, 10);
		umask(0);
		MUST(mkfile("s/f", "", 0666));
		MUST(mkdir("s/d", 0777));
		int fd = MUST(open("s/x", O_CREAT | O_WRONLY, 02755));
		struct stat st;
		char *n[] = {"s/f", "s/d", "s/x"};
		for (int i = 0; i < 3; i++) {
			stat(n[i], &st);
			SAY("%s %d:%d %05o", n[i], st.st_uid, st.st_gid, st.st_mode & 07777);
		}
		MUST(symlink("q", "s/l"));
		lstat("s/l", &st);
		SAY("link %d:%d", st.st_uid, st.st_gid);
	});
	return 0;
}
