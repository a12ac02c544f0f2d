// probe calls every system call that is safe to call with many combinations
// of good, bad and odd arguments and prints what came back, one line each:
// "name(arg arg ...) = errno name or ok". Run natively and in the sandbox the
// outputs must be equal. usage: probe [-n COMBINATIONS] [-s SEED] [NAME...] ;
// run it in an empty directory.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fiemap.h>
#include <linux/random.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

struct val { const char *name; long v; };
#define MAP_DROPPABLE_ 8
#define MAXV 72
static struct val F[MAXV], P[MAXV], Q[MAXV], S[MAXV], I[MAXV], Z[MAXV], O[MAXV], M[MAXV], G[MAXV], D[MAXV], C[MAXV], W[MAXV], T[MAXV], V[MAXV], X[MAXV], Y[MAXV], L[MAXV], N1[MAXV], R[MAXV], A[MAXV], B[MAXV], PR[MAXV], MF[MAXV], AD[MAXV], SF[MAXV], LK[MAXV], FA[MAXV], PC[MAXV];
static char *buf, *bufend, *ones;
static char longpath[5000];

static void set(struct val *a, const char *n, long v) { while (a->name) a++; a->name = n; a->v = v; }

static void values(void) {
	buf = mmap((void *)0x100000000000, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	bufend = buf + 65536; // an inaccessible page follows
	mprotect(bufend, 4096, PROT_NONE);
	memset(longpath, 'x', sizeof longpath - 1);
	set(F, "bad", -1); set(F, "closed", 90); set(F, "file", 10); set(F, "rofile", 19); set(F, "dir", 11); set(F, "pipeR", 12); set(F, "pipeW", 13);
	set(F, "sock", 14); set(F, "eventfd", 15); set(F, "path", 16); set(F, "epoll", 17);
	ones = buf + 32768; // 32-bit ones; NULL and small numbers elsewhere
	set(V, "NULL", 0); set(V, "8", 8); set(V, "buf", (long)buf); set(V, "ones", (long)ones); set(V, "ones2", (long)ones); set(V, "edge", (long)(bufend - 4)); set(V, "1", 1);
#define E(a, x) set(a, #x, (long)(x))
	E(X, FIONREAD); E(X, FIONBIO); E(X, FIOASYNC); E(X, FIOCLEX); E(X, FIONCLEX); E(X, FIOQSIZE); E(X, FIGETBSZ); E(X, FIBMAP); E(X, FS_IOC_GETFLAGS); E(X, FS_IOC_SETFLAGS); E(X, FS_IOC_GETVERSION);
	E(X, FS_IOC_FSGETXATTR); E(X, FICLONE); E(X, FS_IOC_FIEMAP); E(X, TCGETS); E(X, TCSETS); E(X, TCSETSW); E(X, TCGETA); E(X, TIOCGWINSZ); E(X, TIOCSWINSZ); E(X, TIOCGPGRP); E(X, TIOCSPGRP); E(X, TIOCGSID);
	E(X, TIOCSCTTY); E(X, TIOCNOTTY); E(X, TIOCOUTQ); E(X, TIOCSTI); E(X, TIOCEXCL); E(X, TIOCNXCL); E(X, TIOCGETD); E(X, TIOCGPTN); E(X, TIOCSPTLCK); E(X, TIOCGPTLCK); E(X, TIOCPKT); E(X, TIOCGPKT); E(X, TCFLSH); E(X, TCXONC); E(X, TCSBRK);
	E(X, TIOCMGET); E(X, TIOCSBRK); E(X, TIOCGEXCL); E(X, TIOCGDEV); E(X, TIOCGSERIAL); E(X, TIOCVHANGUP); E(X, SIOCATMARK); E(X, SIOCGPGRP); E(X, SIOCSPGRP); E(X, SIOCOUTQ); E(X, SIOCGIFCONF); E(X, SIOCGIFFLAGS); E(X, SIOCGIFADDR); E(X, SIOCGIFMTU); E(X, SIOCGIFNAME); E(X, SIOCGSTAMP_OLD);
	E(X, SIOCETHTOOL); E(X, BLKGETSIZE); E(X, BLKROGET); E(X, _IOW(0x54, 0, unsigned long)); E(X, RNDGETENTCNT); E(X, 0xdead); E(X, _IOR('z', 1, int));
	E(Y, F_DUPFD); E(Y, F_DUPFD_CLOEXEC); E(Y, F_GETFD); E(Y, F_SETFD); E(Y, F_GETFL); E(Y, F_SETFL); E(Y, F_GETLK); E(Y, F_SETLK); E(Y, F_OFD_GETLK); E(Y, F_OFD_SETLK); E(Y, F_SETOWN); E(Y, F_GETOWN); E(Y, F_SETSIG);
	E(Y, F_GETSIG); E(Y, F_SETOWN_EX); E(Y, F_GETOWN_EX); E(Y, F_SETLEASE); E(Y, F_GETLEASE); E(Y, F_NOTIFY); E(Y, F_SETPIPE_SZ); E(Y, F_GETPIPE_SZ); E(Y, F_ADD_SEALS); E(Y, F_GET_SEALS); E(Y, F_GET_RW_HINT); E(Y, F_SET_RW_HINT);
	E(Y, 1027); E(Y, 1028); E(Y, 17); E(Y, 100);
	E(L, SOL_SOCKET); E(L, IPPROTO_TCP); E(L, IPPROTO_IP); E(L, IPPROTO_IPV6); E(L, IPPROTO_UDP); E(L, 77);
	for (int i = 0; i < 70; i++) { static char nm[70][4]; sprintf(nm[i], "%d", i); set(N1, nm[i], i); }
	for (int i = 0; i < 68; i++) { static char nm[70][4]; sprintf(nm[i], "%d", i); set(R, nm[i], i); }
	E(A, AF_UNIX); E(A, AF_INET); E(A, AF_INET6); E(A, AF_NETLINK); E(A, AF_UNSPEC); E(A, 999); E(A, -1);
	E(B, SOCK_STREAM); E(B, SOCK_DGRAM); E(B, SOCK_SEQPACKET); E(B, SOCK_RAW); E(B, SOCK_RDM); E(B, 0); E(B, 9); E(B, SOCK_STREAM | SOCK_CLOEXEC); E(B, SOCK_DGRAM | SOCK_NONBLOCK); E(B, SOCK_STREAM | 0x100);
	E(PC, 0); E(PC, IPPROTO_TCP); E(PC, IPPROTO_UDP); E(PC, 1); E(PC, 255); E(PC, 262); E(PC, 263); E(PC, -1);
	E(PR, 0); E(PR, 1); E(PR, 3); E(PR, 5); E(PR, 7); E(PR, 8); E(PR, 0x10);
	E(MF, MAP_PRIVATE); E(MF, MAP_SHARED); E(MF, MAP_SHARED_VALIDATE); E(MF, MAP_PRIVATE | MAP_ANONYMOUS); E(MF, MAP_SHARED | MAP_ANONYMOUS); E(MF, 0); E(MF, MAP_PRIVATE | MAP_GROWSDOWN); E(MF, MAP_PRIVATE | MAP_HUGETLB);
	E(MF, MAP_SHARED | MAP_POPULATE); E(MF, MAP_PRIVATE | MAP_LOCKED); E(MF, MAP_SHARED_VALIDATE | MAP_SYNC); E(MF, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN); E(MF, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE); E(MF, MAP_DROPPABLE_ | MAP_ANONYMOUS);
	for (int i = -1; i < 27; i++) { static char nm[30][4]; sprintf(nm[i + 1], "%d", i); set(AD, nm[i + 1], i); }
	E(AD, 100); E(AD, 101); E(AD, 102);
	E(SF, 0); E(SF, MSG_OOB); E(SF, MSG_PEEK); E(SF, MSG_DONTWAIT); E(SF, MSG_DONTWAIT | MSG_WAITALL); E(SF, MSG_NOSIGNAL); E(SF, MSG_DONTWAIT | MSG_TRUNC); E(SF, MSG_CONFIRM); E(SF, MSG_DONTROUTE); E(SF, MSG_ERRQUEUE); E(SF, MSG_MORE); E(SF, MSG_ZEROCOPY); E(SF, MSG_FASTOPEN);
	E(LK, LOCK_SH); E(LK, LOCK_EX); E(LK, LOCK_UN); E(LK, LOCK_SH | LOCK_NB); E(LK, LOCK_EX | LOCK_NB); E(LK, 0); E(LK, LOCK_SH | LOCK_EX); E(LK, 32);
	E(FA, 0); E(FA, 1); E(FA, 2); E(FA, 3); E(FA, 8); E(FA, 0x10); E(FA, 0x11); E(FA, 0x20); E(FA, 0x40); E(FA, 0x80);
	set(F, "timerfd", 20); set(F, "signalfd", 21); set(F, "inotify", 22); set(F, "memfd", 23); set(F, "listen", 24); set(F, "pairA", 25); set(F, "pairB", 26); set(F, "tcp", 27); set(F, "udp", 28); set(F, "ptm", 29); set(F, "pts", 30); set(F, "null", 31);
	set(F, "fifo", 32); set(F, "proc", 33); set(F, "pidfd", 34); set(F, "dgram", 35); set(F, "zero", 36); set(F, "append", 37); set(F, "tcplisten", 38); set(F, "wronly", 39); set(F, "dirpath", 41); set(F, "netlink", 42); set(F, "tcpconn", 43); set(F, "procdir", 44);
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
	for (int i = 0; i < 1024; i++) ((int *)ones)[i] = 1;
	at(20, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	sigset_t m; sigemptyset(&m); sigaddset(&m, SIGUSR1); at(21, signalfd(-1, &m, SFD_NONBLOCK));
	at(22, inotify_init1(IN_NONBLOCK));
	fd = memfd_create("m", MFD_ALLOW_SEALING); write(fd, "abc", 3); at(23, fd);
	struct sockaddr_un un = {AF_UNIX, "S"};
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0); bind(fd, (void *)&un, sizeof un); listen(fd, 4); at(24, fd);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p); p[0] = fcntl(p[0], F_DUPFD, 50); at(25, p[0]); p[1] = fcntl(p[1], F_DUPFD, 50); write(p[1], "hello", 5); at(26, p[1]);
	close_range(50, 60, 0); close_range(3, 9, 0);
	at(27, socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	at(28, socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK); unlockpt(fd); char *pn = ptsname(fd); at(29, fd); at(30, open(pn, O_RDWR | O_NOCTTY | O_NONBLOCK));
	at(31, open("/dev/null", O_RDWR));
	mkfifo("ff", 0600); at(32, open("ff", O_RDWR | O_NONBLOCK));
	at(33, open("/proc/self/status", O_RDONLY));
	at(34, syscall(SYS_pidfd_open, getpid(), 0));
	at(35, socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	at(36, open("/dev/zero", O_RDWR));
	at(37, open("f", O_RDWR | O_APPEND));
	struct sockaddr_in in = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}}; socklen_t il = sizeof in;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); bind(fd, (void *)&in, sizeof in); listen(fd, 4); getsockname(fd, (void *)&in, &il); at(38, fd);
	at(39, open("f", O_WRONLY));
	at(41, open("d", O_PATH));
	at(42, socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0));
	fd = socket(AF_INET, SOCK_STREAM, 0); connect(fd, (void *)&in, sizeof in); fcntl(fd, F_SETFL, O_NONBLOCK | O_RDWR); at(43, fd);
	at(44, open("/proc/self", O_RDONLY));
}

struct call { const char *name; int nr; const char *args; };
#define N(x) #x, SYS_##x
static struct call calls[] = {
	{N(read), "FPZ"}, {N(write), "FPZ"}, {N(open), "SOM"}, {N(close), "F"}, {N(stat), "SP"}, {N(fstat), "FP"}, {N(lstat), "SP"}, {N(lseek), "FIT"},
	{N(pread64), "FPZI"}, {N(pwrite64), "FPZI"}, {N(readv), "FPI"}, {N(writev), "FPI"}, {N(preadv), "FPII"}, {N(pwritev), "FPII"}, {N(preadv2), "FPIIII"}, {N(pwritev2), "FPIIII"},
	{N(access), "SM"}, {N(faccessat), "DSM"}, {N(faccessat2), "DSMI"}, {N(pipe), "P"}, {N(pipe2), "PI"}, {N(dup), "F"}, {N(dup2), "FI"}, {N(dup3), "FII"},
	{N(getpid), ""}, {N(sendfile), "FFQZ"}, {N(socket), "ABc"}, {N(connect), "FPI"}, {N(accept), "FPP"}, {N(accept4), "FPPI"}, {N(bind), "FPI"}, {N(listen), "FI"},
	{N(sendto), "FPZfQI"}, {N(recvfrom), "FPZfQQ"}, {N(sendmsg), "FPf"}, {N(recvmsg), "FPf"}, {N(shutdown), "FI"}, {N(getsockname), "FPP"}, {N(getpeername), "FPP"}, {N(socketpair), "ABcP"},
	{N(setsockopt), "FLNVI"}, {N(getsockopt), "FLNPP"}, {N(uname), "P"}, {N(fcntl), "FYV"}, {N(fcntl), "FYI"}, {N(flock), "Fk"}, {N(fsync), "F"}, {N(fdatasync), "F"}, {N(truncate), "SI"}, {N(ftruncate), "FI"},
	{N(getdents), "FPI"}, {N(getdents64), "FPI"}, {N(getcwd), "PZ"}, {N(chdir), "S"}, {N(fchdir), "F"}, {N(rename), "SS"}, {N(renameat), "DSDS"}, {N(renameat2), "DSDSI"}, {N(mkdir), "SM"}, {N(mkdirat), "DSM"},
	{N(rmdir), "S"}, {N(creat), "SM"}, {N(link), "SS"}, {N(linkat), "DSDSI"}, {N(unlink), "S"}, {N(unlinkat), "DSI"}, {N(symlink), "SS"}, {N(symlinkat), "SDS"}, {N(readlink), "SPI"}, {N(readlinkat), "DSPI"},
	{N(chmod), "SM"}, {N(fchmod), "FM"}, {N(fchmodat), "DSM"}, {N(chown), "SII"}, {N(fchown), "FII"}, {N(lchown), "SII"}, {N(fchownat), "DSIII"}, {N(umask), "M"}, {N(gettimeofday), "PP"}, {N(getrlimit), "IP"}, {N(getrusage), "IP"},
	{N(sysinfo), "P"}, {N(times), "P"}, {N(getuid), ""}, {N(syslog), "GPI"}, {N(setpgid), "WW"}, {N(getpgid), "W"}, {N(getsid), "W"}, {N(getgroups), "IP"}, {N(setgroups), "IP"}, {N(capget), "PP"},
	{N(rt_sigpending), "PZ"}, {N(rt_sigtimedwait), "PQQZ"}, {N(rt_sigaction), "GQQZ"}, {N(rt_sigprocmask), "IQQZ"}, {N(sigaltstack), "QQ"}, {N(utime), "SQ"}, {N(utimes), "SQ"}, {N(utimensat), "DSQI"}, {N(futimesat), "DSQ"},
	{N(mknod), "SMI"}, {N(mknodat), "DSMI"}, {N(personality), "I"}, {N(statfs), "SP"}, {N(fstatfs), "FP"}, {N(getpriority), "II"}, {N(sched_getparam), "WP"}, {N(sched_setparam), "WP"}, {N(sched_getscheduler), "W"},
	{N(sched_setscheduler), "WIP"}, {N(sched_get_priority_max), "I"}, {N(sched_get_priority_min), "I"}, {N(sched_rr_get_interval), "WP"}, {N(sched_getaffinity), "WZP"}, {N(sched_setaffinity), "WZP"}, {N(mlock), "PZ"}, {N(munlock), "PZ"}, {N(mlock2), "PZI"},
	{N(mlockall), "I"}, {N(prctl), "RIIII"}, {N(prctl), "RV000"}, {N(prctl), "RI000"}, {N(arch_prctl), "IP"}, {N(setrlimit), "IP"}, {N(prlimit64), "WIQQ"}, {N(gettid), ""}, {N(readahead), "FIZ"}, {N(setxattr), "SSPZI"}, {N(lsetxattr), "SSPZI"}, {N(fsetxattr), "FSPZI"},
	{N(getxattr), "SSPZ"}, {N(fgetxattr), "FSPZ"}, {N(listxattr), "SPZ"}, {N(flistxattr), "FPZ"}, {N(removexattr), "SS"}, {N(fremovexattr), "FS"}, {N(futex), "PIIQQI"}, {N(io_setup), "IP"}, {N(io_destroy), "I"},
	{N(epoll_create), "I"}, {N(epoll_create1), "I"}, {N(epoll_ctl), "FIFP"}, {N(remap_file_pages), "PZIZI"}, {N(set_tid_address), "P"}, {N(fadvise64), "FIZI"}, {N(timer_create), "CQP"}, {N(timer_settime), "IIQQ"}, {N(timer_gettime), "IP"},
	{N(timer_getoverrun), "I"}, {N(timer_delete), "I"}, {N(clock_gettime), "CP"}, {N(clock_getres), "CP"}, {N(clock_nanosleep), "CIQQ"}, {N(nanosleep), "PQ"}, {N(getitimer), "IP"}, {N(setitimer), "IQQ"},
	{N(waitid), "IWPIQ"}, {N(wait4), "WQIQ"}, {N(inotify_init1), "I"}, {N(inotify_add_watch), "FSI"}, {N(inotify_rm_watch), "FI"}, {N(openat), "DSOM"}, {N(openat2), "DSPZ"}, {N(newfstatat), "DSPI"}, {N(statx), "DSIIP"},
	{N(pselect6), "IQQQQQ"}, {N(select), "IQQQQ"}, {N(poll), "PII"}, {N(ppoll), "PIQQZ"}, {N(set_robust_list), "PZ"}, {N(get_robust_list), "WPP"}, {N(splice), "FQFQZI"}, {N(tee), "FFZI"}, {N(vmsplice), "FPII"}, {N(sync_file_range), "FIII"},
	{N(epoll_wait), "FPII"}, {N(epoll_pwait), "FPIIQZ"}, {N(signalfd), "FPZ"}, {N(signalfd4), "FPZI"}, {N(timerfd_create), "CI"}, {N(timerfd_settime), "FIQQ"}, {N(timerfd_gettime), "FP"}, {N(eventfd), "I"}, {N(eventfd2), "II"}, {N(fallocate), "FaII"},
	{N(recvmmsg), "FPIIQ"}, {N(sendmmsg), "FPII"}, {N(getcpu), "QQQ"}, {N(process_vm_readv), "WPIPII"}, {N(kcmp), "WWIII"}, {N(sched_setattr), "WPI"}, {N(sched_getattr), "WPZI"}, {N(seccomp), "IIP"}, {N(getrandom), "PZI"}, {N(memfd_create), "SI"},
	{N(membarrier), "III"}, {N(copy_file_range), "FQFQZI"}, {N(mmap), "PZpmFI"}, {N(mmap), "0ZpmF0"}, {N(munmap), "PZ"}, {N(mprotect), "PZp"}, {N(mremap), "PZZIP"}, {N(msync), "PZI"}, {N(mincore), "PZP"}, {N(madvise), "PZv"}, {N(pidfd_open), "WI"}, {N(pidfd_send_signal), "FGQI"},
	{N(pidfd_getfd), "FII"}, {N(close_range), "III"}, {N(getresuid), "PPP"}, {N(getresgid), "PPP"}, {N(setresuid), "III"}, {N(setreuid), "II"}, {N(setuid), "I"}, {N(setfsuid), "I"}, {N(setregid), "II"}, {N(setgid), "I"},
	{N(ioprio_get), "II"}, {N(ioprio_set), "III"}, {N(shmget), "IZI"}, {N(shmat), "IPI"}, {N(shmctl), "IIP"}, {N(shmdt), "P"}, {N(semget), "III"}, {N(semop), "IPI"}, {N(semctl), "IIIP"}, {N(msgget), "II"}, {N(msgsnd), "IPZI"},
	{N(msgctl), "IIP"}, {N(mq_open), "SIMQ"}, {N(mq_unlink), "S"}, {N(mq_timedsend), "FPZIQ"}, {N(mq_timedreceive), "FPZQQ"}, {N(mq_notify), "FQ"}, {N(mq_getsetattr), "FQQ"}, {N(name_to_handle_at), "DSPPI"}, {N(fchmodat2), "DSMI"},
	{N(tgkill), "WWG"}, {N(rt_tgsigqueueinfo), "WWGP"}, {N(capset), "PP"}, {N(chroot), "S"}, {N(setns), "FI"}, {N(get_mempolicy), "QQIPI"}, {N(mbind), "PZIQII"}, {N(set_mempolicy), "IQI"}, {N(migrate_pages), "WIQQ"}, {N(move_pages), "WIQQQI"},
	{N(clock_settime), "CP"}, {N(modify_ldt), "IPI"}, {N(ustat), "IP"}, {N(sysfs), "IPI"}, {N(add_key), "SSPZI"}, {N(request_key), "SSSI"}, {N(quotactl), "ISIP"}, {N(userfaultfd), "I"}, {N(rseq), "PIII"}, {N(perf_event_open), "PWIII"},
	{N(fanotify_init), "II"}, {N(io_uring_setup), "IP"}, {N(bpf), "IPI"}, {N(landlock_create_ruleset), "PZI"}, {N(process_madvise), "FPIII"}, {N(pkey_alloc), "II"}, {N(pkey_mprotect), "PZII"}, {N(mount_setattr), "DSIPZ"}, {N(open_tree), "DSI"}, {N(fsopen), "SI"},
	{N(fspick), "DSI"}, {N(fsconfig), "FISPI"}, {N(fsmount), "FII"}, {N(move_mount), "DSDSI"}, {N(umount2), "SI"}, {N(pivot_root), "SS"}, {N(swapoff), "S"}, {N(epoll_pwait2), "FPIQQZ"}, {N(clone3), "PZ"}, {N(execve), "SQQ"}, {N(execveat), "DSQQI"},
	{N(unshare), "I"}, {N(ioctl), "FXV"}, {N(ioctl), "FIP"}, {N(restart_syscall), ""}, {N(sync), ""}, {N(syncfs), "F"}, {N(getpgrp), ""}, {N(lookup_dcookie), "IPZ"}, {N(memfd_secret), "I"}, {N(process_mrelease), "FI"}, {N(set_mempolicy_home_node), "PZII"}, {N(futex_waitv), "PIIQI"},
};

static struct val *kind(char c) {
	switch (c) {
	case 'F': return F; case 'P': return P; case 'Q': return Q; case 'S': return S; case 'I': return I; case 'Z': return Z; case 'O': return O;
	case 'M': return M; case 'G': return G; case 'D': return D; case 'C': return C; case 'W': return W; case 'T': return T;
	case 'V': return V; case 'X': return X; case 'Y': return Y; case 'L': return L; case 'N': return N1; case 'R': return R; case 'A': return A; case 'B': return B; case 'c': return PC; case 'p': return PR;
	case 'm': return MF; case 'v': return AD; case 'f': return SF; case 'k': return LK; case 'a': return FA;
	case '0': { static struct val zero[2] = {{"0", 0}}; return zero; }
	}
	abort();
}

// Combinations that would end, stop, or block the prober for good, or that
// reach beyond it.
static int skip(struct call *c, long *a) {
	switch (c->nr) {
	case SYS_prctl: return a[0] == 0x1000 || a[0] == 22;
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
	case SYS_read: case SYS_write: case SYS_lseek: case SYS_pread64: case SYS_pwrite64: case SYS_readlink: case SYS_dup2:
	case SYS_sched_get_priority_max: case SYS_sched_get_priority_min: case SYS_poll: case SYS_select: case SYS_getpriority:
	case SYS_fcntl: case SYS_prctl: case SYS_ioctl: case SYS_sendto: case SYS_recvfrom: case SYS_dup: case SYS_dup3: case SYS_eventfd2: case SYS_open: case SYS_openat: case SYS_socket: case SYS_sendfile: case SYS_splice:
	case SYS_readv: case SYS_writev: case SYS_getgroups: case SYS_sched_getaffinity: case SYS_getxattr: case SYS_listxattr: case SYS_flistxattr: case SYS_ioprio_get: case SYS_personality: case SYS_umask: case SYS_tee: case SYS_vmsplice: case SYS_copy_file_range:
		return 1;
	}
	return 0;
}

// What a call left behind, where it is the same everywhere.
static void detail(struct call *c, long *a, long r, char *out) {
	struct stat *st = (void *)buf;
	*out = 0;
	switch (c->nr) {
	case SYS_stat: case SYS_fstat: case SYS_lstat: case SYS_newfstatat:
		if (r == 0 && (a[1] == (long)buf && c->nr != SYS_newfstatat || c->nr == SYS_newfstatat && a[2] == (long)buf))
			if (c->nr == SYS_newfstatat || c->args[0] == 'S' || a[0] < 29 || a[0] == 32 || a[0] >= 35 && a[0] <= 43) sprintf(out, " mode=%o nlink=%ld size=%ld", st->st_mode, S_ISDIR(st->st_mode) ? 0L : (long)st->st_nlink, S_ISDIR(st->st_mode) ? 0L : (long)st->st_size);
		break;
	case SYS_setsockopt: {
		char v[64] = {0}; socklen_t n = sizeof v;
		if (r == 0 && !getsockopt(a[0], a[1], a[2], v, &n) && n <= 16) sprintf(out, " now[%d]=%d,%d", n, *(int *)v, *(int *)(v + 4));
		break;
	}
	case SYS_ioctl:
		if (r >= 0 && (a[2] == (long)buf || a[2] == (long)ones) && a[1] != TIOCGPTN && a[1] != TIOCGDEV && a[1] != TIOCGPGRP && a[1] != FS_IOC_GETVERSION && a[1] != FS_IOC_FSGETXATTR && a[1] != FS_IOC_GETFLAGS && a[1] != SIOCGSTAMP_OLD && a[1] != RNDGETENTCNT && a[1] != SIOCGIFNAME) {
			int *v = (void *)a[2]; sprintf(out, " %x,%x,%x,%x", v[0], v[1], v[2], v[3]);
		}
		break;
	case SYS_fcntl:
		if (r >= 0 && (a[2] == (long)buf || a[2] == (long)ones)) { short *v = (void *)a[2]; sprintf(out, " %d,%d", v[0], v[1]); }
		break;
	case SYS_pipe: case SYS_pipe2: case SYS_socketpair: {
		int *v = (void *)a[c->nr == SYS_socketpair ? 3 : 0]; if (r == 0) sprintf(out, " %d,%d", v[0], v[1]); break;
	}
	case SYS_lseek: case SYS_read: case SYS_write: case SYS_pread64: case SYS_pwrite64: case SYS_readv: case SYS_writev: case SYS_ftruncate: case SYS_fallocate: case SYS_sendfile: case SYS_splice: case SYS_copy_file_range:
		sprintf(out, " pos=%ld", (long)lseek(a[0], 0, SEEK_CUR)); break;
	}
}

static unsigned long rng;
static unsigned next(void) { rng = rng * 6364136223846793005UL + 1442695040888963407UL; return rng >> 33; }


int main(int argc, char **argv) {
	int combo = 48, opt; unsigned long seed = 1;
	while ((opt = getopt(argc, argv, "+n:s:")) != -1) if (opt == 'n') combo = atoi(optarg); else if (opt == 's') seed = atol(optarg); else return 2;
	argv += optind; argc -= optind;
	setvbuf(stdout, 0, _IOFBF, 1 << 16);
	signal(SIGPIPE, SIG_IGN); signal(SIGXFSZ, SIG_IGN);
	setsid();
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 1024});
	values();
	struct ifreq lo = {"lo"}; int nfd = socket(AF_INET, SOCK_DGRAM, 0); ioctl(nfd, SIOCGIFFLAGS, &lo); lo.ifr_flags |= IFF_UP; ioctl(nfd, SIOCSIFFLAGS, &lo); close(nfd);
	// The same file system in both places.
	mkdir("t", 0755); mount("none", "t", "tmpfs", 0, 0); if (chdir("t")) return 1;
	char *res = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char base[4096]; getcwd(base, sizeof base);
	for (unsigned k = 0; k < sizeof calls / sizeof *calls; k++) {
		struct call *c = &calls[k];
		int want = argc == 0;
		for (int i = 0; i < argc; i++) want |= !strcmp(argv[i], c->name);
		if (!want) continue;
		int n = strlen(c->args);
		long total = 1, cnt[6];
		for (int i = 0; i < n; i++) { struct val *v = kind(c->args[i]); for (cnt[i] = 0; cnt[i] < MAXV && v[cnt[i]].name;) cnt[i]++; total *= cnt[i]; }
		rng = c->nr * 7919 + seed + c->args[1] * 31;
		int combos = total < combo ? total : combo;
		for (int m = 0; m < combos; m++) {
			long pick = total <= combo ? m : (long)(next() % total);
			long a[6] = {0}; const char *an[6];
			for (int i = 0; i < n; i++) { struct val *v = kind(c->args[i]); a[i] = v[pick % cnt[i]].v; an[i] = v[pick % cnt[i]].name; pick /= cnt[i]; }
			if (skip(c, a)) continue;
			char dir[64]; snprintf(dir, sizeof dir, "w%d", m);
			strcpy(res, "lost");
			fflush(stdout);
			pid_t pid = fork();
			if (pid == 0) {
				close_range(3, ~0U, 0);
				mkdir(dir, 0755); if (chdir(dir)) _exit(99);
				files();
				alarm(1);
				struct itimerval it = {{0, 0}, {0, 150000}}; setitimer(ITIMER_REAL, &it, 0);
				errno = 0;
				strcpy(res, "no return");
				long r = syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
				int e = errno;
				char more[200]; detail(c, a, r, more);
				if (r == -1 && e) snprintf(res, 300, "%s%s", ename(e), more);
				else if (exact(c->nr)) snprintf(res, 300, "%ld%s", r, more);
				else snprintf(res, 300, "ok%s", more);
				_exit(0);
			}
			int st; waitpid(pid, &st, 0);
			printf("%s(", c->name);
			for (int i = 0; i < n; i++) printf("%s%s", i ? " " : "", an[i]);
			if (WIFSIGNALED(st)) printf(") = %s, killed by %s\n", res, sigabbrev_np(WTERMSIG(st))); else printf(") = %s\n", res);
			char cmd[128]; snprintf(cmd, sizeof cmd, "%s", dir);
			// clean up without a shell
			if (chdir(dir) == 0) { const char *l[] = {"f", "l", "loop", "none", "d/in", "d/none", "S", "ff", 0}; for (int i = 0; l[i]; i++) { unlink(l[i]); rmdir(l[i]); } rmdir("d"); unlink("d"); if (chdir(base)) return 1; }
			rmdir(dir);
		}
	}
	return 0;
}
