// A system call changes rax, rcx and r11, and nothing else.
#include "../case.h"
struct regs {
	unsigned long v[16];
};

int main(void) {
	unsigned long b = 0x1111, d = 0x2222, s = 0x3333, di = 0x4444, r8 = 0x8888, r9 = 0x9999, r10 = 0xaaaa, r12 = 0xcccc, rcx = 1, r11 = 2, rax, flags;
	char x0[16] = "fifteen letters", x1[16];
	asm volatile("mov $0x1111, %%rbx\n\tmov $0x2222, %%rdx\n\tmov $0x3333, %%rsi\n\tmov $0x4444, %%rdi\n\tmov $0x8888, %%r8\n\tmov $0x9999, %%r9\n\tmov $0xaaaa, %%r10\n\tmov $0xcccc, %%r12\n\tmovups %[x0], %%xmm7\n\tmov $39, %%eax\n\tstc\n\tsyscall\n\t1: mov %%rax, %[rax]\n\tmov %%rcx, %[rcx]\n\tmov %%r11, %[r11]\n\tmov %%rbx, %[b]\n\tmov %%rdx, %[d]\n\tmov %%rsi, %[s]\n\tmov %%rdi, %[di]\n\tmov %%r8, %[r8]\n\tmov %%r9, %[r9]\n\tmov %%r10, %[r10]\n\tmov %%r12, %[r12]\n\tmovups %%xmm7, %[x1]" : [b] "=m"(b), [d] "=m"(d), [s] "=m"(s), [di] "=m"(di), [r8] "=m"(r8), [r9] "=m"(r9), [r10] "=m"(r10), [r12] "=m"(r12), [rcx] "=m"(rcx), [r11] "=m"(r11), [rax] "=m"(rax), [x1] "=m"(x1) : [x0] "m"(x0) : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "xmm7", "memory", "cc");
	SAY("%lx %lx %lx %lx %lx %lx %lx %lx", b, d, s, di, r8, r9, r10, r12);
	YES(rax == getpid());
	YES(rcx > 0x400000 && rcx < 0x1000000);
	YES(r11 & 1);
	SAY("%s", x1);
	return 0;
}
