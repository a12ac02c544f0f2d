// O_DIRECT, O_SYNC and O_DSYNC on an ordinary file.
#include "../case.h"

int main(void) {
	int fd = OK(open("f", O_RDWR | O_CREAT | O_SYNC, 0600));
	VAL(write(fd, "x", 1));
	YES(fcntl(fd, F_GETFL) & O_SYNC);
	fd = OK(open("f", O_RDWR | O_DSYNC));
	VAL(write(fd, "y", 1));
	YES((fcntl(fd, F_GETFL) & O_SYNC) == O_DSYNC);
	fd = OK(open("g", O_RDWR | O_CREAT | O_DIRECT, 0600));
	char *p = aligned_alloc(4096, 8192);
	memset(p, 'd', 8192);
	VAL(write(fd, p, 8192));
	VAL(pread(fd, p, 4096, 4096));
	OK(fcntl(fd, F_SETFL, 0));
	OK(open("f", O_RDONLY | O_NOATIME));
	OK(open("f", O_RDONLY | O_ASYNC));
	return 0;
}
