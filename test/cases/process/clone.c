// clone(2): flags that share.
#include "../case.h"
#include <linux/sched.h>
static char st[65536] __attribute__((aligned(16)));
static int x;
static int fd = -1;
static int f(void *a) {
	x = 7;
	chdir("/");
	fd = open("/dev/null", O_RDONLY);
	return 5;
}

int main(void) {
	char b[4096], here[4096];
	getcwd(here, 4096);
	int s;
	pid_t k = clone(f, st + sizeof st, CLONE_VM | SIGCHLD, NULL);
	waitpid(k, &s, 0);
	STATUS("VM", s);
	SAY("x %d", x);
	YES(!strcmp(getcwd(b, 4096), here));
	YES(fcntl(fd, F_GETFD) == -1);
	k = clone(f, st + sizeof st, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, NULL);
	waitpid(k, &s, 0);
	SAY("%s", getcwd(b, 4096));
	VAL(fcntl(fd, F_GETFD));
	chdir(here);
	OK(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0));
	OK(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
	OK(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0));
	OK(syscall(SYS_clone, CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0));
	int tid = 0, ctid = 0;
	k = syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &tid, &ctid, 0);
	if (k == 0) _exit(ctid == getpid() ? 1 : 2);
	YES(tid == k);
	STATUS("CHILD_SETTID", reap(k));
	k = syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0);
	signal(SIGUSR1, SIG_IGN);
	if (k == 0) _exit(0);
	VAL(waitpid(k, &s, __WALL) == k);
	k = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
	if (k == 0) {
		msleep(30);
		SAY("child first");
		_exit(0);
	}
	SAY("parent after");
	reap(k);
	RUN({
		pid_t q = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
		if (q == 0) _exit(11);
		VAL(waitpid(q, &s, 0));
	});
	VAL(wait(&s) > 0);
	STATUS("CLONE_PARENT", s);
	OK(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &tid, 0, 0));
	return 0;
}
