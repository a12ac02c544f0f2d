// Three hundred children at once, reaped in any order.
#include "../case.h"

int main(void) {
	static pid_t k[300];
	int n = 0;
	gate g = mkgate();
	for (int i = 0; i < 300; i++) k[i] = SPAWN({
		hold(g);
		_exit(i % 7);
	});
	for (int i = 0; i < 300; i++) pass(g);
	int s, sum = 0;
	while (wait(&s) > 0) {
		n++;
		sum += WEXITSTATUS(s);
	}
	SAY("%d children, sum %d", n, sum);
	n = 0;
	for (int i = 0; i < 300; i++) if (kill(k[i], 0) == -1 && errno == ESRCH) n++;
	VAL(n);
	return 0;
}
