// Copy-on-write between parent and children.
#include "../case.h"

int main(void) {
	char *m = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(m, 'p', 1 << 20);
	gate g = mkgate();
	pid_t k = SPAWN({
		hold(g);
		int bad = 0;
		for (int i = 0; i < 1 << 20; i += 4096) bad += m[i] != 'p';
		SAY("child sees %d changed pages", bad);
		memset(m, 'c', 1 << 20);
		STATUS("grandchild", RUN({
			int o = 0;
			for (int i = 0; i < 1 << 20; i += 4096) o += m[i] != 'c';
			m[0] = 'g';
			_exit(o);
		}));
		SAY("child %c", m[0]);
	});
	for (int i = 0; i < 1 << 20; i += 8192) m[i] = 'q';
	pass(g);
	reap(k);
	int q = 0, pp = 0, other = 0;
	for (int i = 0; i < 1 << 20; i += 4096) if (m[i] == 'q') q++;
	else if (m[i] == 'p') pp++;
	else other++;
	SAY("%d %d %d", q, pp, other);
	char b[4];
	int p[2];
	pipe(p);
	write(p[1], "xyz", 3);
	k = fork();
	if (!k) {
		hold(g);
		SAY("%.3s", m + 100);
		_exit(0);
	}
	read(p[0], m + 100, 3);
	pass(g);
	reap(k);
	SAY("%.3s", m + 100);
	return 0;
}
