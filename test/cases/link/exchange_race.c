// Renames while others look: a name is never missing.
#include "../case.h"

int main(void) {
	MUST(mkfile("a", "a", 0644));
	MUST(mkfile("b", "b", 0644));
	pid_t k = SPAWN({
		for (int i = 0; i < 3000; i++) {
			MUST(mkfile("tmp", "new", 0644));
			MUST(rename("tmp", "a"));
		}
	});
	int missing = 0, st;
	while (waitpid(k, &st, WNOHANG) == 0) {
		int fd = open("a", O_RDONLY);
		if (fd == -1) missing++;
		else close(fd);
	}
	VAL(missing);
	k = SPAWN({
		for (int i = 0; i < 3000; i++) MUST(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE));
	});
	while (waitpid(k, &st, WNOHANG) == 0) {
		if (access("a", F_OK) || access("b", F_OK)) missing++;
	}
	VAL(missing);
	return 0;
}
