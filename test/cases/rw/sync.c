// fsync, fdatasync, sync_file_range, syncfs, sync.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	MUST(write(fd, "x", 1));
	OK(fsync(fd));
	OK(fdatasync(fd));
	OK(syncfs(fd));
	OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	OK(sync_file_range(fd, -1, 0, 0));
	OK(sync_file_range(fd, 0, 0, 99));
	OK(fsync(-1));
	OK(syncfs(-1));
	int p[2];
	MUST(pipe(p));
	OK(fsync(p[0]));
	OK(fdatasync(p[1]));
	OK(sync_file_range(p[0], 0, 0, 0));
	int d = MUST(open(".", O_RDONLY));
	OK(fsync(d));
	OK(fsync(socket(AF_UNIX, SOCK_STREAM, 0)));
	sync();
	int r = MUST(open("f", O_RDONLY));
	OK(fsync(r));
	OK(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
	RET(posix_fadvise(fd, 0, 0, 99));
	RET(posix_fadvise(p[0], 0, 0, 0));
	RET(posix_fadvise(-1, 0, 0, 0));
	OK(readahead(fd, 0, 10));
	OK(readahead(-1, 0, 10));
	OK(readahead(p[0], 0, 10));
	return 0;
}
