// The first thing a kernel must do: start a program and let it leave.
#include "bare.h"

void start(long *sp) {
	S(60, 0);
}
