// Equal events merge, FIONREAD, small buffers, poll.
#include "../case.h"
#include <sys/inotify.h>

int main(void) {
	int fd = MUST(inotify_init1(IN_NONBLOCK));
	MUST(mkdir("d", 0755));
	MUST(inotify_add_watch(fd, "d", IN_MODIFY | IN_CREATE));
	int f = MUST(open("d/file", O_CREAT | O_RDWR, 0600));
	for (int i = 0; i < 5; i++) write(f, "x", 1);
	int n;
	OK(ioctl(fd, FIONREAD, &n));
	SAY("%d bytes", n);
	char b[1024];
	VAL(read(fd, b, 8));
	VAL(read(fd, b, 40));
	VAL(read(fd, b, 1024));
	VAL(read(fd, b, 1024));
	struct pollfd p = {fd, POLLIN, 0};
	VAL(poll(&p, 1, 0));
	write(f, "y", 1);
	VAL(poll(&p, 1, 0));
	pid_t k = SPAWN({
		fcntl(fd, F_SETFL, 0);
		read(fd, b, 1024);
		VAL(read(fd, b, 1024));
	});
	sleeping(k);
	write(f, "z", 1);
	reap(k);
	char l[64] = {0}, path[64];
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	readlink(path, l, 63);
	SAY("%s", l);
	VAL(write(fd, "x", 1));
	VAL(lseek(fd, 0, SEEK_SET));
	return 0;
}
