// splice(2), tee(2), vmsplice(2).
#include "../case.h"

int main(void) {
	int f = MUST(open("f", O_RDWR | O_CREAT, 0600)), o = MUST(open("o", O_RDWR | O_CREAT, 0600)), p[2], q[2];
	MUST(write(f, "0123456789", 10));
	MUST(pipe(p));
	MUST(pipe(q));
	loff_t off = 2;
	char b[32] = {0};
	VAL(splice(f, &off, p[1], NULL, 5, 0));
	SAY("%ld", (long)off);
	VAL(tee(p[0], q[1], 100, 0));
	VAL(read(q[0], b, 32));
	SAY("%s", b);
	loff_t oo = 1;
	VAL(splice(p[0], NULL, o, &oo, 100, 0));
	cat("o");
	VAL(splice(p[0], NULL, o, NULL, 1, SPLICE_F_NONBLOCK));
	lseek(f, 0, SEEK_SET);
	VAL(splice(f, NULL, p[1], NULL, 3, 0));
	VAL(lseek(f, 0, SEEK_CUR));
	VAL(splice(p[0], NULL, q[1], NULL, 2, 0));
	VAL(read(q[0], b, 32));
	VAL(splice(f, NULL, o, NULL, 1, 0));
	off = 0;
	VAL(splice(p[0], &off, q[1], NULL, 1, 0));
	VAL(splice(f, NULL, -1, NULL, 1, 0));
	VAL(splice(f, &off, p[1], NULL, 0, 0));
	lseek(f, 0, SEEK_END);
	VAL(splice(f, NULL, p[1], NULL, 5, 0));
	VAL(tee(f, p[1], 1, 0));
	VAL(tee(p[0], p[1], 1, 0));
	VAL(splice(p[0], NULL, p[1], NULL, 1, 0));
	struct iovec v = {"vmsplice", 8};
	VAL(vmsplice(q[1], &v, 1, 0));
	VAL(read(q[0], b, 32));
	SAY("%.8s", b);
	VAL(vmsplice(f, &v, 1, 0));
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	VAL(splice(p[0], NULL, s[0], NULL, 10, 0));
	VAL(read(s[1], b, 32));
	write(s[1], "sock", 4);
	VAL(splice(s[0], NULL, p[1], NULL, 10, 0));
	VAL(read(p[0], b, 32));
	int a = MUST(open("o", O_WRONLY | O_APPEND));
	write(p[1], "x", 1);
	VAL(splice(p[0], NULL, a, NULL, 1, 0));
	close(p[1]);
	VAL(splice(p[0], NULL, o, NULL, 1, 0) >= 0);
	VAL(splice(p[0], NULL, o, NULL, 1, 0));
	return 0;
}
