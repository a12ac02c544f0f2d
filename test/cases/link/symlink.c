// symlink(2), readlink(2).
#include "../case.h"

int main(void) {
	char b[64] = {0};
	OK(symlink("target", "l"));
	VAL(readlink("l", b, 64));
	SAY("%s", b);
	VAL(readlink("l", b, 3));
	VAL(readlink("l", b, 0));
	VAL(readlink("l", b, -1));
	OK(symlink("x", "l"));
	OK(symlink("", "e"));
	OK(symlink("x", ""));
	OK(symlink("x", "none/l"));
	OK(symlink("x", "n/"));
	MUST(mkfile("f", "", 0644));
	OK(symlink("x", "f"));
	OK(symlink("x", "f/y"));
	VAL(readlink("f", b, 64));
	VAL(readlink(".", b, 64));
	VAL(readlink("none", b, 64));
	VAL(readlink("", b, 64));
	VAL(readlink("l", (void *)1, 64));
	VAL(readlink("l/", b, 64));
	char *big = malloc(5000);
	memset(big, 'x', 4999);
	big[4999] = 0;
	OK(symlink(big, "big"));
	big[4095] = 0;
	OK(symlink(big, "big"));
	VAL(readlink("big", big, 5000));
	struct stat s;
	lstat("l", &s);
	SAY("%04o size %ld", s.st_mode & 07777, (long)s.st_size);
	int d = MUST(open(".", O_RDONLY));
	OK(symlinkat("t2", d, "l2"));
	VAL(readlinkat(d, "l2", b, 64));
	OK(symlinkat("t2", -1, "l3"));
	int p = MUST(open("l2", O_PATH | O_NOFOLLOW));
	VAL(readlinkat(p, "", b, 64));
	VAL(readlinkat(d, "", b, 64));
	OK(unlink("l"));
	OK(symlink("./..//odd/../path/", "odd"));
	b[readlink("odd", b, 64)] = 0;
	SAY("%s", b);
	return 0;
}
