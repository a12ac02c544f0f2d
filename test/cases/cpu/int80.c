// 32-bit entry, x32 numbers, and vsyscall.
#include "../case.h"

int main(void) {
	long r;
	asm volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
	YES(r == getpid());
	VAL(syscall(0x40000000 | 39));
	OK(syscall(0x40000000 | 39));
	STATUS("vsyscall time", RUN({
		long (*v)(long *) = (void *)0xffffffffff600400;
		long t = v(NULL);
		SAY("%s", t > 1000000000 ? "works" : "strange");
	}));
	return 0;
}
