// chroot(2) and what is seen inside.
#include "../case.h"

int main(void) {
	MUST(mkdir("jail", 0755));
	MUST(mkdir("jail/sub", 0755));
	MUST(mkfile("jail/f", "inside", 0644));
	MUST(mkfile("out", "outside", 0644));
	MUST(symlink("/f", "jail/abs"));
	int fd = MUST(open(".", O_RDONLY));
	OK(chroot("none"));
	OK(chroot("out"));
	OK(chroot(""));
	OK(chroot((void *)1));
	RUN({
		MUST(chdir("jail"));
		OK(chroot("."));
		cat("/f");
		cat("/../f");
		cat("/abs");
		cat("../../f");
		OK(open("/out", O_RDONLY));
		char b[64];
		getcwd(b, 64);
		SAY("%s", b);
		OK(fchdir(fd));
		cat("out");
		VAL(syscall(SYS_getcwd, b, 64) > 0);
		SAY("%.13s", b);
		OK(chdir("/sub"));
		getcwd(b, 64);
		SAY("%s", b);
	});
	RUN({
		MUST(chroot("jail"));
		cat("f");
		cat("jail/f");
		cat("/f");
		MUST(chdir("/"));
		cat("f");
		MUST(mkdir("deep", 0755));
		MUST(chroot("deep"));
		cat("../f");
		chdir("..");
		chdir("..");
		struct stat s;
		YES(stat("jail", &s) == 0 || stat("f", &s) == 0);
	});
	return 0;
}
