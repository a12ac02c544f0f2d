// The exit status is the low byte.
#include "bare.h"

void start(long *sp) {
	say("leaving with 42\n");
	S(231, 256 + 42);
}
