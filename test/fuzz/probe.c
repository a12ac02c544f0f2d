// probe calls every system call that is safe to call with many combinations
// of good, bad and odd arguments and prints what came back, one line each:
// "name(arg arg ...) = errno name or ok". Run natively and in the sandbox the
// outputs must be equal. usage: probe [NAME] ; run it in an empty directory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

struct val { const char *name; long v; };
#define MAXV 12
static struct val F[MAXV], P[MAXV], Q[MAXV], S[MAXV], I[MAXV], Z[MAXV], O[MAXV], M[MAXV], G[MAXV], D[MAXV], C[MAXV], W[MAXV], T[MAXV];
static char *buf, *bufend;
static char longpath[5000];

static void set(struct val *a, const char *n, long v) { while (a->name) a++; a->name = n; a->v = v; }

static void values(void) {
	buf = mmap((void *)0x100000000000, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	bufend = buf + 65536; // an inaccessible page follows
	mprotect(bufend, 4096, PROT_NONE);
	memset(longpath, 'x', sizeof longpath - 1);
	set(F, "bad", -1); set(F, "closed", 90); set(F, "file", 10); set(F, "rofile", 19); set(F, "dir", 11); set(F, "pipeR", 12); set(F, "pipeW", 13);
	set(F, "sock", 14); set(F, "eventfd", 15); set(F, "path", 16); set(F, "epoll", 17); 
	set(D, "CWD", AT_FDCWD); set(D, "bad", -1); set(D, "dir", 11); set(D, "file", 10); set(D, "opath", 16);
	set(P, "NULL", 0); set(P, "8", 8); set(P, "buf", (long)buf); set(P, "edge", (long)(bufend - 4)); set(P, "kernel", (long)0xffff800000000000);
	set(Q, "NULL", 0); set(Q, "buf", (long)buf); set(Q, "8", 8);
	set(S, "NULL", 0); set(S, "8", 8); set(S, "''", (long)""); set(S, "f", (long)"f"); set(S, "none", (long)"none"); set(S, "d", (long)"d"); set(S, "d/in", (long)"d/in");
	set(S, "f/x", (long)"f/x"); set(S, "l", (long)"l"); set(S, "loop", (long)"loop"); set(S, "long", (long)longpath); set(S, "d/", (long)"d/");
	set(I, "0", 0); set(I, "1", 1); set(I, "-1", -1); set(I, "2", 2); set(I, "max", 0x7fffffff); set(I, "64", 64); set(I, "0x1000", 0x1000);
	set(Z, "0", 0); set(Z, "1", 1); set(Z, "8", 8); set(Z, "4096", 4096); set(Z, "-1", -1); set(Z, "big", 1L << 40);
	set(O, "RDONLY", 0); set(O, "RDWR", 2); set(O, "CREAT", O_CREAT | O_RDWR); set(O, "EXCL", O_CREAT | O_EXCL); set(O, "DIRECTORY", O_DIRECTORY); set(O, "NOFOLLOW", O_NOFOLLOW);
	set(O, "TRUNC", O_TRUNC | O_WRONLY); set(O, "PATH", O_PATH); set(O, "TMPFILE", O_TMPFILE | O_RDWR); set(O, "3", 3); set(O, "bad", 0x40000000);
	set(M, "0", 0); set(M, "0644", 0644); set(M, "07777", 07777); set(M, "-1", -1);
	set(G, "0", 0); set(G, "1", 1); set(G, "9", 9); set(G, "17", 17); set(G, "64", 64); set(G, "65", 65); set(G, "-1", -1);
	set(C, "REAL", 0); set(C, "MONO", 1); set(C, "PCPU", 2); set(C, "TCPU", 3); set(C, "RAW", 4); set(C, "BOOT", 7); set(C, "10", 10); set(C, "12", 12); set(C, "-1", -1); set(C, "-6", -6);
	set(W, "-1", -1); set(W, "0", 0); set(W, "none", 999999); set(W, "self", 0); set(W, "min", -0x7fffffff - 1);
	set(T, "SET", 0); set(T, "CUR", 1); set(T, "END", 2); set(T, "DATA", 3); set(T, "HOLE", 4); set(T, "5", 5); set(T, "-1", -1);
}

static int at(int want, int fd) { if (fd < 0) abort(); dup2(fd, want); if (fd != want) close(fd); return want; }

static void files(void) {
	int p[2];
	mkdir("d", 0755); close(open("d/in", O_CREAT | O_WRONLY, 0644));
	int fd = open("f", O_CREAT | O_RDWR | O_TRUNC, 0644); write(fd, "0123456789", 10); lseek(fd, 0, 0); at(10, fd);
	symlink("f", "l"); symlink("loop", "loop");
	at(11, open("d", O_RDONLY | O_DIRECTORY));
	pipe2(p, O_NONBLOCK); p[0] = fcntl(p[0], F_DUPFD, 40); at(12, p[0]); p[1] = fcntl(p[1], F_DUPFD, 40); at(13, p[1]);
	at(14, socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	at(15, eventfd(0, EFD_NONBLOCK));
	at(16, open("f", O_PATH));
	at(17, epoll_create1(0));
	at(19, open("f", O_RDONLY));
	memset(buf, 0, 65536);
}

struct call { const char *name; int nr; const char *args; };
#define N(x) #x, SYS_##x
static struct call calls[] = {
	{N(read), "FPZ"}, {N(write), "FPZ"}, {N(open), "SOM"}, {N(close), "F"}, {N(stat), "SP"}, {N(fstat), "FP"}, {N(lstat), "SP"}, {N(lseek), "FIT"},
	{N(pread64), "FPZI"}, {N(pwrite64), "FPZI"}, {N(readv), "FPI"}, {N(writev), "FPI"}, {N(preadv), "FPII"}, {N(pwritev), "FPII"}, {N(preadv2), "FPIIII"}, {N(pwritev2), "FPIIII"},
	{N(access), "SM"}, {N(faccessat), "DSM"}, {N(faccessat2), "DSMI"}, {N(pipe), "P"}, {N(pipe2), "PI"}, {N(dup), "F"}, {N(dup2), "FI"}, {N(dup3), "FII"},
	{N(getpid), ""}, {N(sendfile), "FFQZ"}, {N(socket), "III"}, {N(connect), "FPI"}, {N(accept), "FPP"}, {N(accept4), "FPPI"}, {N(bind), "FPI"}, {N(listen), "FI"},
	{N(sendto), "FPZIQI"}, {N(recvfrom), "FPZIQQ"}, {N(sendmsg), "FPI"}, {N(recvmsg), "FPI"}, {N(shutdown), "FI"}, {N(getsockname), "FPP"}, {N(getpeername), "FPP"}, {N(socketpair), "IIIP"},
	{N(setsockopt), "FIIPI"}, {N(getsockopt), "FIIPP"}, {N(uname), "P"}, {N(fcntl), "FII"}, {N(flock), "FI"}, {N(fsync), "F"}, {N(fdatasync), "F"}, {N(truncate), "SI"}, {N(ftruncate), "FI"},
	{N(getdents), "FPI"}, {N(getdents64), "FPI"}, {N(getcwd), "PZ"}, {N(chdir), "S"}, {N(fchdir), "F"}, {N(rename), "SS"}, {N(renameat), "DSDS"}, {N(renameat2), "DSDSI"}, {N(mkdir), "SM"}, {N(mkdirat), "DSM"},
	{N(rmdir), "S"}, {N(creat), "SM"}, {N(link), "SS"}, {N(linkat), "DSDSI"}, {N(unlink), "S"}, {N(unlinkat), "DSI"}, {N(symlink), "SS"}, {N(symlinkat), "SDS"}, {N(readlink), "SPI"}, {N(readlinkat), "DSPI"},
	{N(chmod), "SM"}, {N(fchmod), "FM"}, {N(fchmodat), "DSM"}, {N(chown), "SII"}, {N(fchown), "FII"}, {N(lchown), "SII"}, {N(fchownat), "DSIII"}, {N(umask), "M"}, {N(gettimeofday), "PP"}, {N(getrlimit), "IP"}, {N(getrusage), "IP"},
	{N(sysinfo), "P"}, {N(times), "P"}, {N(getuid), ""}, {N(syslog), "GPI"}, {N(setpgid), "WW"}, {N(getpgid), "W"}, {N(getsid), "W"}, {N(getgroups), "IP"}, {N(setgroups), "IP"}, {N(capget), "PP"},
	{N(rt_sigpending), "PZ"}, {N(rt_sigtimedwait), "PQQZ"}, {N(rt_sigaction), "GQQZ"}, {N(rt_sigprocmask), "IQQZ"}, {N(sigaltstack), "QQ"}, {N(utime), "SQ"}, {N(utimes), "SQ"}, {N(utimensat), "DSQI"}, {N(futimesat), "DSQ"},
	{N(mknod), "SMI"}, {N(mknodat), "DSMI"}, {N(personality), "I"}, {N(statfs), "SP"}, {N(fstatfs), "FP"}, {N(getpriority), "II"}, {N(sched_getparam), "WP"}, {N(sched_setparam), "WP"}, {N(sched_getscheduler), "W"},
	{N(sched_setscheduler), "WIP"}, {N(sched_get_priority_max), "I"}, {N(sched_get_priority_min), "I"}, {N(sched_rr_get_interval), "WP"}, {N(sched_getaffinity), "WZP"}, {N(sched_setaffinity), "WZP"}, {N(mlock), "PZ"}, {N(munlock), "PZ"}, {N(mlock2), "PZI"},
	{N(mlockall), "I"}, {N(prctl), "IIIII"}, {N(arch_prctl), "IP"}, {N(setrlimit), "IP"}, {N(prlimit64), "WIQQ"}, {N(gettid), ""}, {N(readahead), "FIZ"}, {N(setxattr), "SSPZI"}, {N(lsetxattr), "SSPZI"}, {N(fsetxattr), "FSPZI"},
	{N(getxattr), "SSPZ"}, {N(fgetxattr), "FSPZ"}, {N(listxattr), "SPZ"}, {N(flistxattr), "FPZ"}, {N(removexattr), "SS"}, {N(fremovexattr), "FS"}, {N(futex), "PIIQQI"}, {N(io_setup), "IP"}, {N(io_destroy), "I"},
	{N(epoll_create), "I"}, {N(epoll_create1), "I"}, {N(epoll_ctl), "FIFP"}, {N(remap_file_pages), "PZIZI"}, {N(set_tid_address), "P"}, {N(fadvise64), "FIZI"}, {N(timer_create), "CQP"}, {N(timer_settime), "IIQQ"}, {N(timer_gettime), "IP"},
	{N(timer_getoverrun), "I"}, {N(timer_delete), "I"}, {N(clock_gettime), "CP"}, {N(clock_getres), "CP"}, {N(clock_nanosleep), "CIQQ"}, {N(nanosleep), "PQ"}, {N(getitimer), "IP"}, {N(setitimer), "IQQ"},
	{N(waitid), "IWPIQ"}, {N(wait4), "WQIQ"}, {N(inotify_init1), "I"}, {N(inotify_add_watch), "FSI"}, {N(inotify_rm_watch), "FI"}, {N(openat), "DSOM"}, {N(openat2), "DSPZ"}, {N(newfstatat), "DSPI"}, {N(statx), "DSIIP"},
	{N(pselect6), "IQQQQQ"}, {N(select), "IQQQQ"}, {N(poll), "PII"}, {N(ppoll), "PIQQZ"}, {N(set_robust_list), "PZ"}, {N(get_robust_list), "WPP"}, {N(splice), "FQFQZI"}, {N(tee), "FFZI"}, {N(vmsplice), "FPII"}, {N(sync_file_range), "FIII"},
	{N(epoll_wait), "FPII"}, {N(epoll_pwait), "FPIIQZ"}, {N(signalfd), "FPZ"}, {N(signalfd4), "FPZI"}, {N(timerfd_create), "CI"}, {N(timerfd_settime), "FIQQ"}, {N(timerfd_gettime), "FP"}, {N(eventfd), "I"}, {N(eventfd2), "II"}, {N(fallocate), "FIII"},
	{N(recvmmsg), "FPIIQ"}, {N(sendmmsg), "FPII"}, {N(getcpu), "QQQ"}, {N(process_vm_readv), "WPIPII"}, {N(kcmp), "WWIII"}, {N(sched_setattr), "WPI"}, {N(sched_getattr), "WPZI"}, {N(seccomp), "IIP"}, {N(getrandom), "PZI"}, {N(memfd_create), "SI"},
	{N(membarrier), "III"}, {N(copy_file_range), "FQFQZI"}, {N(mmap), "PZIIFI"}, {N(munmap), "PZ"}, {N(mprotect), "PZI"}, {N(mremap), "PZZIP"}, {N(msync), "PZI"}, {N(mincore), "PZP"}, {N(madvise), "PZI"}, {N(pidfd_open), "WI"}, {N(pidfd_send_signal), "FGQI"},
	{N(pidfd_getfd), "FII"}, {N(close_range), "III"}, {N(getresuid), "PPP"}, {N(getresgid), "PPP"}, {N(setresuid), "III"}, {N(setreuid), "II"}, {N(setuid), "I"}, {N(setfsuid), "I"}, {N(setregid), "II"}, {N(setgid), "I"},
	{N(ioprio_get), "II"}, {N(ioprio_set), "III"}, {N(shmget), "IZI"}, {N(shmat), "IPI"}, {N(shmctl), "IIP"}, {N(shmdt), "P"}, {N(semget), "III"}, {N(semop), "IPI"}, {N(semctl), "IIIP"}, {N(msgget), "II"}, {N(msgsnd), "IPZI"},
	{N(msgctl), "IIP"}, {N(mq_open), "SIMQ"}, {N(mq_unlink), "S"}, {N(mq_timedsend), "FPZIQ"}, {N(mq_timedreceive), "FPZQQ"}, {N(mq_notify), "FQ"}, {N(mq_getsetattr), "FQQ"}, {N(name_to_handle_at), "DSPPI"}, {N(fchmodat2), "DSMI"},
	{N(tgkill), "WWG"}, {N(rt_tgsigqueueinfo), "WWGP"}, {N(capset), "PP"}, {N(chroot), "S"}, {N(setns), "FI"}, {N(get_mempolicy), "QQIPI"}, {N(mbind), "PZIQII"}, {N(set_mempolicy), "IQI"}, {N(migrate_pages), "WIQQ"}, {N(move_pages), "WIQQQI"},
	{N(clock_settime), "CP"}, {N(modify_ldt), "IPI"}, {N(ustat), "IP"}, {N(sysfs), "IPI"}, {N(add_key), "SSPZI"}, {N(request_key), "SSSI"}, {N(quotactl), "ISIP"}, {N(userfaultfd), "I"}, {N(rseq), "PIII"}, {N(perf_event_open), "PWIII"},
	{N(fanotify_init), "II"}, {N(io_uring_setup), "IP"}, {N(bpf), "IPI"}, {N(landlock_create_ruleset), "PZI"}, {N(process_madvise), "FPIII"}, {N(pkey_alloc), "II"}, {N(pkey_mprotect), "PZII"}, {N(mount_setattr), "DSIPZ"}, {N(open_tree), "DSI"}, {N(fsopen), "SI"},
	{N(fspick), "DSI"}, {N(fsconfig), "FISPI"}, {N(fsmount), "FII"}, {N(move_mount), "DSDSI"}, {N(umount2), "SI"}, {N(pivot_root), "SS"}, {N(swapoff), "S"}, {N(epoll_pwait2), "FPIQQZ"}, {N(clone3), "PZ"}, {N(execve), "SQQ"}, {N(execveat), "DSQQI"},
	{N(unshare), "I"}, {N(ioctl), "FIP"}, {N(restart_syscall), ""}, {N(sync), ""}, {N(syncfs), "F"}, {N(getpgrp), ""}, {N(lookup_dcookie), "IPZ"}, {N(memfd_secret), "I"}, {N(process_mrelease), "FI"}, {N(set_mempolicy_home_node), "PZII"}, {N(futex_waitv), "PIIQI"},
};

static struct val *kind(char c) {
	switch (c) {
	case 'F': return F; case 'P': return P; case 'Q': return Q; case 'S': return S; case 'I': return I; case 'Z': return Z; case 'O': return O;
	case 'M': return M; case 'G': return G; case 'D': return D; case 'C': return C; case 'W': return W; case 'T': return T;
	}
	abort();
}

// Combinations that would end, stop, or block the prober for good, or that
// reach beyond it.
static int skip(struct call *c, long *a) {
	switch (c->nr) {
	case SYS_prctl: return a[0] == 0x1000;
	case SYS_mmap: return a[0] != 0 && (a[3] & 0x10) && a[1] != 0;
	case SYS_munmap: case SYS_mremap: case SYS_mprotect: return a[0] == 0 || a[1] > 65536;
	case SYS_madvise: return a[0] == 0;
	case SYS_tgkill: case SYS_rt_tgsigqueueinfo: return a[0] >= -1 && a[0] <= 1;
	case SYS_clone3: return a[0] == (long)buf;
	case SYS_sched_setscheduler: case SYS_sched_setattr: return a[1] == 1 || a[1] == 2;
	case SYS_close: case SYS_close_range: return 0;
	case SYS_mlockall: return a[0] != -1 && a[0] != 0;
	case SYS_setpgid: return 0;
	case SYS_unshare: return a[0] == 0x7fffffff;
	case SYS_umount2: return 0;
	case SYS_clock_settime: return a[1] == (long)buf;
	case SYS_syslog: return a[0] == 17 || a[0] == 9 ? 0 : a[0] != -1 && a[0] != 64;
	case SYS_ioctl: return 0;
	}
	return 0;
}

static const char *ename(int e) { const char *n = strerrorname_np(e); return n ? n : "?"; }

// Results that mean something in themselves.
static int exact(int nr) {
	switch (nr) {
	case SYS_read: case SYS_write: case SYS_lseek: case SYS_pread64: case SYS_pwrite64: case SYS_readlink: case SYS_getxattr: case SYS_dup2:
	case SYS_sched_get_priority_max: case SYS_sched_get_priority_min: case SYS_umask: case SYS_poll: case SYS_select: case SYS_getpriority:
		return 1;
	}
	return 0;
}

static unsigned long rng;
static unsigned next(void) { rng = rng * 6364136223846793005UL + 1442695040888963407UL; return rng >> 33; }

#define MAXCOMBO 48

int main(int argc, char **argv) {
	setvbuf(stdout, 0, _IOFBF, 1 << 16);
	signal(SIGPIPE, SIG_IGN); signal(SIGXFSZ, SIG_IGN);
	setsid();
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 1024});
	values();
	char *res = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char base[4096]; getcwd(base, sizeof base);
	for (unsigned k = 0; k < sizeof calls / sizeof *calls; k++) {
		struct call *c = &calls[k];
		if (argc > 1 && strcmp(argv[1], c->name)) continue;
		int n = strlen(c->args);
		long total = 1, cnt[6];
		for (int i = 0; i < n; i++) { struct val *v = kind(c->args[i]); for (cnt[i] = 0; cnt[i] < MAXV && v[cnt[i]].name;) cnt[i]++; total *= cnt[i]; }
		rng = c->nr * 7919 + 1;
		int combos = total < MAXCOMBO ? total : MAXCOMBO;
		for (int m = 0; m < combos; m++) {
			long pick = total <= MAXCOMBO ? m : (long)(next() % total);
			long a[6] = {0}; const char *an[6];
			for (int i = 0; i < n; i++) { struct val *v = kind(c->args[i]); a[i] = v[pick % cnt[i]].v; an[i] = v[pick % cnt[i]].name; pick /= cnt[i]; }
			if (skip(c, a)) continue;
			char dir[64]; snprintf(dir, sizeof dir, "w%d", m);
			strcpy(res, "lost");
			fflush(stdout);
			pid_t pid = fork();
			if (pid == 0) {
				mkdir(dir, 0755); if (chdir(dir)) _exit(99);
				files();
				alarm(1);
				struct itimerval it = {{0, 0}, {0, 50000}}; setitimer(ITIMER_REAL, &it, 0);
				errno = 0;
				strcpy(res, "no return");
				long r = syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
				int e = errno;
				if (r == -1 && e) snprintf(res, 100, "%s", ename(e));
				else if (exact(c->nr)) snprintf(res, 100, "%ld", r);
				else strcpy(res, "ok");
				_exit(0);
			}
			int st; waitpid(pid, &st, 0);
			printf("%s(", c->name);
			for (int i = 0; i < n; i++) printf("%s%s", i ? " " : "", an[i]);
			if (WIFSIGNALED(st)) printf(") = %s, killed by %s\n", res, sigabbrev_np(WTERMSIG(st))); else printf(") = %s\n", res);
			char cmd[128]; snprintf(cmd, sizeof cmd, "%s", dir);
			// clean up without a shell
			if (chdir(dir) == 0) { const char *l[] = {"f", "l", "loop", "none", "d/in", "d/none", 0}; for (int i = 0; l[i]; i++) { unlink(l[i]); rmdir(l[i]); } rmdir("d"); unlink("d"); if (chdir(base)) return 1; }
			rmdir(dir);
		}
	}
	return 0;
}
