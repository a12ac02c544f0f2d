// Numbers beyond the table give ENOSYS.
#include "bare.h"

void start(long *sp) {
	num("", S(600));
	num("", S(1000));
	num("", S(-1));
	num("", S(0x7fffffff));
	S(231, 0);
}
