// Running code from mapped files, and their permissions.
#include "../case.h"

int main(void) {
	MUST(chmod(".", 0755));
	int fd = MUST(open("code", O_RDWR | O_CREAT, 0755));
	unsigned char c[] = {0xb8, 77, 0, 0, 0, 0xc3};
	MUST(write(fd, c, 6));
	MUST(ftruncate(fd, 4096));
	int (*f)(void) = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	VAL(f());
	f = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	VAL(f());
	c[1] = 78;
	MUST(pwrite(fd, c, 6, 0));
	VAL(f());
	unsigned char *w = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	w[1] = 79;
	VAL(f());
	unsigned char *p = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, fd, 0);
	p[1] = 80;
	VAL(((int (*)(void))p)());
	VAL(f());
	unsigned char s[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
	MUST(pwrite(fd, s, 8, 0));
	YES(f() == getpid());
	YES(f() == getpid());
	char b[8];
	pread(fd, b, 8, 0);
	YES(!memcmp(b, s, 8));
	RUN({
		YES(f() == getpid());
	});
	YES(!memcmp(w, s, 8));
	return 0;
}
