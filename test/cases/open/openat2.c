// openat2(2): RESOLVE_ flags and argument checks.
#include "../case.h"
#include <linux/openat2.h>
static int o2(int dir, const char *p, unsigned long long flags, unsigned long long mode, unsigned long long resolve) {
	struct open_how h = {flags, mode, resolve};
	return syscall(SYS_openat2, dir, p, &h, sizeof h);
}

int main(void) {
	MUST(mkdir("d", 0755));
	MUST(mkfile("d/f", "x", 0644));
	MUST(mkfile("g", "y", 0644));
	MUST(symlink("f", "d/l"));
	MUST(symlink("/d/f", "d/abs"));
	MUST(symlink("../g", "d/up"));
	int d = MUST(open("d", O_RDONLY));
	OK(o2(d, "f", O_RDONLY, 0, 0));
	OK(o2(d, "l", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
	OK(o2(d, "../g", O_RDONLY, 0, RESOLVE_BENEATH));
	OK(o2(d, "up", O_RDONLY, 0, RESOLVE_BENEATH));
	OK(o2(d, "abs", O_RDONLY, 0, RESOLVE_BENEATH));
	OK(o2(d, "/f", O_RDONLY, 0, RESOLVE_BENEATH));
	OK(o2(d, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
	OK(o2(d, "../../f", O_RDONLY, 0, RESOLVE_IN_ROOT));
	OK(o2(d, "up", O_RDONLY, 0, RESOLVE_IN_ROOT));
	OK(o2(d, "abs", O_RDONLY, 0, RESOLVE_IN_ROOT));
	OK(o2(AT_FDCWD, "/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
	OK(o2(AT_FDCWD, "/proc/self/exe", O_RDONLY, 0, 0));
	OK(o2(AT_FDCWD, "/proc/version", O_RDONLY, 0, RESOLVE_NO_XDEV));
	OK(o2(d, "f", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	OK(o2(d, "f", O_RDONLY, 0, 1 << 20));
	OK(o2(d, "f", O_RDONLY, 0600, 0));
	OK(o2(d, "new", O_WRONLY | O_CREAT, 0600, 0));
	OK(o2(d, "new2", O_WRONLY | O_CREAT, 010000, 0));
	OK(o2(d, "f", 1ULL << 40, 0, 0));
	OK(o2(d, "f", O_PATH | O_RDWR, 0, 0));
	struct {
		struct open_how h;
		char more[8];
	} big = {{O_RDONLY, 0, 0}, {0}};
	OK(syscall(SYS_openat2, d, "f", &big.h, sizeof big));
	big.more[0] = 1;
	OK(syscall(SYS_openat2, d, "f", &big.h, sizeof big));
	OK(syscall(SYS_openat2, d, "f", &big.h, 8));
	OK(syscall(SYS_openat2, d, "f", 0, sizeof big.h));
	return 0;
}
