// O_NOFOLLOW, loops, dangling links, magic of O_CREAT through links.
#include "../case.h"

int main(void) {
	MUST(mkfile("f", "data", 0644));
	MUST(symlink("f", "l"));
	MUST(symlink("nowhere", "dangle"));
	MUST(symlink("b", "a"));
	MUST(symlink("a", "b"));
	OK(open("l", O_RDONLY));
	OK(open("l", O_RDONLY | O_NOFOLLOW));
	OK(open("l", O_RDONLY | O_NOFOLLOW | O_PATH));
	OK(open("a", O_RDONLY));
	OK(open("a", O_RDONLY | O_CREAT, 0600));
	OK(open("dangle", O_RDONLY));
	OK(open("dangle", O_WRONLY | O_CREAT | O_EXCL, 0600));
	OK(open("dangle", O_WRONLY | O_CREAT, 0600));
	OK(access("nowhere", F_OK));
	MUST(mkdir("d", 0755));
	MUST(symlink("d", "ld"));
	OK(open("ld", O_RDONLY | O_DIRECTORY));
	OK(open("ld", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	OK(open("ld/", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
	OK(open("l/", O_RDONLY));
	char from[16], to[16];
	MUST(mkfile("c0", "end", 0644));
	for (int i = 1; i <= 41; i++) {
		snprintf(from, 16, "c%d", i);
		snprintf(to, 16, "c%d", i - 1);
		MUST(symlink(to, from));
	}
	OK(open("c40", O_RDONLY));
	OK(open("c41", O_RDONLY));
	return 0;
}
