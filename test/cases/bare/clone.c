// A thread by clone, joined by CLEARTID and futex.
#include "bare.h"

static char stack[65536] __attribute__((aligned(16)));
static volatile int tid, x;

void start(long *sp) {
	tid = 1;
	register long r10 __asm__("r10") = (long)&tid;
	long r;
	/* CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|CHILD_CLEARTID */
	__asm__ volatile("mov $56, %%eax\n\tsyscall\n\ttest %%eax, %%eax\n\tjnz 1f\n\tmovl $7, %[x]\n\tmov $60, %%eax\n\txor %%edi, %%edi\n\tsyscall\n\t1:"
			 : "=a"(r), [x] "+m"(x)
			 : "D"(0x250f00), "S"(stack + sizeof stack), "d"(0), "r"(r10)
			 : "rcx", "r11", "memory");
	num("clone ", r > 0);
	while (tid) S(202, &tid, 0, 1, 0);
	num("x ", x);
	S(231, 0);
}
