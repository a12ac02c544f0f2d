// rt_sigaction with a restorer, kill, rt_sigreturn.
#include "bare.h"

static volatile int got;
static void handler(int s) {
	got = s;
}
__asm__("restore:\n\tmov $15, %eax\n\tsyscall\n");
extern char restore[];

void start(long *sp) {
	struct {
		void *h;
		ul flags;
		void *restorer;
		ul mask;
	} sa = {handler, 0x04000000, restore, 0};
	num("sigaction ", S(13, 10, &sa, 0, 8));
	long me = S(39);
	num("kill ", S(62, me, 10));
	num("got ", got);
	S(231, 0);
}
