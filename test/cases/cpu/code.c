// The program's own text can be read; call sites look as they were written.
#include "../case.h"
extern char from[], to[];
asm(".text\n.globl from\nfrom:\n\tmov $39, %eax\n\tsyscall\n\tret\n.globl to\nto:\n");

int main(void) {
	unsigned char want[] = {0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3};
	YES(to - from == sizeof want);
	YES(((long (*)(void))from)() == getpid());
	for (int i = 0; i < 100; i++) ((long (*)(void))from)();
	YES(((long (*)(void))(from + 0))() == getpid());
	long r;
	asm volatile("mov $110, %%eax\n\tcall *%1" : "=&a"(r) : "r"(from + 5) : "rcx", "r11", "memory");
	YES(r == getppid());
	asm volatile("mov $102, %%eax\n\tcall *%1" : "=&a"(r) : "r"(from + 5) : "rcx", "r11", "memory");
	VAL(r);
	int p[2];
	pipe(p);
	write(p[1], from, sizeof want);
	unsigned char b[8];
	read(p[0], b, 8);
	YES(!memcmp(b, want, 8));
	int fd = open("/proc/self/mem", O_RDONLY);
	pread(fd, b, 8, (off_t)from);
	YES(!memcmp(b, want, 8));
	return 0;
}
