// Floating point state across calls, signals and threads.
#include "../case.h"
#include <fenv.h>
static volatile double acc;
static void h(int s) {
	volatile double x = 1;
	for (int i = 1; i < 50; i++) x = x / i + 3.25;
	asm volatile("fninit");
	acc = x;
}
static void *t(void *a) {
	double v = (long)a;
	for (int i = 0; i < 20000; i++) {
		v = v * 1.0000001;
		if (i % 100 == 0) sched_yield();
	}
	return (void *)(long)(v * 1000);
}

int main(void) {
	signal(SIGUSR1, h);
	unsigned short cw = 0x27f, got;
	unsigned mx = 0x9fc0, mg;
	asm volatile("fldcw %0" ::"m"(cw));
	asm volatile("ldmxcsr %0" ::"m"(mx));
	getppid();
	raise(SIGUSR1);
	asm volatile("fnstcw %0" : "=m"(got));
	asm volatile("stmxcsr %0" : "=m"(mg));
	SAY("%x %x", got, mg & 0xffc0);
	mx = 0x1f80;
	asm volatile("ldmxcsr %0" ::"m"(mx));
	RUN({
		asm volatile("fnstcw %0" : "=m"(got));
		SAY("child %x", got);
	});
	pthread_t p[4];
	void *r[4];
	for (long i = 0; i < 4; i++) pthread_create(&p[i], NULL, t, (void *)(i + 1));
	for (int i = 0; i < 4; i++) pthread_join(p[i], &r[i]);
	double v[4];
	int same = 1;
	for (long i = 0; i < 4; i++) same &= r[i] == t((void *)(i + 1));
	YES(same);
	unsigned char y0[32], y1[32];
	for (int i = 0; i < 32; i++) y0[i] = i * 7;
	if (__builtin_cpu_supports("avx")) {
		asm volatile("vmovups %1, %%ymm9\n\tmov $39, %%eax\n\tsyscall\n\tvmovups %%ymm9, %0\n\tvzeroupper" : "=m"(y1) : "m"(y0) : "rax", "rcx", "r11", "xmm9");
		YES(!memcmp(y0, y1, 32));
		asm volatile("vmovups %1, %%ymm9\n\tmov $62, %%eax\n\tmov %2, %%rdi\n\tmov $10, %%esi\n\tsyscall\n\tvmovups %%ymm9, %0\n\tvzeroupper" : "=m"(y1) : "m"(y0), "r"((long)getpid()) : "rax", "rcx", "r11", "rdi", "rsi", "xmm9");
		YES(!memcmp(y0, y1, 32));
	}
	return 0;
}
