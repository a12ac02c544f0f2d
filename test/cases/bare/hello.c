// write and exit_group.
#include "bare.h"

void start(long *sp) {
	S(1, 1, "hello, bare world\n", 18);
	S(231, 0);
}
