// history makes random sequences of system calls over a few names, descriptors
// and children, all from a seed, and prints each call with its result. Run
// natively and in the sandbox the outputs must be equal.
// usage: history FIRST COUNT ; run it as root. It works below a tmpfs of its
// own and makes that its root first, so that no name leads out of it.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static unsigned long rng;
static unsigned rnd(unsigned n) { rng = rng * 6364136223846793005UL + 1442695040888963407UL; return (rng >> 33) % n; }
static const char *pick(void) {
	static const char *n[] = {"a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "e/x", "e/x/a", "l", "l/a", "d/../a", "./b", "nope/a", "a/b", "d/", "e/.", ".."};
	return n[rnd(sizeof n / sizeof *n)];
}
static const char *en(long r) { static char b[4][32]; static int i; char *p = b[i++ & 3]; if (r < 0) return strerrorname_np(errno); sprintf(p, "%ld", r); return p; }

#define NFD 12
static int fds[NFD]; // descriptors 100..111, whether open is up to luck
static int fd(void) { return 100 + rnd(NFD); }
static int keep(int f) { if (f < 0) return f; int to = fd(); dup2(f, to); close(f); return to; }
static char mem[8192];

static void show(const char *name) {
	struct stat s;
	if (lstat(name, &s) < 0) { printf(" [%s %s]", name, en(-1)); return; }
	printf(" [%s %o %ld %ld]", name, s.st_mode, (long)s.st_nlink, S_ISDIR(s.st_mode) ? 0L : (long)s.st_size);
}

static void flags(char *out, int f) { sprintf(out, "%s%s%s%s%s%s%s", (f & 3) == 0 ? "R" : (f & 3) == 1 ? "W" : "RW", f & O_CREAT ? "c" : "", f & O_EXCL ? "x" : "", f & O_TRUNC ? "t" : "", f & O_APPEND ? "a" : "", f & O_DIRECTORY ? "D" : "", f & O_NOFOLLOW ? "N" : ""); }

static int caught; static void on(int s) { caught = caught * 31 + s; }

static int cmpstr(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

static void step(void) {
	const char *p = pick(), *q = pick(); int f = fd(), g = fd(); long r; char s[64]; struct stat st;
	switch (rnd(58)) {
	case 0: case 1: case 2: case 3: case 4: { int fl = rnd(3) | (rnd(2) ? O_CREAT : 0) | (rnd(6) == 0 ? O_EXCL : 0) | (rnd(5) == 0 ? O_TRUNC : 0) | (rnd(6) == 0 ? O_APPEND : 0) | (rnd(8) == 0 ? O_DIRECTORY : 0) | (rnd(8) == 0 ? O_NOFOLLOW : 0) | O_NONBLOCK; int mode = rnd(01000);
		flags(s, fl); r = keep(open(p, fl, mode)); printf("open %s %s %o = %s", p, s, mode, en(r)); if (r >= 0 && !fstat(r, &st)) printf(" %o", st.st_mode); break; }
	case 5: r = close(f); printf("close %d = %s", f, en(r)); break;
	case 6: case 7: { int n = rnd(3000); r = read(f, mem, n); printf("read %d %d = %s", f, n, en(r)); unsigned h = 0; for (long i = 0; i < r; i++) h = h * 31 + (unsigned char)mem[i]; printf(" %x", h); break; }
	case 8: case 9: case 10: { int n = rnd(3000); memset(mem, 'a' + rnd(26), n); r = write(f, mem, n); printf("write %d %d = %s", f, n, en(r)); break; }
	case 11: { long o = (long)rnd(6000) - 1000; int w = rnd(6); r = lseek(f, o, w); printf("lseek %d %ld %d = %s", f, o, w, en(r)); break; }
	case 12: { long o = rnd(6000); int n = rnd(2000); r = pread(f, mem, n, o); printf("pread %d %d %ld = %s", f, n, o, en(r)); break; }
	case 13: { long o = rnd(6000); int n = rnd(2000); r = pwrite(f, mem, n, o); printf("pwrite %d %d %ld = %s", f, n, o, en(r)); break; }
	case 14: { long o = rnd(9000); r = ftruncate(f, o); printf("ftruncate %d %ld = %s", f, o, en(r)); break; }
	case 15: { long o = rnd(9000); r = truncate(p, o); printf("truncate %s %ld = %s", p, o, en(r)); break; }
	case 16: case 17: r = rename(p, q); printf("rename %s %s = %s", p, q, en(r)); show(p); show(q); break;
	case 18: { int fl = rnd(4); r = renameat2(AT_FDCWD, p, AT_FDCWD, q, fl); printf("renameat2 %s %s %d = %s", p, q, fl, en(r)); show(q); break; }
	case 19: r = link(p, q); printf("link %s %s = %s", p, q, en(r)); show(q); break;
	case 20: { int fl = rnd(2) ? AT_SYMLINK_FOLLOW : 0; r = linkat(AT_FDCWD, p, AT_FDCWD, q, fl); printf("linkat %s %s %x = %s", p, q, fl, en(r)); break; }
	case 21: case 22: r = unlink(p); printf("unlink %s = %s", p, en(r)); break;
	case 23: case 24: { int m = rnd(010000); r = mkdir(p, m | 0700); printf("mkdir %s %o = %s", p, m, en(r)); show(p); break; }
	case 25: r = rmdir(p); printf("rmdir %s = %s", p, en(r)); break;
	case 26: r = symlink(q, p); printf("symlink %s %s = %s", q, p, en(r)); break;
	case 27: { char b[100]; r = readlink(p, b, 99); b[r > 0 ? r : 0] = 0; printf("readlink %s = %s %s", p, en(r), b); break; }
	case 28: { int m = rnd(010000) | 0600; r = chmod(p, m); printf("chmod %s %o = %s", p, m, en(r)); show(p); break; }
	case 29: { int m = rnd(010000) | 0600; r = fchmod(f, m); printf("fchmod %d %o = %s", f, m, en(r)); break; }
	case 30: { int u = rnd(3) - 1; r = chown(p, u, rnd(3) - 1); printf("chown %s = %s", p, en(r)); show(p); break; }
	case 31: r = dup2(f, g); printf("dup2 %d %d = %s", f, g, en(r)); break;
	case 32: { int fl = rnd(2) ? O_APPEND | O_NONBLOCK : O_NONBLOCK; r = fcntl(f, F_SETFL, fl); printf("setfl %d %x = %s", f, fl, en(r)); r = fcntl(f, F_GETFL); if (r > 0) printf(" %lx", r & (O_ACCMODE | O_APPEND | O_NONBLOCK)); break; }
	case 33: { struct flock l = {rnd(3), SEEK_SET, rnd(100), rnd(100)}; r = fcntl(f, F_OFD_SETLK, &l); printf("ofdlk %d %d %ld+%ld = %s", f, l.l_type, (long)l.l_start, (long)l.l_len, en(r)); break; }
	case 34: { struct flock l = {rnd(2), SEEK_SET, rnd(100), rnd(100)}; r = fcntl(f, rnd(2) ? F_OFD_GETLK : F_GETLK, &l); printf("getlk %d = %s", f, en(r)); if (!r) printf(" %d %ld+%ld", l.l_type, (long)l.l_start, (long)l.l_len); break; }
	case 35: { struct flock l = {rnd(3), SEEK_SET, rnd(100), rnd(100)}; r = fcntl(f, F_SETLK, &l); printf("setlk %d %d %ld+%ld = %s", f, l.l_type, (long)l.l_start, (long)l.l_len, en(r)); break; }
	case 36: { static int op[] = {LOCK_SH, LOCK_EX, LOCK_UN}; int o = op[rnd(3)]; r = flock(f, o | LOCK_NB); printf("flock %d %d = %s", f, o, en(r)); break; }
	case 37: { int v[2]; r = pipe2(v, O_NONBLOCK); int a = keep(v[0]), b = keep(v[1]); printf("pipe = %s %d %d", en(r), a, b); break; }
	case 38: { int v[2]; int t = rnd(2) ? SOCK_STREAM : SOCK_DGRAM; r = socketpair(AF_UNIX, t | SOCK_NONBLOCK, 0, v); int a = keep(v[0]), b = keep(v[1]); printf("socketpair %d = %s %d %d", t, en(r), a, b); break; }
	case 39: { struct pollfd v[3] = {{f, POLLIN | POLLOUT}, {g, POLLIN | POLLPRI}, {fd(), POLLOUT | POLLRDHUP}}; r = poll(v, 3, 0); printf("poll %d %d %d = %s %x %x %x", f, g, v[2].fd, en(r), v[0].revents, v[1].revents, v[2].revents); break; }
	case 40: { int h = rnd(3); r = shutdown(f, h); printf("shutdown %d %d = %s", f, h, en(r)); break; }
	case 41: { int v = -1; r = ioctl(f, FIONREAD, &v); printf("fionread %d = %s %d", f, en(r), v); break; }
	case 42: { int m = rnd(4); long o = rnd(5000), n = rnd(5000); r = fallocate(f, m, o, n); printf("fallocate %d %d %ld %ld = %s", f, m, o, n, en(r)); break; }
	case 43: r = fstat(f, &st); printf("fstat %d = %s", f, en(r)); if (!r) printf(" %o %ld %ld", st.st_mode, S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode) ? 1L : (long)st.st_nlink, S_ISDIR(st.st_mode) ? 0L : (long)st.st_size); break;
	case 44: r = stat(p, &st); printf("stat %s = %s", p, en(r)); if (!r) printf(" %o %ld %ld", st.st_mode, (long)st.st_nlink, S_ISDIR(st.st_mode) ? 0L : (long)st.st_size); break;
	case 45: { int m = rnd(8); r = access(p, m); printf("access %s %d = %s", p, m, en(r)); break; }
	case 46: { DIR *d = opendir(p); printf("list %s =", p); if (!d) { printf(" %s", en(-1)); break; } char *n[64]; int k = 0; struct dirent *e; while ((e = readdir(d)) && k < 64) { char *x = malloc(300); sprintf(x, "%s:%d", e->d_name, e->d_type); n[k++] = x; } closedir(d); qsort(n, k, sizeof *n, cmpstr); for (int i = 0; i < k; i++) { printf(" %s", n[i]); free(n[i]); } break; }
	case 47: { int c = rnd(200); pid_t pid = fork(); if (!pid) { if (rnd(2)) { char b[100]; long k = read(f, b, 50); _exit(k < 0 ? errno : k); } close(f); _exit(c); } int w; r = waitpid(pid, &w, 0); printf("fork-wait = %d %x", r == pid, w); break; }
	case 48: { int sig = 1 + rnd(31); if (sig == SIGKILL || sig == SIGSTOP) sig = SIGTERM; pid_t pid = fork(); if (!pid) { signal(sig, SIG_DFL); raise(sig); _exit(3); } int w; r = waitpid(pid, &w, WUNTRACED); printf("raise %d = %d %x", sig, r == pid, w & ~0x80); if (WIFSTOPPED(w)) { kill(pid, SIGCONT); waitpid(pid, &w, 0); printf(" %x", w); } break; }
	case 49: { sigset_t m, o; sigemptyset(&m); sigaddset(&m, SIGUSR1 + rnd(3)); int h = rnd(3); r = sigprocmask(h, &m, &o); kill(getpid(), SIGUSR1); kill(getpid(), SIGUSR2); sigset_t pend; sigpending(&pend); printf("mask %d = %s caught %d pending %d%d", h, en(r), caught, sigismember(&pend, SIGUSR1), sigismember(&pend, SIGUSR2)); break; }
	case 50: { int m = rnd(0100); r = umask(m); printf("umask %o = %lo", m, r); break; }
	case 51: { struct iovec v[3] = {{mem, rnd(500)}, {mem + 500, rnd(500)}, {mem + 1000, rnd(500)}}; int w = rnd(2); r = w ? writev(f, v, 3) : readv(f, v, 3); printf("%sv %d = %s", w ? "write" : "read", f, en(r)); break; }
	case 52: { char v[20]; int o = rnd(4); r = o == 0 ? setxattr(p, "user.x", "12345", rnd(6), rnd(3)) : o == 1 ? getxattr(p, "user.x", v, rnd(8)) : o == 2 ? listxattr(p, v, 20) : removexattr(p, "user.x"); printf("xattr %d %s = %s", o, p, en(r)); break; }
	case 53: { int n = rnd(4000); loff_t o = rnd(2000); r = rnd(2) ? sendfile(f, g, &o, n) : copy_file_range(g, &o, f, 0, n, 0); printf("sendfile %d %d %d = %s %ld", f, g, n, en(r), (long)o); break; }
	case 54: { int n = 1 + rnd(3000); r = splice(f, 0, g, 0, n, SPLICE_F_NONBLOCK); printf("splice %d %d %d = %s", f, g, n, en(r)); break; }
	case 55: { char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, rnd(2) ? MAP_SHARED : MAP_PRIVATE, f, 0); printf("mmap %d = %s", f, m == MAP_FAILED ? en(-1) : "ok"); if (m != MAP_FAILED) { if (!fstat(f, &st) && st.st_size > 0) { m[st.st_size > 4096 ? 4095 : st.st_size - 1] = 'M'; printf(" %d", m[0]); } munmap(m, 4096); } break; }
	case 56: { int d = open(p, O_PATH | O_DIRECTORY); r = d < 0 ? -1 : fchdir(d); printf("fchdir %s = %s", p, en(r)); if (d >= 0) close(d); char b[300]; if (getcwd(b, 300)) printf(" %s", strrchr(b, '/')); r = chdir("/w"); break; }
	case 57: { int pg = rnd(3); pid_t pid = fork(); if (!pid) { int a = setpgid(0, 0), b = setsid() < 0, c = getpgrp() == getpid(); _exit(a * 4 + b * 2 + c); } int w; waitpid(pid, &w, 0); r = setpgid(pid, pg); printf("pgid %d = %x %s", pg, w, en(r)); break; }
	}
	printf("\n");
}

int main(int argc, char **argv) {
	long first = atol(argv[1]), count = atol(argv[2]);
	setvbuf(stdout, 0, _IOFBF, 1 << 16);
	signal(SIGPIPE, SIG_IGN); signal(SIGXFSZ, SIG_IGN);
	setsid();
	// Everything happens inside a private tmpfs: ".." of its root is itself.
	char top[] = "/tmp/history.XXXXXX";
	if (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) { perror("unshare"); return 1; }
	if (!mkdtemp(top)) { perror("mkdtemp"); return 1; }
	for (long s = first; s < first + count; s++) {
		fflush(stdout);
		pid_t pid = fork();
		if (!pid) {
			if (unshare(CLONE_NEWNS) || mount("none", top, "tmpfs", 0, "size=4m,mode=755") || chdir(top) || chroot(".") || mkdir("/w", 0755) || chdir("/w")) { perror("tmpfs"); _exit(1); }
			signal(SIGUSR1, on); signal(SIGUSR2, on);
			close_range(3, ~0U, 0); umask(022);
			rng = s * 7919 + 13; for (int i = 0; i < 8; i++) rnd(2);
			mkdir("d", 0755); mkdir("e", 0755); mkdir("e/x", 0755);
			alarm(5);
			for (int i = 0; i < 150; i++) { printf("%ld.%d ", s, i); step(); fflush(stdout); }
			exit(0);
		}
		int w; waitpid(pid, &w, 0);
		if (w) printf("%ld ended %x\n", s, w);
	}
	rmdir(top);
	return 0;
}
