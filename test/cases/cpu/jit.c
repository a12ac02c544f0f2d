// Code written at run time, changed, and run again.
#include "../case.h"

int main(void) {
	unsigned char *m = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char code[] = {0xb8, 7, 0, 0, 0, 0xc3};
	memcpy(m, code, 6);
	int (*f)(void) = (void *)m;
	VAL(f());
	m[1] = 9;
	VAL(f());
	unsigned char sys[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
	memcpy(m, sys, 8);
	YES(f() == getpid());
	YES(f() == getpid());
	m[1] = 110;
	YES(f() == getppid());
	memcpy(m, code, 6);
	VAL(f());
	m[5] = 0x90;
	m[6] = 0x0f;
	m[7] = 0x05;
	m[8] = 0xc3;
	m[1] = 39;
	YES(f() == getpid());
	for (int i = 0; i < 300; i++) {
		m[1] = i & 1 ? 39 : 110;
		int r = f();
		if (r != (i & 1 ? getpid() : getppid())) {
			SAY("wrong at %d", i);
			break;
		}
	}
	memcpy(m + 4096 - 6, sys, 8);
	f = (void *)(m + 4096 - 6);
	YES(f() == getpid());
	mprotect(m, 8192, PROT_READ | PROT_EXEC);
	YES(f() == getpid());
	char b[8];
	memcpy(b, m + 4096 - 6, 8);
	YES(!memcmp(b, sys, 8));
	RUN({
		YES(f() == getpid());
	});
	return 0;
}
