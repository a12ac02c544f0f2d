// What a child shares and what it does not.
#include "../case.h"
static void at(void) {
	SAY("atexit");
}

int main(void) {
	MUST(mkfile("f", "0123456789", 0600));
	int fd = MUST(open("f", O_RDONLY));
	int x = 1;
	pid_t me = getpid();
	umask(077);
	struct rlimit r = {50, 60};
	setrlimit(RLIMIT_NOFILE, &r);
	alarm(100);
	STATUS("child", RUN({
		x = 2;
		char b[4];
		read(fd, b, 4);
		YES(getppid() == me);
		YES(getpid() != me);
		YES(getpgrp() == getpgid(me));
		YES(getsid(0) == getsid(me));
		SAY("alarm %u", alarm(0));
		struct rlimit q;
		getrlimit(RLIMIT_NOFILE, &q);
		SAY("%lu %lu", q.rlim_cur, q.rlim_max);
		SAY("umask %o", umask(0));
		close(fd);
		chdir("/");
		struct rusage u;
		getrusage(RUSAGE_CHILDREN, &u);
		YES(u.ru_utime.tv_sec == 0 && u.ru_maxrss == 0);
		_exit(9);
	}));
	SAY("x %d offset %ld umask %o", x, (long)lseek(fd, 0, SEEK_CUR), umask(0));
	YES(alarm(0) > 90);
	int p[2];
	pipe(p);
	pid_t v = vfork();
	if (v == 0) {
		x = 5;
		_exit(3);
	}
	STATUS("vfork", reap(v));
	SAY("x %d", x);
	STATUS("exit runs atexit", ({
		fflush(stdout);
		pid_t k = fork();
		if (!k) {
			atexit(at);
			exit(2);
		}
		reap(k);
	}));
	struct rlimit z = {1, 1};
	RUN({
		MUST(setrlimit(RLIMIT_NPROC, &z));
		MUST(setresuid(5555, 5555, 5555));
		OK(fork());
	});
	return 0;
}
