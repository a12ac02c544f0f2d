// MS_MOVE and pivot_root(2).
#include "../case.h"

int main(void) {
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("w", 0755));
	MUST(mount("w", "w", "tmpfs", 0, NULL));
	MUST(chdir("w"));
	MUST(mkdir("a", 0755));
	MUST(mkdir("b", 0755));
	MUST(mount("x", "a", "tmpfs", 0, NULL));
	MUST(mkfile("a/f", "moved", 0600));
	OK(mount("a", "b", NULL, MS_MOVE, NULL));
	cat("b/f");
	OK(access("a/f", F_OK));
	OK(mount("b", "b/none", NULL, MS_MOVE, NULL));
	OK(mount("a", "b", NULL, MS_MOVE, NULL));
	MUST(mkdir("b/sub", 0755));
	OK(mount("b", "b/sub", NULL, MS_MOVE, NULL));
	MUST(mkdir("b/old", 0755));
	OK(syscall(SYS_pivot_root, "a", "a"));
	OK(syscall(SYS_pivot_root, "b", "b/none"));
	OK(syscall(SYS_pivot_root, "b", "a"));
	OK(syscall(SYS_pivot_root, "b", "b/old"));
	OK(chdir("/"));
	cat("/f");
	OK(access("/old/proc", F_OK));
	OK(umount2("/old", MNT_DETACH));
	OK(access("/old/proc", F_OK));
	DIR *d = opendir("/");
	int n = 0;
	while (readdir(d)) n++;
	SAY("%d entries", n);
	OK(mount("p", "/sub", "proc", 0, NULL));
	cat("/sub/self/comm");
	FILE *f = fopen("/sub/self/mounts", "r");
	char b[256];
	while (fgets(b, 256, f)) {
		char s[64], t[64], y[64];
		sscanf(b, "%63s %63s %63s", s, t, y);
		SAY("%s %s %s", s, t, y);
	}
	return 0;
}
