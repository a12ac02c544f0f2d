// handlers, masks inside them, and siglongjmp.
#include "../case.h"
#include <setjmp.h>
static int depth, max, total;
static void h(int s) {
	depth++;
	if (depth > max) max = depth;
	if (depth < 4 && total++ < 20) raise(s == SIGUSR1 ? SIGUSR2 : SIGUSR1);
	depth--;
}
static sigjmp_buf j;
static void jump(int s) {
	siglongjmp(j, s);
}
static void show(int s) {
	sigset_t m;
	sigprocmask(SIG_BLOCK, NULL, &m);
	SAY("in %s: usr1 %d usr2 %d hup %d", signame(s), sigismember(&m, SIGUSR1), sigismember(&m, SIGUSR2), sigismember(&m, SIGHUP));
}

int main(void) {
	signal(SIGUSR1, h);
	signal(SIGUSR2, h);
	raise(SIGUSR1);
	SAY("depth %d", max);
	struct sigaction sa = {.sa_handler = h, .sa_flags = SA_NODEFER};
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	max = depth = total = 0;
	raise(SIGUSR1);
	SAY("depth %d", max);
	sa = (struct sigaction){.sa_handler = show};
	sigaddset(&sa.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sigset_t m;
	sigprocmask(SIG_BLOCK, NULL, &m);
	SAY("after: usr1 %d hup %d", sigismember(&m, SIGUSR1), sigismember(&m, SIGHUP));
	signal(SIGTERM, jump);
	int r = sigsetjmp(j, 1);
	if (!r) raise(SIGTERM);
	SAY("jumped with %s", signame(r));
	sigprocmask(SIG_BLOCK, NULL, &m);
	SAY("term blocked %d", sigismember(&m, SIGTERM));
	r = sigsetjmp(j, 0);
	if (!r) raise(SIGTERM);
	sigprocmask(SIG_BLOCK, NULL, &m);
	SAY("without saving: term blocked %d", sigismember(&m, SIGTERM));
	return 0;
}
