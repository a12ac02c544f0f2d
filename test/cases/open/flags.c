// open(2): creation, exclusion, truncation and access modes.
#include "../case.h"

int main(void) {
	OK(open("none", O_RDONLY));
	int fd = OK(open("f", O_RDWR | O_CREAT, 0640));
	VAL(write(fd, "hello", 5));
	close(fd);
	OK(open("f", O_RDWR | O_CREAT | O_EXCL, 0640));
	fd = OK(open("f", O_RDONLY));
	VAL(write(fd, "x", 1));
	char b[8];
	VAL(read(fd, b, 8));
	close(fd);
	fd = OK(open("f", O_WRONLY));
	VAL(read(fd, b, 1));
	close(fd);
	fd = OK(open("f", O_WRONLY | O_APPEND));
	VAL(write(fd, "!", 1));
	VAL(lseek(fd, 0, SEEK_CUR));
	VAL(lseek(fd, 0, SEEK_SET));
	VAL(write(fd, "?", 1));
	close(fd);
	cat("f");
	fd = OK(open("f", O_WRONLY | O_TRUNC));
	close(fd);
	cat("f");
	OK(open("f", O_RDONLY | O_DIRECTORY));
	OK(open(".", O_WRONLY));
	OK(open(".", O_RDONLY | O_CREAT, 0600));
	OK(open("f/x", O_RDONLY));
	OK(open("", O_RDONLY));
	OK(open((char *)1, O_RDONLY));
	char longname[300];
	memset(longname, 'a', 299);
	longname[299] = 0;
	OK(open(longname, O_RDONLY));
	longname[255] = 0;
	OK(open(longname, O_RDONLY | O_CREAT, 0600));
	char *longpath = malloc(5000);
	memset(longpath, '/', 4999);
	longpath[4999] = 0;
	OK(open(longpath, O_RDONLY));
	longpath[4095] = 0;
	OK(open(longpath, O_RDONLY));
	OK(open("f/", O_RDONLY));
	OK(open("newf/", O_RDWR | O_CREAT, 0600));
	return 0;
}
