// madvise(2): DONTNEED, REMOVE, FREE, fork advice.
#include "../case.h"

int main(void) {
	int ps = 4096;
	char *m = mmap(0, 4 * ps, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(m, 'x', 4 * ps);
	OK(madvise(m, ps, MADV_DONTNEED));
	SAY("%d %c", m[0], m[ps]);
	OK(madvise(m, ps, MADV_NORMAL));
	OK(madvise(m, ps, MADV_RANDOM));
	OK(madvise(m, ps, MADV_SEQUENTIAL));
	OK(madvise(m, ps, MADV_WILLNEED));
	OK(madvise(m, ps, MADV_FREE));
	OK(madvise(m, ps, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	OK(madvise(m, ps, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
	OK(madvise(m, ps, MADV_DONTDUMP));
	OK(madvise(m, ps, MADV_DODUMP));
	OK(madvise(m, ps, MADV_COLD));
	OK(madvise(m, ps, MADV_PAGEOUT));
	OK(madvise(m, ps, MADV_POPULATE_READ));
	OK(madvise(m, ps, MADV_POPULATE_WRITE));
	OK(madvise(m, ps, 9999));
	OK(madvise(m + 1, ps, MADV_DONTNEED));
	OK(madvise(m, 0, MADV_DONTNEED));
	OK(madvise(m, -1, MADV_DONTNEED));
	munmap(m + ps, ps);
	OK(madvise(m, 4 * ps, MADV_DONTNEED));
	SAY("%d %d", m[0], m[2 * ps]);
	m[0] = 'w';
	m[2 * ps] = 'w';
	OK(madvise(m, ps, MADV_WIPEONFORK));
	OK(madvise(m + 2 * ps, ps, MADV_DONTFORK));
	STATUS("wiped", RUN({
		_exit(m[0]);
	}));
	STATUS("not forked", RUN({
		_exit(m[2 * ps]);
	}));
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	ftruncate(fd, 2 * ps);
	char *s = mmap(0, 2 * ps, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *p = mmap(0, ps, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	strcpy(s, "file");
	strcpy(p, "mine");
	OK(madvise(p, ps, MADV_DONTNEED));
	SAY("%s", p);
	OK(madvise(s, ps, MADV_DONTNEED));
	SAY("%s", s);
	OK(madvise(s, ps, MADV_REMOVE));
	SAY("[%s]", s);
	OK(madvise(m, ps, MADV_REMOVE));
	OK(madvise(s, ps, MADV_FREE));
	OK(madvise(s, ps, MADV_WIPEONFORK));
	return 0;
}
