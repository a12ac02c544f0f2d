/* Helpers of every case: print what a call did by name, never by number.
 *
 *   OK(call)    "call: ok" or "call: ENOENT"      (descriptors, pids, anything not stable)
 *   VAL(call)   "call = 5" or "call: ENOENT"      (results that are the same on every run)
 *   RET(call)   the same as OK for calls that return the error number
 *   YES(cond)   "cond: yes" or "cond: no"
 *   SAY(...)    a line of its own
 *   RUN({...})  runs a block in a child, gives its wait status; STATUS(what, status) prints it
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline const char *ename(int e) {
	static char b[32];
	const char *n = strerrorname_np(e);
	if (n) return n;
	snprintf(b, sizeof b, "errno %d", e);
	return b;
}
static inline const char *signame(int s) {
	static char b[32];
	const char *n = sigabbrev_np(s);
	if (n) snprintf(b, sizeof b, "SIG%s", n);
	else if (s >= SIGRTMIN && s <= SIGRTMAX) snprintf(b, sizeof b, "SIGRTMIN+%d", s - SIGRTMIN);
	else snprintf(b, sizeof b, "signal %d", s);
	return b;
}
static inline long ok_(const char *what, long r) {
	int e = errno;
	printf("%s: %s\n", what, r == -1 ? ename(e) : "ok");
	errno = e;
	return r;
}
static inline long val_(const char *what, long r) {
	int e = errno;
	if (r == -1) printf("%s: %s\n", what, ename(e));
	else printf("%s = %ld\n", what, r);
	errno = e;
	return r;
}
static inline long ret_(const char *what, long r) {
	printf("%s: %s\n", what, r == 0 ? "ok" : ename(r));
	return r;
}
#define OK(...) ok_(#__VA_ARGS__, (long)(__VA_ARGS__))
#define VAL(...) val_(#__VA_ARGS__, (long)(__VA_ARGS__))
#define RET(...) ret_(#__VA_ARGS__, (long)(__VA_ARGS__))
#define YES(...) ((void)printf("%s: %s\n", #__VA_ARGS__, (__VA_ARGS__) ? "yes" : "no"))
#define SAY(...) ((void)(printf(__VA_ARGS__), putchar('\n')))
/* MUST ends the case when a step that is not its subject fails. */
#define MUST(...) ({ \
	long r_ = (long)(__VA_ARGS__); \
	if (r_ == -1) { printf("line %d: %s: %s\n", __LINE__, #__VA_ARGS__, ename(errno)); fflush(stdout); _exit(99); } \
	r_; \
})
#define RUN(...) ({ \
	pid_t p_ = MUST(fork()); \
	if (p_ == 0) { __VA_ARGS__; fflush(stdout); _exit(0); } \
	int s_ = 0; \
	MUST(waitpid(p_, &s_, 0)); \
	s_; \
})
#define SPAWN(...) ({ \
	pid_t p_ = MUST(fork()); \
	if (p_ == 0) { __VA_ARGS__; fflush(stdout); _exit(0); } \
	p_; \
})
static inline void STATUS(const char *what, int s) {
	if (WIFEXITED(s)) printf("%s: exit %d\n", what, WEXITSTATUS(s));
	else if (WIFSIGNALED(s)) printf("%s: killed by %s\n", what, signame(WTERMSIG(s)));
	else if (WIFSTOPPED(s)) printf("%s: stopped by %s\n", what, signame(WSTOPSIG(s)));
	else if (WIFCONTINUED(s)) printf("%s: continued\n", what);
	else printf("%s: strange status\n", what);
}
static inline int reap(pid_t p) {
	int s = 0;
	MUST(waitpid(p, &s, 0));
	return s;
}
static inline void msleep(int ms) {
	struct timespec t = {ms / 1000, (ms % 1000) * 1000000L};
	while (nanosleep(&t, &t) == -1 && errno == EINTR) {}
}
static inline long nowms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
static inline int mkfile(const char *path, const char *text, mode_t mode) {
	int fd = MUST(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600));
	MUST(write(fd, text, strlen(text)));
	MUST(fchmod(fd, mode));
	return close(fd);
}
static inline void cat(const char *path) {
	char b[4096];
	int fd = open(path, O_RDONLY);
	if (fd == -1) { printf("%s: %s\n", path, ename(errno)); return; }
	ssize_t n = read(fd, b, sizeof b - 1);
	if (n == -1) { printf("%s: read: %s\n", path, ename(errno)); close(fd); return; }
	b[n] = 0;
	printf("%s: \"", path);
	for (ssize_t i = 0; i < n; i++) {
		if (b[i] == '\n') printf("\\n");
		else if (b[i] == 0) printf("\\0");
		else putchar(b[i]);
	}
	printf("\"\n");
	close(fd);
}
static inline const char *ftype(mode_t m) {
	switch (m & S_IFMT) {
	case S_IFREG: return "regular";
	case S_IFDIR: return "directory";
	case S_IFLNK: return "symlink";
	case S_IFIFO: return "fifo";
	case S_IFSOCK: return "socket";
	case S_IFCHR: return "character device";
	case S_IFBLK: return "block device";
	}
	return "no type";
}
/* A gate orders two processes: hold waits until the other side calls pass. */
typedef struct { int p[2]; } gate;
static inline gate mkgate(void) { gate g; MUST(pipe(g.p)); return g; }
static inline void pass(gate g) { char c = 1; MUST(write(g.p[1], &c, 1)); }
static inline void hold(gate g) { char c; while (read(g.p[0], &c, 1) == -1 && errno == EINTR) {} }
/* sleeping waits until a process is blocked, as its /proc state says; 2 s at most. */
static inline void sleeping(pid_t pid) {
	char path[64], b[512];
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	for (int i = 0; i < 400; i++) {
		int fd = open(path, O_RDONLY);
		ssize_t n = fd == -1 ? 0 : read(fd, b, sizeof b - 1);
		if (fd != -1) close(fd);
		b[n > 0 ? n : 0] = 0;
		char *p = strrchr(b, ')');
		if (p && p[2] == 'S') { msleep(10); return; }
		msleep(5);
	}
}
__attribute__((constructor)) static void case_start_(void) {
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
}
