// brk, mmap, munmap, and zeroed pages.
#include "bare.h"

static char bss[100000];

void start(long *sp) {
	long sum = 0;
	for (int i = 0; i < 100000; i += 1000) sum += bss[i];
	num("bss ", sum);
	long b = S(12, 0);
	num("brk grows ", S(12, b + 8192) == b + 8192);
	*(char *)b = 7;
	num("brk byte ", *(char *)b);
	char *m = (char *)S(9, 0, 65536, 3, 0x22, -1, 0);
	sum = 0;
	for (int i = 0; i < 65536; i += 4096) sum += m[i], m[i] = 1;
	for (int i = 0; i < 65536; i += 4096) sum += m[i];
	num("mmap sum ", sum);
	num("munmap ", S(11, m, 65536));
	num("munmap unaligned ", S(11, m + 1, 65536));
	S(231, 0);
}
