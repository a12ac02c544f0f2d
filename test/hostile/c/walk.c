// walk reads and, as root, writes every file below /proc, /sys and /dev; and
// tries ioctl numbers on every kind of descriptor: usage: walk read|write|ioctl|ioctls
// (ioctl: of the types in use; ioctls: all, which takes a minute).
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buf[65536];
static int files, writing;

static int timed(void) { alarm(5); return 0; }

static void one(const char *path, const struct stat *st) {
	if (S_ISLNK(st->st_mode)) { readlink(path, buf, sizeof buf); return; }
	if (writing && !(st->st_mode & 0222)) return;
	files++;
	pid_t p = fork(); // a file may do anything to whoever writes to it
	if (p == 0) {
		timed();
		int f = open(path, (writing ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY);
		if (f < 0 && writing) f = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
		if (f < 0) _exit(0);
		if (!writing) {
			read(f, buf, sizeof buf);
			pread(f, buf, 1, 3);
			pread(f, buf, sizeof buf, 1L << 62);
			lseek(f, 1, SEEK_SET);
			lseek(f, -1, SEEK_END);
			mmap(0, 4096, PROT_READ, MAP_PRIVATE, f, 0);
			struct stat s;
			fstat(f, &s);
			getdents(f);
		} else {
			static const char *junk[] = {"", "\n", "0", "1", "-1", "99999999999999999999", "0 0 4294967295", "a", " ", "+x -y", "2147483648", "max", "1 2 3 4 5 6 7 8"};
			for (int i = 0; i < sizeof junk / sizeof *junk; i++) { write(f, junk[i], strlen(junk[i])); pwrite(f, junk[i], strlen(junk[i]), 0); }
			memset(buf, 'A', sizeof buf); write(f, buf, sizeof buf); pwrite(f, buf, 4096, 100);
			memset(buf, 0, sizeof buf); write(f, buf, 4096);
			for (int i = 0; i < sizeof buf; i++) buf[i] = i * 7 + (i >> 5);
			write(f, buf, 5000);
			write(f, (void *)8, 100);
			ftruncate(f, 0);
			ftruncate(f, 1 << 20);
		}
		_exit(0);
	}
	int s;
	waitpid(p, &s, 0);
	if (WIFSIGNALED(s) && WTERMSIG(s) == SIGALRM) printf("walk: %s: stuck\n", path);
}
int getdents(int f) { return syscall(SYS_getdents64, f, buf, sizeof buf); }

static void tree(const char *dir, int depth) {
	DIR *d = opendir(dir);
	if (!d) return;
	for (struct dirent *e; (e = readdir(d));) {
		char path[8192];
		struct stat st;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
		// Twice the same: one process is enough.
		if (!strncmp(dir, "/proc", 6) && e->d_name[0] >= '1' && e->d_name[0] <= '9' && atoi(e->d_name) != 1) continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (writing && strstr(path, "/oom_score_adj")) continue;
		if (lstat(path, &st)) continue;
		if (S_ISDIR(st.st_mode)) { if (depth < 12) tree(path, depth + 1); }
		else one(path, &st);
	}
	closedir(d);
}

static int kinds(int *f) {
	int n = 0, p[2];
	sigset_t all;
	sigfillset(&all);
	f[n++] = open("/tmp/walk-file", O_RDWR | O_CREAT, 0600); f[n++] = open("/tmp", O_RDONLY); f[n++] = open("/etc/passwd", O_RDONLY); f[n++] = open("/etc", O_PATH);
	pipe2(p, O_NONBLOCK); f[n++] = p[0]; f[n++] = p[1];
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p); f[n++] = p[0];
	f[n++] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); f[n++] = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0); f[n++] = socket(AF_NETLINK, SOCK_RAW, 0);
	f[n++] = epoll_create1(0); f[n++] = eventfd(0, EFD_NONBLOCK); f[n++] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); f[n++] = signalfd(-1, &all, SFD_NONBLOCK); f[n++] = inotify_init1(IN_NONBLOCK);
	f[n++] = memfd_create("m", MFD_ALLOW_SEALING); f[n++] = open("/dev/null", O_RDWR); f[n++] = open("/dev/zero", O_RDWR); f[n++] = open("/dev/urandom", O_RDWR); f[n++] = open("/proc/self/mem", O_RDWR); f[n++] = open("/proc/self/ns/user", O_RDONLY);
	f[n++] = open("/proc/self/ns/pid", O_RDONLY); f[n++] = open("/proc/self/maps", O_RDONLY); f[n++] = open("/proc", O_RDONLY); f[n++] = open("/sys/kernel", O_RDONLY); f[n++] = syscall(SYS_pidfd_open, getpid(), 0);
	f[n] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	int zero = 0; ioctl(f[n], TIOCSPTLCK, &zero);
	f[n + 1] = ioctl(f[n], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
	n += 2;
	f[n++] = syscall(430, "tmpfs", 0); f[n++] = syscall(428, AT_FDCWD, "/tmp", 1);
	return n;
}

static int ioctls(int all) {
	int f[64], n = kinds(f), slow = 0;
	char *page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(page + 4096, 4096, PROT_NONE);
	for (int i = 0; i < n; i++) {
		if (f[i] < 0) continue;
		pid_t p = fork();
		if (p == 0) {
			setsid();
			for (int s = 1; s < 65; s++) signal(s, SIG_IGN);
			signal(SIGALRM, SIG_DFL);
			alarm(20);
			for (unsigned c = 0; c < 0xa000; c++) {
				if (!all && !strchr("\x12\x54\x66\x89\x94", c >> 8)) continue;
				if (c == TIOCSTI || c == TCSBRK) continue;
				memset(page, 0, 64);
				ioctl(f[i], c, 0);
				ioctl(f[i], c, page);
				if ((c & 7) == 0) { memset(page, 0xff, 4096); ioctl(f[i], c, page + 4096 - 2); ioctl(f[i], c, -1L); ioctl(f[i], c, page); ioctl(f[i], c, 3L); }
				if ((c & 0xff) < 0x40) for (unsigned d = 1; d < 4; d++) { ioctl(f[i], c | d << 30 | 8 << 16, page); ioctl(f[i], c | d << 30 | 4 << 16, page); }
			}
			_exit(0);
		}
		int s;
		waitpid(p, &s, 0);
		if (WIFSIGNALED(s)) { printf("walk: ioctls of kind %d: signal %d\n", i, WTERMSIG(s)); slow++; }
	}
	return slow;
}

int main(int argc, char **argv) {
	setvbuf(stdout, 0, _IOLBF, 0);
	unshare(CLONE_NEWNS);
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	if (!strncmp(argv[1], "ioctl", 5)) { int r = ioctls(argv[1][5]); printf("walk: done ioctl\n"); return r; }
	writing = !strcmp(argv[1], "write");
	if (writing) mount(0, "/sys", 0, MS_REMOUNT, 0);
	tree("/proc", 0);
	tree("/sys", 0);
	tree("/dev", 0);
	printf("walk: done %s, %d files\n", argv[1], files);
	return 0;
}
