// copy_file_range(2).
#include "../case.h"

int main(void) {
	int in = MUST(open("in", O_RDWR | O_CREAT, 0600)), out = MUST(open("out", O_RDWR | O_CREAT, 0600));
	MUST(write(in, "0123456789", 10));
	off_t a = 2, b = 1;
	VAL(copy_file_range(in, &a, out, &b, 5, 0));
	SAY("%ld %ld", (long)a, (long)b);
	cat("out");
	lseek(in, 0, SEEK_SET);
	VAL(copy_file_range(in, NULL, out, NULL, 3, 0));
	VAL(lseek(in, 0, SEEK_CUR));
	cat("out");
	VAL(copy_file_range(in, NULL, out, NULL, 100, 0));
	VAL(copy_file_range(in, NULL, out, NULL, 100, 0));
	VAL(copy_file_range(in, NULL, out, NULL, 1, 1));
	a = 0, b = 2;
	VAL(copy_file_range(in, &a, in, &b, 5, 0));
	a = 0, b = 10;
	VAL(copy_file_range(in, &a, in, &b, 10, 0));
	cat("in");
	int p[2];
	MUST(pipe(p));
	VAL(copy_file_range(p[0], NULL, out, NULL, 1, 0));
	VAL(copy_file_range(in, NULL, p[1], NULL, 1, 0));
	VAL(copy_file_range(-1, NULL, out, NULL, 1, 0));
	int r = MUST(open("in", O_RDONLY));
	VAL(copy_file_range(in, NULL, r, NULL, 1, 0));
	int ap = MUST(open("out", O_WRONLY | O_APPEND));
	VAL(copy_file_range(r, NULL, ap, NULL, 1, 0));
	int d = MUST(open(".", O_RDONLY));
	VAL(copy_file_range(d, NULL, out, NULL, 1, 0));
	return 0;
}
