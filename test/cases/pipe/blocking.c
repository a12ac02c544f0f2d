// Blocked readers and writers wake, atomic writes.
#include "../case.h"

int main(void) {
	int p[2];
	MUST(pipe(p));
	pid_t k = SPAWN({
		char b[10];
		close(p[1]);
		VAL(read(p[0], b, 10));
		VAL(read(p[0], b, 10));
	});
	sleeping(k);
	MUST(write(p[1], "abc", 3));
	sleeping(k);
	close(p[1]);
	reap(k);
	close(p[0]);
	MUST(pipe(p));
	k = SPAWN({
		static char big[200000];
		close(p[0]);
		VAL(write(p[1], big, 200000));
	});
	close(p[1]);
	static char b[200000];
	long total = 0, n;
	while ((n = read(p[0], b, 7777)) > 0) total += n;
	SAY("total %ld", total);
	reap(k);
	MUST(pipe(p));
	k = SPAWN({
		static char big[200000];
		signal(SIGPIPE, SIG_IGN);
		close(p[0]);
		YES(write(p[1], big, 200000) > 0);
		VAL(write(p[1], big, 1));
	});
	close(p[1]);
	sleeping(k);
	read(p[0], b, 100);
	close(p[0]);
	reap(k);
	MUST(pipe(p));
	pid_t w[3];
	for (int i = 0; i < 3; i++) w[i] = SPAWN({
		char m[4096];
		memset(m, 'a' + i, 4096);
		for (int j = 0; j < 50; j++) MUST(write(p[1], m, 4096));
	});
	close(p[1]);
	int mixed = 0, count = 0;
	for (;;) {
		int have = 0;
		while (have < 4096 && (n = read(p[0], b + have, 4096 - have)) > 0) have += n;
		if (!have) break;
		count++;
		for (int i = 1; i < 4096; i++) if (b[i] != b[0]) {
			mixed++;
			break;
		}
	}
	SAY("%d records, %d mixed", count, mixed);
	for (int i = 0; i < 3; i++) reap(w[i]);
	return 0;
}
