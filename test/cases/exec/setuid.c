// Set-user-ID programs change ids, unless forbidden.
#include "../case.h"
static void copy(const char *from, const char *to) {
	int a = MUST(open(from, O_RDONLY)), b = MUST(open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755));
	char x[65536];
	ssize_t n;
	while ((n = read(a, x, sizeof x)) > 0) MUST(write(b, x, n));
	close(a);
	close(b);
}

int main(void) {
	MUST(chmod(".", 0755));
	copy("/usr/bin/id", "id");
	MUST(chown("id", 1234, 4321));
	MUST(chmod("id", 06755));
	STATUS("root runs it", RUN({
		setgroups(0, NULL);
		execl("./id", "id", NULL);
	}));
	STATUS("user runs it", RUN({
		setgroups(0, NULL);
		setresgid(9, 9, 9);
		setresuid(8, 8, 8);
		execl("./id", "id", NULL);
	}));
	STATUS("no_new_privs", RUN({
		setgroups(0, NULL);
		setresgid(9, 9, 9);
		setresuid(8, 8, 8);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		execl("./id", "id", NULL);
	}));
	MUST(chmod("id", 02745));
	STATUS("set-group-ID without group execute", RUN({
		setgroups(0, NULL);
		setresgid(9, 9, 9);
		setresuid(8, 8, 8);
		execl("./id", "id", NULL);
	}));
	MUST(chmod("id", 04755));
	STATUS("only user", RUN({
		setgroups(0, NULL);
		setresgid(9, 9, 9);
		setresuid(8, 8, 8);
		execl("./id", "id", NULL);
	}));
	MUST(chown("id", 0, 0));
	MUST(chmod("id", 04755));
	STATUS("to root", RUN({
		setgroups(0, NULL);
		setresgid(9, 9, 9);
		setresuid(8, 8, 8);
		execl("./id", "id", NULL);
	}));
	return 0;
}
