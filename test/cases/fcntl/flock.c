// flock(2): shared, exclusive, conversion, inheritance.
#include "../case.h"

int main(void) {
	int a = MUST(open("f", O_RDONLY | O_CREAT, 0600)), b = MUST(open("f", O_RDONLY));
	OK(flock(a, LOCK_SH));
	OK(flock(b, LOCK_SH | LOCK_NB));
	OK(flock(a, LOCK_EX | LOCK_NB));
	OK(flock(b, LOCK_UN));
	OK(flock(a, LOCK_EX | LOCK_NB));
	OK(flock(b, LOCK_SH | LOCK_NB));
	RUN({
		OK(flock(a, LOCK_EX | LOCK_NB));
		OK(flock(b, LOCK_EX | LOCK_NB));
	});
	OK(flock(b, LOCK_EX | LOCK_NB));
	int d = dup(a);
	close(a);
	OK(flock(b, LOCK_SH | LOCK_NB));
	close(d);
	OK(flock(b, LOCK_EX | LOCK_NB));
	OK(flock(b, LOCK_UN));
	OK(flock(b, LOCK_UN));
	OK(flock(-1, LOCK_SH));
	OK(flock(b, 99));
	OK(flock(b, 0));
	a = MUST(open("f", O_RDONLY));
	MUST(flock(a, LOCK_EX));
	gate g = mkgate();
	pid_t p = SPAWN({
		int c = MUST(open("f", O_RDONLY));
		pass(g);
		OK(flock(c, LOCK_SH));
	});
	hold(g);
	sleeping(p);
	SAY("letting go");
	flock(a, LOCK_UN);
	reap(p);
	int pp[2];
	pipe(pp);
	OK(flock(pp[0], LOCK_SH | LOCK_NB));
	OK(flock(MUST(open(".", O_RDONLY)), LOCK_EX | LOCK_NB));
	return 0;
}
