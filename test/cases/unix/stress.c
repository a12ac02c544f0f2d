// Many messages and descriptors between processes.
#include "../case.h"

int main(void) {
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pid_t k = SPAWN({
		close(s[0]);
		char b[1000];
		long n = 0, r;
		unsigned sum = 0;
		while ((r = read(s[1], b, sizeof b)) > 0) {
			for (long i = 0; i < r; i++) sum = sum * 31 + (unsigned char)b[i];
			n += r;
		}
		SAY("%ld bytes, sum %u", n, sum);
	});
	close(s[1]);
	static char m[5000];
	for (int i = 0; i < 5000; i++) m[i] = i * 7;
	for (int i = 0; i < 200; i++) {
		int n = 1 + (i * 37) % 5000, o = 0;
		while (o < n) o += MUST(write(s[0], m + o, n - o));
	}
	close(s[0]);
	reap(k);
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	k = SPAWN({
		char b[2000];
		int bad = 0;
		for (int i = 0; i < 500; i++) {
			ssize_t r = read(s[1], b, 2000);
			if (r != 1 + i % 1999) bad++;
		}
		SAY("bad %d", bad);
	});
	for (int i = 0; i < 500; i++) MUST(write(s[0], m, 1 + i % 1999));
	reap(k);
	return 0;
}
