// Signals leave the red zone and the stack alone.
#include "../case.h"
static volatile int hits;
static void h(int s) {
	char b[256];
	memset(b, 0xff, 256);
	hits++;
}

int main(void) {
	signal(SIGUSR1, h);
	long a, b;
	long pid = getpid();
	for (int i = 0; i < 100; i++) {
		asm volatile("movq $0x1234, -8(%%rsp)\n\tmovq $0x5678, -120(%%rsp)\n\tmov $62, %%eax\n\tmov %2, %%rdi\n\tmov $10, %%esi\n\tsyscall\n\tmov -8(%%rsp), %0\n\tmov -120(%%rsp), %1" : "=&r"(a), "=&r"(b) : "r"(pid) : "rax", "rcx", "r11", "rdi", "rsi", "memory");
		if (a != 0x1234 || b != 0x5678) {
			SAY("lost");
			break;
		}
	}
	SAY("%d", hits);
	struct itimerval t = {{0, 500}, {0, 500}};
	signal(SIGALRM, h);
	hits = 0;
	setitimer(ITIMER_REAL, &t, NULL);
	long bad = 0;
	while (hits < 50) {
		asm volatile("movq $0x77, -16(%%rsp)\n\tmov $39, %%eax\n\tsyscall\n\tmov -16(%%rsp), %0" : "=&r"(a)::"rax", "rcx", "r11", "memory");
		bad += a != 0x77;
	}
	VAL(bad);
	return 0;
}
