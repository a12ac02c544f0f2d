// sendfile(2): offsets, targets, errors.
#include "../case.h"
#include <sys/sendfile.h>

int main(void) {
	int in = MUST(open("in", O_RDWR | O_CREAT, 0600)), out = MUST(open("out", O_RDWR | O_CREAT, 0600));
	MUST(write(in, "0123456789", 10));
	lseek(in, 0, SEEK_SET);
	VAL(sendfile(out, in, NULL, 4));
	VAL(lseek(in, 0, SEEK_CUR));
	off_t o = 6;
	VAL(sendfile(out, in, &o, 100));
	SAY("offset %ld", (long)o);
	VAL(lseek(in, 0, SEEK_CUR));
	cat("out");
	VAL(sendfile(out, in, &o, 100));
	o = -1;
	VAL(sendfile(out, in, &o, 1));
	VAL(sendfile(-1, in, NULL, 1));
	VAL(sendfile(out, -1, NULL, 1));
	int p[2];
	MUST(pipe(p));
	o = 0;
	VAL(sendfile(p[1], in, &o, 10));
	VAL(sendfile(out, p[0], NULL, 1));
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	o = 2;
	VAL(sendfile(s[0], in, &o, 3));
	char b[8] = {0};
	VAL(read(s[1], b, 8));
	SAY("%s", b);
	VAL(sendfile(out, s[0], NULL, 1));
	int a = MUST(open("out", O_WRONLY | O_APPEND));
	o = 0;
	VAL(sendfile(a, in, &o, 1));
	int w = MUST(open("in", O_WRONLY));
	VAL(sendfile(out, w, NULL, 1));
	VAL(sendfile(in, in, NULL, 0));
	return 0;
}
