// truncate(2), ftruncate(2): growing, shrinking, errors.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	MUST(write(fd, "hello world", 11));
	OK(ftruncate(fd, 5));
	cat("f");
	OK(ftruncate(fd, 8));
	cat("f");
	VAL(lseek(fd, 0, SEEK_CUR));
	OK(truncate("f", 2));
	cat("f");
	OK(ftruncate(fd, -1));
	OK(truncate("f", -1));
	OK(truncate("none", 0));
	OK(truncate(".", 0));
	OK(truncate("f/x", 0));
	OK(truncate("", 0));
	OK(truncate((void *)1, 0));
	int r = MUST(open("f", O_RDONLY));
	OK(ftruncate(r, 0));
	OK(ftruncate(-1, 0));
	int p[2];
	MUST(pipe(p));
	OK(ftruncate(p[1], 0));
	OK(ftruncate(open("/dev/null", O_WRONLY), 0));
	OK(truncate("/dev/null", 0));
	OK(ftruncate(socket(AF_UNIX, SOCK_STREAM, 0), 0));
	OK(ftruncate(open(".", O_RDONLY), 0));
	OK(ftruncate(fd, LLONG_MAX));
	MUST(symlink("f", "l"));
	OK(truncate("l", 1));
	cat("f");
	int a = MUST(open("f", O_WRONLY | O_APPEND));
	OK(ftruncate(a, 0));
	struct stat st;
	fstat(fd, &st);
	SAY("size %ld", (long)st.st_size);
	return 0;
}
