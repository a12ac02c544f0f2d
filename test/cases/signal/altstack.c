// sigaltstack(2).
#include "../case.h"
static char st[65536];
static char *volatile where;
static volatile int flags;
static void h(int s) {
	char c;
	where = &c;
	stack_t o;
	sigaltstack(NULL, &o);
	flags = o.ss_flags;
	stack_t n = {.ss_sp = st, .ss_size = sizeof st};
	OK(sigaltstack(&n, NULL));
}

int main(void) {
	stack_t s = {.ss_sp = st, .ss_size = sizeof st}, o;
	OK(sigaltstack(NULL, &o));
	YES(o.ss_flags == SS_DISABLE);
	OK(sigaltstack(&s, &o));
	struct sigaction sa = {.sa_handler = h, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	YES(where >= st && where < st + sizeof st);
	YES(flags == SS_ONSTACK);
	sa.sa_flags = 0;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	YES(where >= st && where < st + sizeof st);
	OK(sigaltstack(NULL, &o));
	YES(o.ss_sp == st && o.ss_size == sizeof st && o.ss_flags == 0);
	s.ss_size = 100;
	OK(sigaltstack(&s, NULL));
	s.ss_size = sizeof st;
	s.ss_flags = 99;
	OK(sigaltstack(&s, NULL));
	s.ss_flags = SS_DISABLE;
	OK(sigaltstack(&s, NULL));
	OK(sigaltstack((void *)1, NULL));
	s.ss_flags = (int)(1U << 31);
	OK(sigaltstack(&s, NULL));
	RUN({
		stack_t c;
		sigaltstack(NULL, &c);
		YES(c.ss_sp == st);
	});
	return 0;
}
