/* Runs many cases one after another inside one kernel (the host's or ours).
 *
 *   driver [-isolate] SECONDS DIR NAME PROGRAM [NAME PROGRAM]...
 *
 * Every case gets an empty directory below DIR, /dev/null as standard input, a session of
 * its own, default signals, and SECONDS to finish.  Standard output carries, per case,
 *
 *   \1BEGIN NAME\n  output  \1END NAME (exit N | signal N | timeout)\n
 *
 * With -isolate (the native leg) the cases run in fresh pid, mount, net, ipc and uts
 * namespaces on a tmpfs, so that both legs start from the same state.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int alone; /* nothing but cases runs in this pid namespace */

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void nap(double s) {
	struct timespec t = {(time_t)s, (long)((s - (time_t)s) * 1e9)};
	nanosleep(&t, NULL);
}

static void put(const char *b, size_t n) {
	while (n > 0) {
		ssize_t w = write(1, b, n);
		if (w <= 0) _exit(3);
		b += w, n -= w;
	}
}

/* same_caps drops what containers of the test hosts lack, so that both legs have the same. */
static void same_caps(void) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
	if (syscall(SYS_capget, &h, d) == -1) return;
	d[0].effective = d[0].permitted &= ~(1U << CAP_SYS_RESOURCE);
	d[1].effective = d[1].permitted;
	d[0].inheritable = d[1].inheritable = 0;
	syscall(SYS_capset, &h, d);
}

static void isolate(const char *dir) {
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID) == -1) {
		perror("driver: cannot isolate");
		return;
	}
	pid_t p = fork();
	if (p > 0) {
		int s;
		while (waitpid(p, &s, 0) == -1 && errno == EINTR) {}
		_exit(WIFEXITED(s) ? WEXITSTATUS(s) : 4);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alone = 1;
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("tmpfs", dir, "tmpfs", 0, "mode=755");
	mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL);
	sethostname("case", 4);
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r;
	memset(&r, 0, sizeof r);
	strcpy(r.ifr_name, "lo");
	if (s >= 0 && ioctl(s, SIOCGIFFLAGS, &r) == 0) {
		r.ifr_flags |= IFF_UP;
		ioctl(s, SIOCSIFFLAGS, &r);
	}
	close(s);
}

/* drain passes on what a case has printed so far, up to 64 KiB in all. */
static void drain(int fd, size_t *total) {
	char b[4096];
	ssize_t r;
	while ((r = read(fd, b, sizeof b)) > 0) {
		if (*total < 1 << 16) put(b, r);
		*total += r;
	}
}

static void child(const char *work, int out, const char *program) {
	setsid();
	int fd = open("/dev/null", O_RDONLY);
	dup2(fd, 0);
	if (fd > 2) close(fd);
	dup2(out, 1);
	dup2(out, 2);
	close(out);
	if (chdir(work) == -1) _exit(98);
	struct rlimit files = {1024, 20000}, core = {0, RLIM_INFINITY};
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &core);
	umask(022);
	char *argv[] = {(char *)strrchr(program, '/') + 1, NULL};
	char *envp[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LC_ALL=C", NULL};
	execve(program, argv, envp);
	_exit(97);
}

static void one(double limit, const char *dir, const char *name, const char *program) {
	char line[512], work[512];
	int out[2];
	size_t total = 0;
	static int n;
	snprintf(work, sizeof work, "%s/%d", dir, ++n);
	put(line, snprintf(line, sizeof line, "\1BEGIN %s\n", name));
	mkdir(work, 0755);
	if (pipe2(out, O_CLOEXEC) == -1) _exit(5);
	pid_t p = fork();
	if (p == 0) child(work, out[1], program);
	close(out[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	double end = now() + limit, step = 0.0003;
	int s = 0, done = 0;
	while (!done && now() < end) {
		done = waitpid(p, &s, WNOHANG) == p;
		drain(out[0], &total);
		if (!done) {
			nap(step);
			if (step < 0.004) step *= 1.5;
		}
	}
	kill(p, SIGKILL);
	kill(-p, SIGKILL);
	if (alone) kill(-1, SIGKILL);
	for (int i = 0; i < 500; i++) {
		pid_t q = waitpid(-1, NULL, WNOHANG);
		if (q == -1) break;
		if (q == 0) {
			if (!alone) break;
			nap(0.002);
		}
	}
	drain(out[0], &total);
	close(out[0]);
	if (!done) snprintf(line, sizeof line, "\1END %s timeout\n", name);
	else if (WIFEXITED(s)) snprintf(line, sizeof line, "\1END %s exit %d\n", name, WEXITSTATUS(s));
	else snprintf(line, sizeof line, "\1END %s signal %d\n", name, WTERMSIG(s));
	put(line, strlen(line));
}

int main(int argc, char **argv) {
	int a = 1, want = 0;
	if (argc > a && !strcmp(argv[a], "-isolate")) want = 1, a++;
	if (argc > a && !strcmp(argv[a], "-alone")) alone = 1, a++;
	if (argc < a + 2) return 2;
	double limit = atof(argv[a]);
	const char *dir = argv[a + 1];
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	// By hand: libc keeps its own signals, 32 and 33, which a parent may ignore.
	struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } dfl = {0};
	for (int i = 1; i < 65; i++) syscall(SYS_rt_sigaction, i, &dfl, 0, 8);
	syscall(SYS_close_range, 3, ~0U, 0);
	mkdir(dir, 0755);
	if (want) isolate(dir);
	same_caps();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (a += 2; a + 1 < argc; a += 2) one(limit, dir, argv[a], argv[a + 1]);
	return 0;
}
