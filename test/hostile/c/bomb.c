// bomb uses up one thing until the kernel says no, and says what it said:
// usage: bomb KIND. Whatever it holds is let go of by exiting.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char big[1 << 16];
static void said(const char *what, long n) { printf("%s: %ld then %s\n", what, n, n < 0 ? "?" : strerrorname_np(errno) ?: "?"); }
static void nofile(long n) { struct rlimit l = {n, n}; if (setrlimit(RLIMIT_NOFILE, &l)) perror("RLIMIT_NOFILE"); }
static void limit(int r, long n) { struct rlimit l = {n, n}; if (setrlimit(r, &l)) perror("setrlimit"); }

static int bar[2];
static void *sleeper(void *p) { char c; read(bar[0], &c, 1); return 0; }

static void forks(long max, int nproc) {
	if (nproc) { limit(RLIMIT_NPROC, nproc); setgid(65533); setuid(65533); }
	pipe(bar);
	long n = 0;
	for (; n < max; n++) {
		pid_t p = fork();
		if (p < 0) break;
		if (p == 0) { close(bar[1]); char c; read(bar[0], &c, 1); _exit(0); }
	}
	if (n < max) said("fork", n); else printf("fork: all\n");
	close(bar[1]);
	while (wait(0) > 0);
	printf("fork: after: %s\n", (errno = 0, fork() == 0 ? (_exit(0), "") : wait(0) > 0 ? "ok" : "no"));
}

static void threads(long max) {
	pipe(bar);
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	pthread_t t;
	long n = 0;
	int e = 0;
	for (; n < max && !(e = pthread_create(&t, &a, sleeper, 0)); n++);
	errno = e;
	if (n < max) said("threads", n); else printf("threads: all\n");
	close(bar[1]);
}

static void memory(long mb) {
	pid_t p = fork();
	if (p == 0) {
		for (long n = 0; n < mb; n++) {
			char *m = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (m == MAP_FAILED) { said("memory MiB", n); _exit(0); }
			memset(m, 1, 1 << 20);
		}
		_exit(0);
	}
	int s;
	waitpid(p, &s, 0);
	printf("memory: %s %d\n", WIFSIGNALED(s) ? "signal" : "exit", WIFSIGNALED(s) ? WTERMSIG(s) : WEXITSTATUS(s));
}

static void maps(void) {
	long n = 0;
	for (; n < 100000; n++) if (mmap(0, 4096, n & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
	said("maps", n > 65000 && n < 65536 ? 65000 : n);
	pid_t p = fork();
	if (p == 0) _exit(0);
	int s = -1;
	if (p > 0) waitpid(p, &s, 0);
	printf("maps: fork %s %d\n", p > 0 ? "ok" : "no", s);
}

static void touched(void) {
	char *m = mmap(0, 4096L * 140000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long n = 0;
	for (; n < 140000; n += 2) { m[n * 4096] = 1; if (n % 4 && mprotect(m + n * 4096, 4096, PROT_READ)) break; }
	said("protections", n > 60000 ? 60000 : n);
	long sum = 0;
	for (n = 0; n < 140000; n++) sum += m[n * 4096];
	printf("touched: %s\n", sum >= 30000 ? "ok" : "lost");
}

static void fds(void) {
	nofile(1 << 20);
	long n = 0;
	int dupped = open("/dev/null", O_RDONLY);
	for (; n < 1100000; n++) if (dup(dupped) < 0) break;
	said("dup", n);
	close_range(3, -1, 0);
	for (n = 0; n < 200000; n++) if ((n & 3 ? eventfd(0, 0) : open("/etc/passwd", O_RDONLY)) < 0) break;
	if (n < 200000) said("open", n); else printf("open: all\n");
}

static void hostfiles(void) {
	nofile(1 << 20);
	long n = 0;
	char p[64];
	mkdir("/var/tmp/bomb", 0777);
	for (; n < 40000; n++) {
		snprintf(p, sizeof p, "/var/tmp/bomb/%ld", n);
		if (open(p, O_CREAT | O_RDWR, 0600) < 0) break;
	}
	if (n < 40000) said("created", n); else printf("created: all\n");
}

static void files(long max) {
	char p[64];
	mkdir("/tmp/bomb", 0777);
	long n = 0;
	for (; n < max; n++) {
		snprintf(p, sizeof p, "/tmp/bomb/%ld", n);
		if (mknod(p, S_IFREG | 0600, 0)) break;
	}
	if (n < max) said("files", n); else printf("files: all\n");
	int d = open("/tmp/bomb", O_RDONLY);
	long got = 0, r;
	while ((r = syscall(SYS_getdents64, d, big, sizeof big)) > 0) got += r;
	printf("files: listed %s\n", got > max * 20 ? "ok" : "short");
}

static void deep(void) {
	chdir("/tmp");
	long n = 0;
	for (; n < 50000; n++) if (mkdir("d", 0777) || chdir("d")) break;
	printf("deep: %ld\n", n);
	char *c = malloc(1 << 20);
	printf("deep: getcwd %ld %s\n", syscall(SYS_getcwd, c, 1 << 20) < 0, strerrorname_np(errno) ?: "?");
	int f = open("/proc/self/mountinfo", O_RDONLY);
	read(f, big, sizeof big);
	char l[64];
	readlink("/proc/self/cwd", c, 1 << 20);
	rename("/tmp/d", "/tmp/e");
	rename("/tmp/e", "/tmp/e/d/d/d");
	while (n-- > 0) { chdir(".."); rmdir("d"); }
	chdir("/");
	printf("deep: gone %d\n", rmdir("/tmp/e") == 0);
}

static void mounts(void) {
	unshare(CLONE_NEWNS);
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	mkdir("/tmp/m", 0777);
	chdir("/tmp/m");
	long n = 0;
	for (; n < 3000; n++) {
		if (mount("m", ".", "tmpfs", 0, "") || chdir("/tmp/m") || mkdir("m", 0777) || chdir("m")) break;
		if (n % 2 == 0) chdir("/tmp/m");
	}
	printf("mounts: %s\n", n == 3000 ? "all" : strerrorname_np(errno));
	int f = open("/proc/self/mountinfo", O_RDONLY);
	while (read(f, big, sizeof big) > 0);
	mount("none", "/", 0, MS_REC | MS_SHARED, 0);
	mkdir("/tmp/b", 0777);
	for (n = 0; n < 40; n++) if (mount("/", "/tmp/b", 0, MS_BIND | MS_REC, 0)) break;
	if (n < 40) said("doubling", n > 4 ? 5 : n); else printf("doubling: all\n");
	pid_t p = fork();
	if (p == 0) { unshare(CLONE_NEWNS); _exit(0); }
	wait(0);
	printf("mounts: alive\n");
}

static void watches(void) {
	nofile(4096);
	long n = 0;
	for (; n < 4000; n++) if (inotify_init1(IN_NONBLOCK) < 0) break;
	said("inotify instances", n);
	close_range(3, -1, 0);
	int i = inotify_init1(IN_NONBLOCK), f = -1;
	char p[64];
	inotify_add_watch(i, "/tmp", IN_ALL_EVENTS);
	for (n = 0; n < 60000; n++) { f = open("/tmp/w", O_CREAT | O_RDWR, 0600); close(f); unlink("/tmp/w"); }
	long got = 0, r;
	while ((r = read(i, big, sizeof big)) > 0) got += r;
	printf("inotify: queue %s\n", got < 16500 * 48 ? "bounded" : "not bounded");
}

static void epolls(void) {
	nofile(60000);
	int e = epoll_create1(0);
	long n = 0;
	for (; n < 50000; n++) {
		int f = eventfd(1, 0);
		struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLET};
		if (f < 0 || epoll_ctl(e, EPOLL_CTL_ADD, f, &ev)) break;
	}
	printf("epoll: %s\n", n == 50000 ? "all" : strerrorname_np(errno));
	int prev = epoll_create1(0);
	for (n = 0; n < 1000; n++) {
		int next = epoll_create1(0);
		struct epoll_event ev = {EPOLLIN};
		if (epoll_ctl(next, EPOLL_CTL_ADD, prev, &ev)) break;
		prev = next;
	}
	said("epoll nest", n);
}

static void signals(void) {
	limit(RLIMIT_SIGPENDING, 2000);
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, 0);
	long n = 0;
	for (; n < 100000; n++) if (sigqueue(getpid(), SIGRTMIN + n % 3, (union sigval){0})) break;
	said("sigqueue", n);
	timer_t t;
	for (n = 0; n < 100000; n++) if (timer_create(CLOCK_MONOTONIC, 0, &t)) break;
	said("timer_create", n > 100 ? 100 : n);
}

static void timers(void) {
	nofile(20000);
	timer_t t;
	long n = 0;
	signal(SIGALRM, SIG_IGN);
	for (; n < 15000; n++) {
		int f = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
		struct itimerspec s = {{0, 1}, {0, 1}};
		if (f < 0 || timerfd_settime(f, 0, &s, 0)) break;
		if (n < 3000 && (timer_create(CLOCK_MONOTONIC, 0, &t) || timer_settime(t, 0, &s, 0))) break;
	}
	printf("timers: %s\n", n == 15000 ? "all" : strerrorname_np(errno));
	sleep(1);
}

static void pipes(void) {
	nofile(60000);
	int p[2];
	long n = 0, total = 0;
	for (; n < 20000; n++) {
		if (pipe2(p, O_NONBLOCK) < 0) break;
		fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
		long r;
		if (n < 2000) while ((r = write(p[1], big, sizeof big)) > 0) total += r;
	}
	printf("pipes: %s\n", n == 20000 ? "all" : strerrorname_np(errno));
	printf("pipes: %ld MiB\n", total >> 20 > 100 ? 100 : total >> 20);
}

static int sendfds(int s, int *f, int n) {
	char c[CMSG_SPACE(4 * 253)];
	memset(c, 0, sizeof c);
	struct iovec v = {"x", 1};
	struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = CMSG_SPACE(4 * n)};
	struct cmsghdr *m = CMSG_FIRSTHDR(&h);
	m->cmsg_level = SOL_SOCKET, m->cmsg_type = SCM_RIGHTS, m->cmsg_len = CMSG_LEN(4 * n);
	memcpy(CMSG_DATA(m), f, 4 * n);
	return sendmsg(s, &h, MSG_DONTWAIT);
}

static void rights(void) {
	int f[253], p[2], n = 0;
	limit(RLIMIT_NOFILE, 600);
	setgid(65533); setuid(65533);
	for (int i = 0; i < 253; i++) f[i] = 0;
	for (; n < 1000; n++) {
		if (n % 100 == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, p)) break;
		if (sendfds(p[0], f, 253) < 0) { if (errno == EAGAIN) { n |= 99; continue; } break; }
	}
	printf("rights: then %s\n", strerrorname_np(errno));
	// Cycles: each socket is in flight in itself and in the next.
	for (int i = 0; i < 3000; i++) {
		int a[2], b[2];
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, a)) break;
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, b)) break;
		int x[2] = {a[0], b[1]};
		if (sendfds(a[1], x, 2) < 0 && i == 0) printf("rights: cycle %s\n", strerrorname_np(errno));
		sendfds(b[0], x, 2);
		close(a[0]); close(a[1]); close(b[0]); close(b[1]);
	}
	printf("rights: alive\n");
}

// chain makes sockets that are each in the queue of the next, and lets go of the last.
static void chain(long n) {
	int prev = open("/dev/null", 0);
	for (long i = 0; i < n; i++) {
		int a[2];
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, a)) break;
		sendfds(a[1], &prev, 1);
		close(prev); close(a[1]);
		prev = a[0];
	}
	close(prev);
	printf("chain: alive\n");
}

static void sockbufs(void) {
	nofile(20000);
	long n = 0, total = 0, r;
	int p[2];
	for (; n < 5000; n++) {
		if (socketpair(AF_UNIX, n & 1 ? SOCK_DGRAM : SOCK_STREAM, 0, p)) break;
		int huge = 1 << 30;
		setsockopt(p[0], SOL_SOCKET, SO_SNDBUF, &huge, 4);
		if (n < 500) while ((r = send(p[0], big, 30000, MSG_DONTWAIT)) > 0) total += r;
	}
	printf("sockbufs: %s, %s\n", n == 5000 ? "all" : strerrorname_np(errno), total < 1L << 30 ? "bounded" : "not bounded");
}

// churn opens, maps and forks in turns; the caller looks at the host afterwards.
static void churn(long n) {
	for (long i = 0; i < n; i++) {
		int f = open(i & 1 ? "/etc/passwd" : "/bin/true", O_RDONLY);
		void *m = mmap(0, 4096, PROT_READ, MAP_PRIVATE, f, 0);
		*(volatile char *)m;
		munmap(m, 4096);
		close(f);
		if (i % 20 == 0) {
			pid_t p = vfork();
			if (p == 0) { execl("/bin/true", "true", (char *)0); _exit(1); }
			waitpid(p, 0, 0);
		}
		if (i % 20 == 10) {
			pthread_t t;
			pipe(bar); close(bar[1]);
			if (!pthread_create(&t, 0, sleeper, 0)) pthread_join(t, 0);
			close(bar[0]);
		}
	}
	printf("churn: done\n");
	fflush(stdout);
	getchar(); // until it was looked at
}

int main(int argc, char **argv) {
	setvbuf(stdout, 0, _IOLBF, 0);
	const char *k = argv[1];
	long n = argc > 2 ? atol(argv[2]) : 0;
	if (!strcmp(k, "forks")) forks(n, argc > 3 ? atoi(argv[3]) : 0);
	if (!strcmp(k, "threads")) threads(n);
	if (!strcmp(k, "memory")) memory(n);
	if (!strcmp(k, "maps")) maps();
	if (!strcmp(k, "touched")) touched();
	if (!strcmp(k, "fds")) fds();
	if (!strcmp(k, "hostfiles")) hostfiles();
	if (!strcmp(k, "files")) files(n);
	if (!strcmp(k, "deep")) deep();
	if (!strcmp(k, "mounts")) mounts();
	if (!strcmp(k, "watches")) watches();
	if (!strcmp(k, "epolls")) epolls();
	if (!strcmp(k, "signals")) signals();
	if (!strcmp(k, "timers")) timers();
	if (!strcmp(k, "pipes")) pipes();
	if (!strcmp(k, "rights")) rights();
	if (!strcmp(k, "chain")) chain(n);
	if (!strcmp(k, "sockbufs")) sockbufs();
	if (!strcmp(k, "churn")) churn(n);
	printf("bomb: done\n");
	return 0;
}
