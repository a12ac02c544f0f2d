// exe, cwd, root, fd links and what opening them does.
#include "../case.h"
static void l(const char *p) {
	char b[256];
	ssize_t n = readlink(p, b, 255);
	const char *name = strstr(p, "self") ? p : strrchr(p, '/');
	if (n == -1) {
		SAY("%s: %s", name, ename(errno));
		return;
	}
	b[n] = 0;
	char *s = strrchr(b, '/');
	SAY("%s -> %s", name, s && s[1] ? s + 1 : b);
}

int main(void) {
	l("/proc/self/exe");
	l("/proc/self/root");
	MUST(mkdir("d", 0755));
	MUST(chdir("d"));
	l("/proc/self/cwd");
	MUST(rmdir("../d"));
	l("/proc/self/cwd");
	chdir("/");
	l("/proc/self/cwd");
	char b[64];
	ssize_t n = readlink("/proc/self", b, 64);
	b[n] = 0;
	YES(atoi(b) == getpid());
	n = readlink("/proc/thread-self", b, 64);
	b[n] = 0;
	char w[64];
	snprintf(w, 64, "%d/task/%d", getpid(), getpid());
	YES(!strcmp(b, w));
	int p[2];
	pipe(p);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	char f[64];
	snprintf(f, 64, "/proc/self/fd/%d", p[0]);
	n = readlink(f, b, 63);
	b[n] = 0;
	YES(!strncmp(b, "pipe:[", 6));
	snprintf(f, 64, "/proc/self/fd/%d", s);
	n = readlink(f, b, 63);
	b[n] = 0;
	YES(!strncmp(b, "socket:[", 8));
	OK(open(f, O_RDONLY));
	snprintf(f, 64, "/proc/self/fd/%d", eventfd(0, 0));
	l(f);
	snprintf(f, 64, "/proc/self/fd/%d", epoll_create1(0));
	l(f);
	l("/proc/self/fd/0");
	l("/proc/self/fd/99");
	struct stat st;
	lstat("/proc/self/fd/0", &st);
	SAY("%04o", st.st_mode & 07777);
	snprintf(f, 64, "/proc/self/fd/%d", p[1]);
	lstat(f, &st);
	SAY("%04o", st.st_mode & 07777);
	snprintf(f, 64, "/proc/self/fd/%d", p[0]);
	int r = OK(open(f, O_RDONLY));
	write(p[1], "x", 1);
	VAL(read(r, b, 4));
	int q = OK(open(f, O_WRONLY));
	VAL(write(q, "y", 1));
	OK(unlink("/proc/self/exe"));
	OK(open("/proc/self/exe", O_WRONLY));
	OK(symlink("x", "/proc/self/y"));
	OK(mkdir("/proc/x", 0700));
	pid_t k = SPAWN({
		pause();
	});
	snprintf(f, 64, "/proc/%d/exe", k);
	l(f);
	snprintf(f, 64, "/proc/%d/fd", k);
	OK(open(f, O_RDONLY));
	RUN({
		setresuid(7, 7, 7);
		OK(open(f, O_RDONLY));
		snprintf(f, 64, "/proc/%d/exe", k);
		l(f);
		snprintf(f, 64, "/proc/%d/status", k);
		OK(open(f, O_RDONLY));
	});
	kill(k, 9);
	siginfo_t i;
	waitid(P_PID, k, &i, WEXITED | WNOWAIT);
	snprintf(f, 64, "/proc/%d/exe", k);
	l(f);
	reap(k);
	return 0;
}
