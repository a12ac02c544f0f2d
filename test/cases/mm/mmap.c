// mmap(2): arguments and errors.
#include "../case.h"
#define RW PROT_READ | PROT_WRITE
#define AN MAP_PRIVATE | MAP_ANONYMOUS

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600)), r = MUST(open("f", O_RDONLY)), w = MUST(open("f", O_WRONLY));
	MUST(ftruncate(fd, 8192));
	OK(mmap(0, 4096, RW, AN, -1, 0));
	OK(mmap(0, 0, RW, AN, -1, 0));
	OK(mmap(0, 4096, RW, MAP_ANONYMOUS, -1, 0));
	OK(mmap(0, 4096, RW, MAP_PRIVATE, -1, 0));
	OK(mmap(0, 4096, RW, MAP_SHARED, r, 0));
	OK(mmap(0, 4096, PROT_READ, MAP_SHARED, r, 0));
	OK(mmap(0, 4096, RW, MAP_PRIVATE, r, 0));
	OK(mmap(0, 4096, PROT_READ, MAP_SHARED, w, 0));
	OK(mmap(0, 4096, PROT_WRITE, MAP_SHARED, w, 0));
	OK(mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 1));
	OK(mmap(0, 4096, PROT_READ, MAP_SHARED, fd, -4096));
	OK(mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 1 << 20));
	OK(mmap((void *)123, 4096, RW, AN | MAP_FIXED, -1, 0));
	OK(mmap(0, 1UL << 50, RW, AN, -1, 0));
	OK(mmap(0, -1, RW, AN, -1, 0));
	OK(mmap(0, 4096, RW, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
	OK(mmap(0, 4096, RW, MAP_SHARED_VALIDATE, fd, 0));
	OK(mmap(0, 4096, RW, MAP_SHARED_VALIDATE | (1 << 26), fd, 0));
	OK(mmap(0, 4096, PROT_NONE, AN, -1, 0));
	OK(mmap(0, 4096, RW | PROT_EXEC, AN, -1, 0));
	OK(mmap(0, 4096, RW, AN | MAP_GROWSDOWN | MAP_STACK | MAP_NORESERVE | MAP_POPULATE, -1, 0));
	char *a = mmap(0, 16384, RW, AN, -1, 0);
	YES(mmap(a, 4096, RW, AN | MAP_FIXED, -1, 0) == a);
	OK(mmap(a, 4096, RW, AN | MAP_FIXED_NOREPLACE, -1, 0));
	munmap(a, 4096);
	YES(mmap(a, 4096, RW, AN | MAP_FIXED_NOREPLACE, -1, 0) == a);
	YES(mmap(a, 4096, RW, AN, -1, 0) != a);
	OK(mmap((void *)0x7ffffffff000, 4096, RW, AN | MAP_FIXED, -1, 0));
	OK(mmap((void *)(1UL << 47), 4096, RW, AN | MAP_FIXED, -1, 0));
	OK(mmap(0, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	OK(mmap(0, 4096, RW, AN | MAP_32BIT, -1, 0));
	YES((unsigned long)mmap(0, 4096, RW, AN | MAP_32BIT, -1, 0) < 1UL << 32);
	OK(mmap(0, 4096, RW, AN | MAP_LOCKED, -1, 0));
	OK(mmap(0, 100, RW, AN, 99, 0));
	OK(mmap(0, 4096, PROT_READ, MAP_PRIVATE, MUST(open(".", O_RDONLY)), 0));
	int p[2];
	pipe(p);
	OK(mmap(0, 4096, PROT_READ, MAP_PRIVATE, p[0], 0));
	OK(mmap(0, 4096, PROT_READ, 0, fd, 0));
	OK(munmap(a, 0));
	OK(munmap(a + 1, 4096));
	OK(munmap((void *)0x10000000, 4096));
	OK(munmap(a, -4096));
	OK(munmap(a + 4096, 4096));
	OK(munmap(a, 16384));
	OK(munmap(a, 16384));
	return 0;
}
