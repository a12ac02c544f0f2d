// FS and GS base, trap flag, rdtsc, cpuid.
#include "../case.h"
static volatile int steps;
static void h(int s) {
	steps++;
}

int main(void) {
	long fs, gs, x = 42;
	YES(syscall(SYS_arch_prctl, 0x1003, &fs) == 0 && fs != 0);
	OK(syscall(SYS_arch_prctl, 0x1001, &x));
	OK(syscall(SYS_arch_prctl, 0x1004, &gs));
	YES(gs == (long)&x);
	long v;
	asm volatile("mov %%gs:0, %0" : "=r"(v));
	VAL(v);
	sched_yield();
	raise(0);
	asm volatile("mov %%gs:0, %0" : "=r"(v));
	VAL(v);
	RUN({
		asm volatile("mov %%gs:0, %0" : "=r"(v));
		VAL(v);
	});
	OK(syscall(SYS_arch_prctl, 0x1001, 1UL << 47));
	OK(syscall(SYS_arch_prctl, 0x1001, -1L));
	signal(SIGTRAP, h);
	asm volatile("pushf\n\torq $0x100, (%%rsp)\n\tpopf\n\tnop\n\tnop\n\tnop\n\tpushf\n\tandq $~0x100, (%%rsp)\n\tpopf" ::: "cc", "memory");
	YES(steps >= 4);
	unsigned lo, hi, lo2, hi2;
	asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	msleep(1);
	asm volatile("rdtsc" : "=a"(lo2), "=d"(hi2));
	YES(((unsigned long)hi2 << 32 | lo2) > ((unsigned long)hi << 32 | lo));
	unsigned a = 0, b, c, d;
	asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	YES(a > 0);
	STATUS("rdtsc switched off", RUN({
		signal(SIGSEGV, SIG_DFL);
		OK(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
		asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
	}));
	return 0;
}
