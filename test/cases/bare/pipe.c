// pipe, read, write, close, dup2.
#include "bare.h"

void start(long *sp) {
	int p[2];
	char b[8];
	num("pipe ", S(22, p));
	num("first ", p[0]);
	num("write ", S(1, p[1], "abc", 3));
	num("read ", S(0, p[0], b, 8));
	num("close ", S(3, p[1]));
	num("end ", S(0, p[0], b, 8));
	num("dup2 ", S(33, 1, 9));
	S(1, 9, "by nine\n", 8);
	num("bad descriptor ", S(1, 77, "x", 1));
	num("bad address ", S(1, 1, 16, 1));
	S(231, 0);
}
