// Permission bits by owner, group and other; search permission.
#include "../case.h"

int main(void) {
	MUST(chmod(".", 0755));
	MUST(mkfile("o", "x", 0400));
	MUST(chown("o", 1000, 2000));
	MUST(mkfile("g", "x", 0040));
	MUST(chown("g", 5, 2000));
	MUST(mkfile("w", "x", 0004));
	MUST(mkfile("ng", "x", 0404));
	MUST(chown("ng", 5, 2000));
	MUST(mkdir("s", 0711));
	MUST(mkfile("s/f", "x", 0644));
	MUST(mkdir("n", 0744));
	MUST(mkfile("n/f", "x", 0644));
	MUST(mkdir("st", 01777));
	MUST(chmod("st", 01777));
	MUST(mkfile("st/root", "x", 0666));
	RUN({
		gid_t gs[] = {2000};
		MUST(setgroups(1, gs));
		MUST(setresgid(3000, 3000, 3000));
		MUST(setresuid(1000, 1000, 1000));
		OK(open("o", O_RDONLY));
		OK(open("o", O_WRONLY));
		OK(open("g", O_RDONLY));
		OK(open("w", O_RDONLY));
		OK(open("ng", O_RDONLY));
		OK(open("s/f", O_RDONLY));
		OK(open("s", O_RDONLY));
		OK(open("n/f", O_RDONLY));
		OK(open("n", O_RDONLY));
		OK(chdir("n"));
		OK(chdir("s"));
		OK(chdir(".."));
		OK(chmod("o", 0600));
		OK(chmod("g", 0600));
		OK(chown("o", 1000, 3000));
		OK(chown("o", 1000, 2000));
		OK(chown("o", 1001, -1));
		OK(chown("o", 1000, 7));
		OK(unlink("o"));
		OK(mkdir("x", 0700));
		OK(rename("o", "p"));
		OK(unlink("st/root"));
		OK(rename("st/root", "st/mine"));
		OK(open("st/new", O_CREAT | O_WRONLY, 0600));
		OK(unlink("st/new"));
		OK(utimes("o", NULL));
		OK(utimes("g", NULL));
		struct timeval tv[2] = {{1, 0}, {1, 0}};
		OK(utimes("o", tv));
		OK(utimes("w", tv));
		OK(link("w", "st/lw"));
		OK(open("o", O_RDONLY | O_NOATIME));
		OK(open("w", O_RDONLY | O_NOATIME));
		OK(chroot("/"));
		OK(mknod("st/dev", S_IFCHR | 0600, 0x103));
		OK(mknod("st/fifo", S_IFIFO | 0600, 0));
	});
	return 0;
}
