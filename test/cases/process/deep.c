// A chain of forks, each waiting for the next.
#include "../case.h"
static int chain(int n) {
	if (n == 0) return 7;
	pid_t k = MUST(fork());
	if (k == 0) _exit(chain(n - 1));
	int s;
	waitpid(k, &s, 0);
	return WEXITSTATUS(s);
}

int main(void) {
	VAL(chain(60));
	return 0;
}
