// renameat2(2): NOREPLACE, EXCHANGE, WHITEOUT.
#include "../case.h"

int main(void) {
	MUST(mkfile("a", "a", 0644));
	MUST(mkfile("b", "b", 0644));
	MUST(mkdir("d", 0755));
	MUST(mkfile("d/x", "", 0644));
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
	OK(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	OK(renameat2(AT_FDCWD, "c", AT_FDCWD, "c", RENAME_NOREPLACE));
	OK(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE));
	cat("b");
	cat("c");
	OK(renameat2(AT_FDCWD, "c", AT_FDCWD, "d", RENAME_EXCHANGE));
	cat("d");
	OK(access("c/x", F_OK));
	OK(renameat2(AT_FDCWD, "c", AT_FDCWD, "none", RENAME_EXCHANGE));
	OK(renameat2(AT_FDCWD, "none", AT_FDCWD, "c", RENAME_EXCHANGE));
	OK(renameat2(AT_FDCWD, "c", AT_FDCWD, "c/y", RENAME_EXCHANGE));
	OK(renameat2(AT_FDCWD, "b", AT_FDCWD, "q", RENAME_EXCHANGE | RENAME_NOREPLACE));
	OK(renameat2(AT_FDCWD, "b", AT_FDCWD, "q", 1 << 10));
	OK(renameat2(-1, "b", AT_FDCWD, "q", 0));
	OK(renameat(AT_FDCWD, "b", AT_FDCWD, "q"));
	OK(renameat2(AT_FDCWD, "b", AT_FDCWD, "q", RENAME_NOREPLACE));
	return 0;
}
