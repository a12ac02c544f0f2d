// Files removed, replaced and truncated while others use them.
#include "../case.h"

int main(void) {
	MUST(mkfile("f", "first", 0644));
	int a = MUST(open("f", O_RDWR));
	MUST(mkfile("new", "second", 0644));
	MUST(rename("new", "f"));
	char b[16] = {0};
	VAL(pread(a, b, 16, 0));
	SAY("%s", b);
	cat("f");
	char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
	strcpy(m, "mapped");
	cat("f");
	memset(b, 0, 16);
	pread(a, b, 16, 0);
	SAY("%.5s", b);
	close(a);
	SAY("%.6s", m);
	int e = MUST(open("exe", O_CREAT | O_WRONLY, 0755));
	int t = MUST(open("/bin/sleep", O_RDONLY));
	char x[65536];
	ssize_t n;
	while ((n = read(t, x, sizeof x)) > 0) write(e, x, n);
	close(e);
	pid_t k = SPAWN({
		execl("./exe", "exe", "5", NULL);
	});
	sleeping(k);
	OK(open("exe", O_WRONLY));
	OK(truncate("exe", 0));
	OK(unlink("exe"));
	OK(mkfile("exe", "other", 0755));
	kill(k, SIGTERM);
	STATUS("program", reap(k));
	int p = MUST(open("gone", O_CREAT | O_RDWR, 0600));
	unlink("gone");
	struct stat s;
	fstat(p, &s);
	SAY("%ld links", (long)s.st_nlink);
	char path[64];
	snprintf(path, 64, "/proc/self/fd/%d", p);
	OK(stat(path, &s));
	OK(linkat(AT_FDCWD, path, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));
	OK(fchmod(p, 0644));
	OK(futimens(p, NULL));
	return 0;
}
