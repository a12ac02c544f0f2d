// fallocate(2): modes on a memory file system.
#include "../case.h"
#include <linux/falloc.h>

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	struct stat st;
	OK(fallocate(fd, 0, 0, 8192));
	fstat(fd, &st);
	SAY("size %ld", (long)st.st_size);
	OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 65536));
	fstat(fd, &st);
	SAY("size %ld", (long)st.st_size);
	MUST(pwrite(fd, "aaaabbbbcccc", 12, 4092));
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4));
	char b[13] = {0};
	pread(fd, b, 12, 4092);
	for (int i = 0; i < 12; i++) putchar(b[i] ? b[i] : '.');
	SAY("");
	OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	OK(fallocate(fd, 0, 0, 0));
	OK(fallocate(fd, 0, -1, 10));
	OK(fallocate(fd, 0, 0, -1));
	OK(fallocate(fd, 0, LLONG_MAX, 10));
	OK(fallocate(fd, 0x800, 0, 10));
	OK(fallocate(-1, 0, 0, 1));
	int r = MUST(open("f", O_RDONLY));
	OK(fallocate(r, 0, 0, 1));
	int p[2];
	MUST(pipe(p));
	OK(fallocate(p[1], 0, 0, 1));
	OK(fallocate(open(".", O_RDONLY), 0, 0, 1));
	RET(posix_fallocate(fd, 0, 100000));
	fstat(fd, &st);
	SAY("size %ld", (long)st.st_size);
	return 0;
}
