// brk(2), sbrk and RLIMIT_DATA.
#include "../case.h"

int main(void) {
	char *b = sbrk(0);
	YES(b != (void *)-1);
	OK(brk(b + 10000));
	YES((char *)sbrk(0) == b + 10000);
	b[9999] = 'x';
	SAY("%d %c", b[0], b[9999]);
	OK(brk(b + 100));
	OK(brk(b + 10000));
	SAY("%d", b[9999]);
	YES(syscall(SYS_brk, 0) == (long)(b + 10000));
	YES(syscall(SYS_brk, 4096) == (long)(b + 10000));
	OK(brk(b));
	struct rlimit r = {1 << 20, 1 << 20};
	OK(setrlimit(RLIMIT_DATA, &r));
	OK(brk(b + (4 << 20)));
	RUN({
		struct rlimit a = {64 << 20, 64 << 20};
		MUST(setrlimit(RLIMIT_AS, &a));
		OK(mmap(0, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		OK(mmap(0, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	});
	return 0;
}
