// mlock(2), mlockall, mincore, limits.
#include "../case.h"

int main(void) {
	int ps = 4096;
	char *m = mmap(0, 4 * ps, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char v[4];
	OK(mincore(m, 4 * ps, v));
	SAY("%d%d%d%d", v[0] & 1, v[1] & 1, v[2] & 1, v[3] & 1);
	m[ps] = 1;
	OK(mincore(m, 4 * ps, v));
	YES(v[1] & 1);
	OK(mlock(m, 2 * ps));
	OK(mincore(m, 4 * ps, v));
	YES(v[0] & v[1] & 1);
	OK(munlock(m, 2 * ps));
	OK(mlock2(m, ps, MLOCK_ONFAULT));
	OK(mlock2(m, ps, 8));
	OK(mlockall(MCL_CURRENT));
	OK(mlockall(0));
	OK(mlockall(99));
	OK(munlockall());
	OK(mincore(m + 1, ps, v));
	OK(mincore(m, ps, (void *)1));
	munmap(m + ps, ps);
	OK(mincore(m, 4 * ps, v));
	OK(mlock(m, 4 * ps));
	OK(munlock(m, 4 * ps));
	OK(mlock((void *)-4096UL, 8192));
	RUN({
		struct rlimit r = {ps, ps};
		MUST(setrlimit(RLIMIT_MEMLOCK, &r));
		MUST(setresuid(9, 9, 9));
		OK(mlock(m, ps));
		OK(mlock(m + 2 * ps, 2 * ps));
		OK(mlockall(MCL_CURRENT));
		r = (struct rlimit){0, 0};
		setrlimit(RLIMIT_MEMLOCK, &r);
		munlockall();
		OK(mlock(m, ps));
	});
	return 0;
}
