/* No libc: system calls by hand, a few lines of output. */
typedef unsigned long ul;
static inline long sys(long n, long a, long b, long c, long d, long e, long f) {
	long r;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return r;
}
#define S(n, ...) sys_(n, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define sys_(n, a, b, c, d, e, f, ...) sys(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
static inline void say(const char *s) {
	long n = 0;
	while (s[n]) n++;
	S(1, 1, s, n);
}
static inline void num(const char *s, long v) {
	char b[32];
	int i = 31, neg = v < 0;
	ul u = neg ? -v : v;
	b[i] = '\n';
	do b[--i] = '0' + u % 10; while (u /= 10);
	if (neg) b[--i] = '-';
	say(s);
	S(1, 1, b + i, 32 - i);
}
void start(long *sp);
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
