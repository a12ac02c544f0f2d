// mremap(2).
#include "../case.h"
#define AN MAP_PRIVATE | MAP_ANONYMOUS

int main(void) {
	int ps = 4096;
	char *m = mmap(0, 4 * ps, PROT_READ | PROT_WRITE, AN, -1, 0);
	strcpy(m, "first");
	strcpy(m + ps, "second");
	char *n = mremap(m, 4 * ps, ps, 0);
	YES(n == m);
	n = mremap(m, ps, 64 * ps, MREMAP_MAYMOVE);
	YES(n != MAP_FAILED);
	SAY("%s [%s]", n, n + ps);
	char *t = mmap(0, 8 * ps, PROT_READ, AN, -1, 0);
	n = mremap(n, 2 * ps, 3 * ps, MREMAP_MAYMOVE | MREMAP_FIXED, t);
	YES(n == t);
	SAY("%s", n);
	n[2 * ps] = 1;
	OK(mremap(n, 0, ps, MREMAP_MAYMOVE));
	OK(mremap(n + 1, ps, ps, 0));
	OK(mremap(n, ps, 0, 0));
	OK(mremap(n, ps, ps, 99));
	OK(mremap(n, ps, ps, MREMAP_FIXED, t));
	OK(mremap(n, ps, ps, MREMAP_FIXED | MREMAP_MAYMOVE, t + 1));
	OK(mremap(n, 2 * ps, 2 * ps, MREMAP_FIXED | MREMAP_MAYMOVE, n + ps));
	OK(mremap((void *)0x1000000, ps, 2 * ps, MREMAP_MAYMOVE));
	m = mmap(0, 4 * ps, PROT_READ | PROT_WRITE, AN, -1, 0);
	OK(mremap(m, ps, 2 * ps, 0));
	munmap(m + ps, ps);
	OK(mremap(m, 3 * ps, 5 * ps, MREMAP_MAYMOVE));
	OK(mremap(m, ps, 2 * ps, 0));
	m[ps] = 'x';
	char *s = mmap(0, ps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(s, "twice");
	char *s2 = mremap(s, 0, ps, MREMAP_MAYMOVE);
	YES(s2 != MAP_FAILED && s2 != s);
	SAY("%s", s2);
	s2[0] = 'T';
	SAY("%s", s);
	m = mmap(0, ps, PROT_READ | PROT_WRITE, AN, -1, 0);
	strcpy(m, "kept");
	n = (char *)syscall(SYS_mremap, m, ps, ps, MREMAP_MAYMOVE | 4, 0);
	YES(n != MAP_FAILED && n != m);
	SAY("%s, old empty: %s", n, *m ? "no" : "yes");
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	ftruncate(fd, 3 * ps);
	pwrite(fd, "one", 3, 0);
	pwrite(fd, "two", 3, ps);
	m = mmap(0, ps, PROT_READ, MAP_SHARED, fd, 0);
	n = mremap(m, ps, 2 * ps, MREMAP_MAYMOVE);
	SAY("%s %s", n, n + ps);
	return 0;
}
