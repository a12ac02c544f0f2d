// Close-on-exec in every call that can set it.
#include "../case.h"
static void is(const char *n, int fd) {
	SAY("%s %d", n, fcntl(fd, F_GETFD));
}

int main(void) {
#include <sys/inotify.h>
	int p[2];
	pipe2(p, O_CLOEXEC);
	is("pipe2", p[0]);
	is("open", open("/dev/null", O_RDONLY | O_CLOEXEC));
	is("socket", socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p);
	is("socketpair", p[1]);
	is("eventfd", eventfd(0, EFD_CLOEXEC));
	is("epoll", epoll_create1(EPOLL_CLOEXEC));
	is("dup3", dup3(0, 50, O_CLOEXEC));
	is("F_DUPFD_CLOEXEC", fcntl(0, F_DUPFD_CLOEXEC, 60));
	is("memfd", memfd_create("m", MFD_CLOEXEC));
	is("pidfd", syscall(SYS_pidfd_open, getpid(), 0));
	is("dup of cloexec", dup(50));
	is("inotify", inotify_init1(IN_CLOEXEC));
	STATUS("exec closes them", RUN({
		execl("/bin/sh", "sh", "-c", "ls /proc/self/fd | wc -l", NULL);
	}));
	RUN({
		is("fork keeps the flag", 50);
	});
	return 0;
}
