// fork and wait4.
#include "bare.h"

void start(long *sp) {
	int x = 1, st = 0;
	long k = S(57);
	if (k == 0) {
		x = 2;
		say("child\n");
		S(60, 5);
	}
	num("wait got the child ", S(61, k, &st, 0, 0) == k);
	num("status ", st);
	num("x ", x);
	num("no more children ", S(61, -1, &st, 0, 0));
	S(231, 0);
}
