// open, fstat, lseek, ftruncate, unlink.
#include "bare.h"

void start(long *sp) {
	long st[18];
	long f = S(2, "f", 0102, 0600);
	num("open ", f);
	num("write ", S(1, f, "0123456789", 10));
	num("fstat ", S(5, f, st));
	num("size ", st[6]);
	num("lseek ", S(8, f, -4, 2));
	char b[8];
	num("read ", S(0, f, b, 8));
	num("ftruncate ", S(77, f, 3));
	num("unlink ", S(87, "f"));
	num("again ", S(2, "f", 0));
	S(231, 0);
}
