// access(2), faccessat(2): root, real ids, modes.
#include "../case.h"

int main(void) {
	MUST(mkfile("r", "", 0444));
	MUST(mkfile("none", "", 0));
	MUST(mkfile("x", "", 0111));
	MUST(mkdir("d", 0));
	MUST(symlink("gone", "l"));
	MUST(chmod(".", 0755));
	OK(access("r", R_OK));
	OK(access("r", W_OK));
	OK(access("r", X_OK));
	OK(access("none", R_OK | W_OK));
	OK(access("x", X_OK));
	OK(access("d", X_OK));
	OK(access("gone", F_OK));
	OK(access("l", F_OK));
	OK(access("r", 8));
	OK(access("r/x", F_OK));
	OK(faccessat(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	OK(syscall(SYS_faccessat2, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	OK(syscall(SYS_faccessat2, AT_FDCWD, "r", W_OK, AT_EACCESS));
	OK(syscall(SYS_faccessat2, AT_FDCWD, "r", W_OK, 1));
	int fd = MUST(open("r", O_RDONLY));
	OK(syscall(SYS_faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
	OK(syscall(SYS_faccessat2, fd, "", R_OK, 0));
	RUN({
		MUST(setresuid(1000, 1000, 1000));
		SAY("as user");
		OK(access("r", R_OK));
		OK(access("r", W_OK));
		OK(access("none", R_OK));
		OK(access("x", X_OK));
		OK(access("x", R_OK));
		OK(access("d", X_OK));
		OK(access("d/f", F_OK));
		OK(open("none", O_RDONLY));
		OK(open("new", O_CREAT | O_WRONLY, 0600));
		OK(open("r", O_RDONLY));
		OK(open("r", O_RDWR));
		OK(open("r", O_RDONLY | O_TRUNC));
	});
	RUN({
		MUST(setresuid(1000, 0, 0));
		SAY("real user, effective root");
		OK(access("none", R_OK));
		OK(syscall(SYS_faccessat2, AT_FDCWD, "none", R_OK, AT_EACCESS));
	});
	return 0;
}
