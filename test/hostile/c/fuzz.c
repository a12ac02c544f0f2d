// fuzz makes random system calls, seeded, from many short-lived processes and
// threads: usage: fuzz SEED SECONDS. It ends with "fuzz: done" and status 0
// whatever its children came to; anything else is the sentry's fault.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
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
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

static char *arena; // what calls read, write, unmap
#define ARENA (64 * 4096L)
static volatile int *shared; // [0] calls made
static uint64_t stop_at;

typedef struct { uint64_t s; int depth; } rnd;
static uint64_t r64(rnd *r) {
	r->s ^= r->s << 13, r->s ^= r->s >> 7, r->s ^= r->s << 17;
	return r->s * 0x2545F4914F6CDD1Dull;
}
static uint64_t below(rnd *r, uint64_t n) { return (r64(r) >> 11) % n; }
#define PICK(r, a) ((a)[below(r, sizeof(a) / sizeof((a)[0]))])

static uint64_t now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static const uint64_t odd[] = {0, 1, 2, 3, 4, 7, 8, 16, 63, 64, 65, 127, 255, 256, 4095, 4096, 4097, 8192, 65535, 65536, 1 << 20,
	0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, -1, -2, -22, -4095, -4096, -100,
	0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0xffffffffff600000, 0xffff800000000000, 0x5555555555555555};

static const char *paths[] = {"", ".", "..", "/", "a", "b", "c", "d", "d/a", "d/b", "d/../d/c", "e", "e/f", "l", "loop", "fifo", "sock", "/proc",
	"/proc/self", "/proc/self/mem", "/proc/self/maps", "/proc/self/fd", "/proc/self/fd/3", "/proc/self/exe", "/proc/self/root", "/proc/self/cwd",
	"/proc/self/ns/mnt", "/proc/self/ns/pid", "/proc/self/ns/user", "/proc/self/uid_map", "/proc/self/oom_score_adj", "/proc/self/task", "/proc/self/attr/current", "/proc/self/clear_refs",
	"/proc/self/pagemap", "/proc/self/mountinfo", "/proc/self/stat", "/proc/self/environ", "/proc/self/comm", "/proc/1/maps", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
	"/proc/sys/vm/overcommit_memory", "/proc/sys/fs/mqueue/msg_max", "/dev/null", "/dev/zero", "/dev/full", "/dev/ptmx", "/dev/tty", "/dev/pts/0", "/dev/pts", "/dev/shm", "/dev/shm/x", "/dev/fd/4", "/dev/random", "/sys",
	"/sys/fs/cgroup", "/sys/kernel", "/tmp", "mnt", "mnt/a", "mnt/mnt", "mnt2", "/etc/passwd", "/bin/true", "/bin/sh", "\xff\xfe", "a/", "d/", "nx/x", "tmpfs", "proc", "overlay", "lowerdir=d,upperdir=e,workdir=c", "sysfs", "devpts",
	"cgroup2", "mqueue", "ramfs", "devtmpfs", "user.a", "user.b", "security.capability", "trusted.x", "system.posix_acl_access", "system.posix_acl_default", "overlayfs", "size=1m", "mode=0777", "long"};
static char longname[5000];

static void spoil(rnd *r, char *p, size_t n) {
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t v;
		switch (below(r, 6)) {
		case 0: v = PICK(r, odd); break;
		case 1: v = (uint64_t)arena + below(r, ARENA); break;
		case 2: v = below(r, 40); break;
		case 3: v = r64(r); break;
		default: v = below(r, 3); break;
		}
		memcpy(p + i, &v, 8);
	}
}

// buffer returns a place in the arena that may well be unmapped or read-only by now.
static uint64_t buffer(rnd *r) {
	switch (below(r, 14)) {
	case 0: return PICK(r, odd);
	case 1: return (uint64_t)arena + ARENA - below(r, 64); // ends beyond
	case 2: return (uint64_t)arena + 4096 * below(r, 64) + 4096 - below(r, 16);
	case 3: return (uint64_t)arena + 4096 * below(r, 64);
	default: return (uint64_t)arena + below(r, ARENA - 8192);
	}
}

// local copies a structure to the arena if the arena is still there.
static uint64_t put(rnd *r, const void *p, size_t n) {
	uint64_t at = (uint64_t)arena + 8 * below(r, ARENA / 8 - 1024);
	struct iovec l = {(void *)p, n}, m = {(void *)at, n};
	syscall(SYS_process_vm_writev, syscall(SYS_getpid), &l, 1, &m, 1, 0);
	return at;
}

static int anfd(rnd *r) { return below(r, 20) ? (int)below(r, 44) : (int)PICK(r, odd); }

static uint64_t sock_addr(rnd *r) {
	char b[128];
	memset(b, 0, sizeof b);
	switch (below(r, 6)) {
	case 0: { struct sockaddr_un *u = (void *)b; u->sun_family = AF_UNIX; strcpy(u->sun_path, PICK(r, paths)); break; }
	case 1: { struct sockaddr_un *u = (void *)b; u->sun_family = AF_UNIX; u->sun_path[1] = 'a' + below(r, 3); break; }
	case 2: { struct sockaddr_in *u = (void *)b; u->sin_family = AF_INET; u->sin_port = htons(2000 + below(r, 8)); u->sin_addr.s_addr = htonl(0x7f000001); break; }
	case 3: { struct sockaddr_in6 *u = (void *)b; u->sin6_family = AF_INET6; u->sin6_port = htons(2000 + below(r, 8)); u->sin6_addr.s6_addr[15] = 1; break; }
	case 4: b[0] = 16; b[4] = below(r, 4); break; // AF_NETLINK
	default: spoil(r, b, sizeof b); b[0] = below(r, 46); b[1] = 0;
	}
	return put(r, b, sizeof b);
}

static uint64_t iovecs(rnd *r) {
	struct iovec v[8];
	for (int i = 0; i < 8; i++) {
		v[i].iov_base = (void *)buffer(r);
		v[i].iov_len = below(r, 8) ? below(r, 9000) : PICK(r, odd);
	}
	return put(r, v, sizeof v);
}

static uint64_t message(rnd *r) {
	struct { struct msghdr h; unsigned pad; } m[4];
	memset(m, 0, sizeof m);
	for (int k = 0; k < 4; k++) {
		struct msghdr *h = &m[k].h;
		h->msg_name = below(r, 3) ? 0 : (void *)sock_addr(r);
		h->msg_namelen = below(r, 130);
		h->msg_iov = (void *)iovecs(r);
		h->msg_iovlen = below(r, 10) ? below(r, 9) : PICK(r, odd);
		if (below(r, 2)) {
			char c[512];
			memset(c, 0, sizeof c);
			struct cmsghdr *cm = (void *)c;
			int n = below(r, 12), fds[16];
			for (int i = 0; i < 16; i++) fds[i] = anfd(r);
			cm->cmsg_level = below(r, 8) ? SOL_SOCKET : (int)below(r, 300);
			cm->cmsg_type = below(r, 6) ? SCM_RIGHTS : (int)below(r, 70);
			cm->cmsg_len = below(r, 8) ? CMSG_LEN(4 * n) : PICK(r, odd);
			memcpy(CMSG_DATA(cm), fds, sizeof fds);
			h->msg_control = (void *)put(r, c, sizeof c);
			h->msg_controllen = below(r, 8) ? CMSG_SPACE(4 * n) : below(r, 600);
		}
		h->msg_flags = below(r, 3) ? 0 : PICK(r, odd);
	}
	return put(r, m, sizeof m);
}

static uint64_t arg(rnd *r, char kind) {
	switch (kind) {
	case 'f': return anfd(r);
	case 'd': return below(r, 3) ? AT_FDCWD : anfd(r);
	case 's': if (below(r, 12) == 0) return buffer(r); if (below(r, 60) == 0) return (uint64_t)longname; return (uint64_t)PICK(r, paths);
	case 'p': case 'b': return buffer(r);
	case 'l': return below(r, 4) ? below(r, 9000) : PICK(r, odd);
	case 'i': return below(r, 5) ? below(r, 32) : PICK(r, odd);
	case 'x': return below(r, 2) ? PICK(r, odd) : r64(r);
	case 'o': return below(r, 3) ? below(r, 70000) : PICK(r, odd);
	case 'm': return below(r, 3) ? below(r, 01000) : r64(r);
	case 'B': return (1ull << below(r, 34)) | (below(r, 2) ? 1ull << below(r, 32) : 0) | (below(r, 2) ? 1ull << below(r, 20) : 0);
	case 'O': return below(r, 3) | (below(r, 2) ? 1ull << below(r, 24) : 0) | (below(r, 2) ? 1ull << below(r, 24) : 0) | O_NONBLOCK * (below(r, 4) != 0);
	case 'g': return below(r, 70);
	case 't': return below(r, 3) ? below(r, 40) : below(r, 2) ? (uint64_t)syscall(SYS_gettid) : -below(r, 30);
	case 'a': return below(r, 30) ? (uint64_t)arena + 4096 * below(r, 66) : PICK(r, odd);
	case 'n': return 4096 * below(r, 20) + (below(r, 8) ? 0 : below(r, 4096));
	case 'P': return below(r, 8);
	case 'M': return (below(r, 3) + 1) | (below(r, 2) ? MAP_ANONYMOUS : 0) | (below(r, 2) ? MAP_FIXED : 0) | (below(r, 4) ? 0 : 1ull << below(r, 22));
	case 'S': return sock_addr(r);
	case 'V': return iovecs(r);
	case 'H': return message(r);
	case 'T': { uint64_t t[4] = {0, below(r, 3000000), 0, below(r, 3000000)}; if (below(r, 6) == 0) t[below(r, 4)] = PICK(r, odd); return below(r, 8) ? put(r, t, sizeof t) : buffer(r); }
	case 'z': { uint64_t t[8]; spoil(r, (void *)t, sizeof t); return put(r, t, sizeof t); }
	case 'L': { uint32_t v = below(r, 200); return put(r, &v, 4); }
	case 'E': { uint64_t t[2] = {r64(r) & (below(r, 2) ? 0x1f : -1ull), r64(r)}; return put(r, t, 12); }
	case 'G': { uint64_t t[12]; spoil(r, (void *)t, sizeof t); if (below(r, 3)) t[0] = 0x1000000000000 | below(r, 200); return put(r, t, sizeof t); }
	case 'N': return below(r, 12); // small
	case '0': return 0;
	default: { static const char all[] = "fdsblixomgtanPSVHTz"; return arg(r, all[below(r, sizeof all - 1)]); }
	}
}

static const struct { short nr; const char *args; } table[] = {
	{SYS_read, "fbl"}, {SYS_write, "fbl"}, {SYS_openat, "dsOm"}, {SYS_openat, "dsOm"}, {SYS_openat, "dsOm"}, {SYS_close, "f"}, {SYS_newfstatat, "dsbB"}, {SYS_poll, "zNi"}, {SYS_lseek, "fxN"},
	{SYS_mmap, "anPMfn"}, {SYS_mmap, "anPMfn"}, {SYS_mmap, "0nPMfn"}, {SYS_mprotect, "anP"}, {SYS_munmap, "an"}, {SYS_mremap, "annNa"}, {SYS_msync, "anN"}, {SYS_mincore, "anb"},
	{SYS_madvise, "ani"}, {SYS_mlock, "an"}, {SYS_munlock, "an"}, {SYS_mlock2, "anN"}, {SYS_remap_file_pages, "an0nN"}, {SYS_brk, "x"}, {SYS_rt_sigaction, "gzb8"}, {SYS_rt_sigprocmask, "Nzb8"}, {SYS_ioctl, "fkp"}, {SYS_ioctl, "fkz"}, {SYS_pread64, "fblo"},
	{SYS_pwrite64, "fblo"}, {SYS_readv, "fVN"}, {SYS_writev, "fVN"}, {SYS_preadv2, "fVNooB"}, {SYS_pwritev2, "fVNooB"}, {SYS_pipe2, "bO"}, {SYS_select, "izzzT"}, {SYS_pselect6, "izzzTz"}, {SYS_ppoll, "zNTz8"}, {SYS_shmget, "ioB"}, {SYS_shmat, "iaB"},
	{SYS_shmctl, "iib"}, {SYS_shmdt, "a"}, {SYS_dup, "f"}, {SYS_dup2, "ff"}, {SYS_dup3, "ffO"}, {SYS_nanosleep, "Tb"}, {SYS_setitimer, "Nzb"}, {SYS_sendfile, "ffpl"}, {SYS_socket, "iNi"}, {SYS_socketpair, "1Nip"}, {SYS_connect, "fSl"}, {SYS_accept4, "fbpO"},
	{SYS_sendto, "fblBSl"}, {SYS_recvfrom, "fblBbL"}, {SYS_sendmsg, "fHB"}, {SYS_recvmsg, "fHB"}, {SYS_sendmmsg, "fHNB"}, {SYS_recvmmsg, "fHNBT"}, {SYS_shutdown, "fN"}, {SYS_bind, "fSl"}, {SYS_listen, "fi"}, {SYS_getsockname, "fbL"}, {SYS_setsockopt, "fiizl"},
	{SYS_getsockopt, "fiibL"}, {SYS_semget, "iiB"}, {SYS_semop, "izN"}, {SYS_semtimedop, "izNT"}, {SYS_semctl, "iiib"}, {SYS_msgget, "iB"}, {SYS_msgsnd, "izlB"}, {SYS_msgrcv, "iblxB"}, {SYS_msgctl, "iib"}, {SYS_fcntl, "fix"}, {SYS_fcntl, "fiz"}, {SYS_flock, "fN"},
	{SYS_ftruncate, "fo"}, {SYS_truncate, "so"}, {SYS_getdents64, "fbl"}, {SYS_chdir, "s"}, {SYS_fchdir, "f"}, {SYS_renameat2, "dsdsN"}, {SYS_mkdirat, "dsm"}, {SYS_unlinkat, "dsB"}, {SYS_linkat, "dsdsB"}, {SYS_symlinkat, "sds"}, {SYS_readlinkat, "dsbl"}, {SYS_fchmodat, "dsm"},
	{SYS_fchownat, "dsiiB"}, {SYS_mknodat, "dsBi"}, {SYS_utimensat, "dsTB"}, {SYS_getrlimit, "ib"}, {SYS_prlimit64, "tizb"}, {SYS_getrusage, "ib"}, {SYS_sysinfo, "b"}, {SYS_ptrace, "itpp"}, {SYS_ptrace, "itxx"}, {SYS_syslog, "ibl"}, {SYS_setpgid, "tt"}, {SYS_setsid, ""},
	{SYS_getgroups, "ib"}, {SYS_setgroups, "iz"}, {SYS_setresuid, "iii"}, {SYS_capget, "zb"}, {SYS_capset, "zz"}, {SYS_rt_sigpending, "b8"}, {SYS_rt_sigtimedwait, "zbT8"}, {SYS_rt_sigqueueinfo, "tgz"}, {SYS_rt_tgsigqueueinfo, "ttgz"}, {SYS_sigaltstack, "zb"},
	{SYS_personality, "i"}, {SYS_statfs, "sb"}, {SYS_fstatfs, "fb"}, {SYS_sched_setparam, "tz"}, {SYS_sched_setscheduler, "tNz"}, {SYS_sched_setattr, "tzN"}, {SYS_sched_getattr, "tblN"}, {SYS_sched_setaffinity, "tlz"}, {SYS_prctl, "ixxxx"}, {SYS_prctl, "izizz"}, {SYS_arch_prctl, "xp"},
	{SYS_mount, "sssBs"}, {SYS_mount, "sssBs"}, {SYS_umount2, "sN"}, {SYS_pivot_root, "ss"}, {SYS_chroot, "s"}, {SYS_setxattr, "sszlN"}, {SYS_getxattr, "ssbl"}, {SYS_listxattr, "sbl"}, {SYS_removexattr, "ss"}, {SYS_fsetxattr, "fszlN"}, {SYS_fgetxattr, "fsbl"}, {SYS_futex, "pixTpx"},
	{SYS_futex, "aiiTai"}, {SYS_futex_waitv, "zNNTN"}, {SYS_io_setup, "iz"}, {SYS_io_submit, "xNz"}, {SYS_io_getevents, "xNNbT"}, {SYS_io_destroy, "x"}, {SYS_timer_create, "izb"}, {SYS_timer_settime, "iNTb"}, {SYS_timer_delete, "i"}, {SYS_clock_gettime, "ib"}, {SYS_clock_nanosleep, "iNTb"},
	{SYS_epoll_create1, "O"}, {SYS_epoll_ctl, "fNfE"}, {SYS_epoll_ctl, "f1fE"}, {SYS_epoll_pwait, "fbiNz8"}, {SYS_epoll_pwait2, "fbNTz8"}, {SYS_tgkill, "ttg"}, {SYS_kill, "tg"}, {SYS_waitid, "itbBb"}, {SYS_mq_open, "sOmz"}, {SYS_mq_timedsend, "fblxT"}, {SYS_mq_timedreceive, "fblbT"},
	{SYS_mq_notify, "fz"}, {SYS_mq_getsetattr, "fzb"}, {SYS_mq_unlink, "s"}, {SYS_add_key, "sszli"}, {SYS_keyctl, "ixxxx"}, {SYS_inotify_init1, "O"}, {SYS_inotify_add_watch, "fsB"}, {SYS_inotify_rm_watch, "fN"}, {SYS_unshare, "B"}, {SYS_setns, "fB"}, {SYS_splice, "fpfplB"}, {SYS_tee, "fflB"},
	{SYS_vmsplice, "fVNB"}, {SYS_sync_file_range, "fooN"}, {SYS_move_pages, "tNzzzN"}, {SYS_set_robust_list, "zx"}, {SYS_get_robust_list, "tbb"}, {SYS_signalfd4, "fz8O"}, {SYS_timerfd_create, "NO"}, {SYS_timerfd_settime, "fNTb"}, {SYS_eventfd2, "iO"}, {SYS_fallocate, "fNoo"}, {SYS_process_vm_readv, "tVNVN0"},
	{SYS_process_vm_writev, "tVNVN0"}, {SYS_kcmp, "ttNii"}, {SYS_seccomp, "NNG"}, {SYS_seccomp, "NNz"}, {SYS_getrandom, "blN"}, {SYS_memfd_create, "sN"}, {SYS_execveat, "dszzB"}, {SYS_membarrier, "Bii"}, {SYS_copy_file_range, "fpfplN"}, {SYS_pkey_mprotect, "anPi"}, {SYS_statx, "dsBBb"}, {SYS_rseq, "zllx"},
	{SYS_pidfd_open, "tO"}, {SYS_pidfd_send_signal, "fgzN"}, {438 /* pidfd_getfd */, "ffN"}, {428 /* open_tree */, "dsB"}, {429 /* move_mount */, "dsdsB"}, {430 /* fsopen */, "sN"}, {431 /* fsconfig */, "fNssN"}, {432 /* fsmount */, "fNB"}, {433 /* fspick */, "dsB"}, {442 /* mount_setattr */, "dsBzl"},
	{437 /* openat2 */, "dszl"}, {436 /* close_range */, "fON"}, {448 /* process_mrelease */, "fN"}, {440 /* process_madvise */, "fVNiN"}, {447 /* memfd_secret */, "N"}, {451 /* cachestat */, "fzbN"}, {452 /* fchmodat2 */, "dsmB"}, {457 /* statmount */, "zblN"}, {458 /* listmount */, "zblN"}, {425 /* io_uring_setup */, "iz"},
	{323 /* userfaultfd */, "O"}, {298 /* perf_event_open */, "ztifB"}, {321 /* bpf */, "izl"}, {303 /* name_to_handle_at */, "dsbbB"}, {304 /* open_by_handle_at */, "fzO"}, {SYS_fanotify_init, "BO"}, {SYS_fanotify_mark, "fBxds"}, {SYS_quotactl, "isiz"}, {SYS_swapon, "sN"}, {SYS_acct, "s"}, {SYS_sethostname, "sl"}, {SYS_setdomainname, "sl"},
	{SYS_modify_ldt, "izl"}, {SYS_set_thread_area, "z"}, {SYS_iopl, "N"}, {SYS_get_mempolicy, "bbixN"}, {SYS_mbind, "anNziN"}, {SYS_set_mempolicy, "Nzi"}, {SYS_clock_settime, "iT"}, {SYS_adjtimex, "z"}, {SYS_ioprio_set, "Nti"}, {SYS_lookup_dcookie, "xbl"}, {SYS_readahead, "fol"}, {SYS_fadvise64, "fooN"}, {SYS_uname, "b"}, {SYS_times, "b"},
	{SYS_set_tid_address, "p"}, {SYS_getcwd, "bl"}, {SYS_access, "sN"}, {SYS_creat, "sm"}, {SYS_utime, "sz"}, {SYS_ustat, "xb"}, {SYS_sysfs, "isb"}, {SYS_getcpu, "bbb"}, {SYS_sched_rr_get_interval, "tb"}, {SYS_setfsuid, "i"}, {SYS_umask, "m"}, {SYS_getpriority, "Nt"}, {SYS_setpriority, "Nti"},
};

static const unsigned cmds[] = {0x5401, 0x5402, 0x5403, 0x5404, 0x540e, 0x540f, 0x5410, 0x5411, 0x5412, 0x5413, 0x5414, 0x541b, 0x5420, 0x5421, 0x5422, 0x5423, 0x5424, 0x5429, 0x5450, 0x5451, 0x5452, 0x5460, 0x40045431, 0x80045430,
	0x5441, 0x8901, 0x8902, 0x8905, 0x8906, 0x8907, 0x890b, 0x8910, 0x8912, 0x8913, 0x8914, 0x8915, 0x8916, 0x8919, 0x891b, 0x891c, 0x8927, 0x8933, 0x8946, 0x8970, 0x8980, 0xb701, 0xb702, 0xb703, 0xb704, 0x80086601, 0x40086602, 0x400454ca, 0x800454d2, 0xc0045878, 0xc0045877,
	0x40049409, 0x4020940d, 0xc0189436, 0x1, 0x2, 0x125d, 0x1260, 0x80041272, 0x80081272, 0xc020660b, 0xc0502100, 0xc0182101, 0x80045432, 0x5437, 0x5438};

static void loop(rnd *r, int calls);

static int thread_main(void *p) {
	rnd r = {(uint64_t)p | 1, 9};
	loop(&r, 1000);
	syscall(SYS_exit, 0);
	return 0;
}

static void spawn(rnd *r) {
	if (r->depth >= 3 && below(r, 3)) return;
	if (r->depth >= 9) return;
	if (below(r, 2)) {
		char *st = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (st == MAP_FAILED) return;
		int fl = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
		if (below(r, 3) == 0) fl = CLONE_VM | (int)(r64(r) & (CLONE_FS | CLONE_FILES | CLONE_PTRACE | CLONE_PARENT | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID)) | SIGCHLD;
		clone(thread_main, st + 65536 - 64, fl, (void *)(r64(r) >> 8), arena + below(r, ARENA), 0, arena + below(r, ARENA));
		return;
	}
	uint64_t fl = below(r, 2) ? SIGCHLD : (r64(r) & 0xfffffe00ull & ~(uint64_t)(CLONE_VM | CLONE_VFORK | CLONE_THREAD | CLONE_SETTLS)) | below(r, 65);
	if (below(r, 4)) fl &= ~(uint64_t)(CLONE_SIGHAND);
	long pid = syscall(SYS_clone, fl, 0, arena + below(r, ARENA), arena + below(r, ARENA), 0);
	if (pid == 0) {
		rnd c = {r64(r) | 1, r->depth + 1};
		loop(&c, 400);
		syscall(SYS_exit_group, 0);
	}
	if (pid > 0 && below(r, 3) == 0) {
		syscall(SYS_ptrace, below(r, 2) ? PTRACE_SEIZE : PTRACE_ATTACH, pid, 0, below(r, 2) ? 0x3f : 0);
		for (int i = 0; i < 20; i++) {
			int s;
			syscall(SYS_wait4, pid, &s, WNOHANG | __WALL, 0);
			static const int reqs[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 19, 24, 31, 32, 33, 0x4200, 0x4201, 0x4202, 0x4203, 0x4204, 0x4205, 0x4206, 0x4207, 0x4208, 0x4209, 0x420a, 0x420b, 0x420c, 0x420d, 0x420e, 0x420f, 0x4210, 0x4211};
			uint64_t d = below(r, 2) ? arg(r, 'z') : PICK(r, odd);
			if (below(r, 4) == 0) { struct iovec v = {(void *)buffer(r), below(r, 5000)}; d = put(r, &v, sizeof v); }
			syscall(SYS_ptrace, PICK(r, reqs), pid, below(r, 2) ? buffer(r) : below(r, 1000), d);
		}
		if (below(r, 2)) syscall(SYS_kill, pid, SIGKILL);
	}
	while (syscall(SYS_wait4, -1, 0, WNOHANG | __WALL, 0) > 0);
}

static void loop(rnd *r, int calls) {
	uint64_t end = now() + 700;
	for (int i = 0; i < calls; i++) {
		if ((i & 31) == 0 && now() > end) break;
		__sync_fetch_and_add(shared, 1);
		uint64_t a[6];
		int nr;
		if (below(r, 100) == 0) { spawn(r); continue; }
		if (below(r, 300) == 0) {
			// A page goes away or changes its rights while a call uses it: another thread may be in one.
			syscall(SYS_mmap, arena, ARENA, 3, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			spoil(r, arena, 4096);
		}
		if (below(r, 5)) {
			int k = below(r, sizeof table / sizeof table[0]);
			nr = table[k].nr;
			const char *p = table[k].args;
			for (int j = 0; j < 6; j++) {
				char c = *p ? *p++ : '0';
				if (c == '8') a[j] = below(r, 30) ? 8 : below(r, 128);
				else if (c == '1') a[j] = 1;
				else if (c == 'k') a[j] = below(r, 6) ? PICK(r, cmds) : r64(r);
				else a[j] = below(r, 25) ? arg(r, c) : arg(r, '*');
			}
		} else {
			nr = below(r, 475);
			for (int j = 0; j < 6; j++) a[j] = arg(r, '*');
		}
		switch (nr) {
		case SYS_exit: case SYS_exit_group: if (below(r, 40)) continue; break;
		case SYS_fork: case SYS_vfork: case SYS_clone: case 435: continue; // spawn does these
		case SYS_rt_sigreturn: if (below(r, 20)) continue; break;
		case SYS_pause: case SYS_rt_sigsuspend: case SYS_reboot: continue;
		case SYS_wait4: a[2] |= WNOHANG; break;
		case SYS_nanosleep: case SYS_clock_nanosleep: break;
		case SYS_kill: if ((int)a[0] == -1 && below(r, 10)) continue; break;
		case SYS_execve: case SYS_execveat: if (below(r, 10)) continue; break;
		case SYS_write: case SYS_writev: case SYS_pwrite64: if ((int)a[0] < 3) continue; break;
		case SYS_vmsplice: case SYS_splice: if (below(r, 2)) a[nr == SYS_splice ? 5 : 3] |= 2; break;
		}
		syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}

static void onalarm(int s) { (void)s; }

static void furnish(rnd *r) {
	mkdir("d", 0777); mkdir("e", 0777); mkdir("mnt", 0777); mkdir("mnt2", 0777);
	for (const char *p = "abc"; *p; p++) {
		char n[2] = {*p, 0};
		int f = open(n, O_CREAT | O_RDWR, 0666);
		ftruncate(f, below(r, 3) * 10000);
		close(f);
	}
	symlink("a", "l"); symlink("loop", "loop"); mkfifo("fifo", 0666);
	int fd = 3, p[2];
	while (fd < 40) {
		int f = -1;
		switch (below(r, 18)) {
		case 0: f = open("a", O_RDWR); break;
		case 1: f = open("d", O_RDONLY); break;
		case 2: f = open("fifo", O_RDWR | O_NONBLOCK); break;
		case 3: if (pipe2(p, O_NONBLOCK) == 0) f = p[1]; break;
		case 4: if (socketpair(AF_UNIX, (below(r, 2) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0, p) == 0) f = p[1]; break;
		case 5: f = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); break;
		case 6: f = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0); break;
		case 7: f = epoll_create1(0); break;
		case 8: f = eventfd(below(r, 3), EFD_NONBLOCK); break;
		case 9: f = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); break;
		case 10: { sigset_t s; sigfillset(&s); f = signalfd(-1, &s, SFD_NONBLOCK); break; }
		case 11: f = inotify_init1(IN_NONBLOCK); break;
		case 12: f = memfd_create("m", MFD_ALLOW_SEALING); ftruncate(f, 8192); break;
		case 13: f = open("/dev/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY); break;
		case 14: f = open("/proc/self/mem", O_RDWR); break;
		case 15: f = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0); break;
		case 16: f = open(PICK(r, paths), O_RDWR | O_NONBLOCK); break;
		case 17: f = open("a", O_PATH); break;
		}
		fd = f > fd ? f : fd + 1;
	}
}

int main(int argc, char **argv) {
	uint64_t seed = strtoull(argv[1], 0, 0);
	double secs = atof(argv[2]);
	int width = argc > 3 ? atoi(argv[3]) : 6;
	memset(longname, 'n', sizeof longname - 1);
	arena = mmap(0, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t start = now(), end = start + secs * 1000;
	int rounds = 0, alive = 0;
	signal(SIGPIPE, SIG_IGN);
	pid_t pids[64];
	uint64_t born[64];
	memset(pids, 0, sizeof pids);
	while (now() < end) {
		for (int i = 0; i < width && i < 64; i++) {
			if (pids[i] == 0 && alive < width) {
				uint64_t s = seed * 1000003 + rounds++;
				// A worker is process 1 of its own namespace: with it, everything it started ends.
				pid_t p = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
				if (p < 0) { perror("fuzz: clone"); return 2; }
				if (p == 0) {
					setsid(); // kill(0, ...) reaches the whole group, in other namespaces too
					char dir[64];
					rnd r = {s * 0x9E3779B97F4A7C15ull | 1, 0};
					for (int j = 0; j < 8; j++) r64(&r);
					int null = open("/dev/null", O_RDWR);
					dup2(null, 0); dup2(null, 1); dup2(null, 2); close(null);
					snprintf(dir, sizeof dir, "/tmp/fuzz-%d", i);
					mkdir(dir, 0777);
					mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
					mount("fuzz", dir, "tmpfs", 0, "size=16m");
					mount("proc", "/proc", "proc", 0, 0);
					if (chdir(dir)) _exit(9);
					struct rlimit lim = {300 << 20, 300 << 20};
					setrlimit(RLIMIT_AS, &lim);
					lim.rlim_cur = lim.rlim_max = 1 << 20;
					setrlimit(RLIMIT_FSIZE, &lim);
					furnish(&r);
					spoil(&r, arena, ARENA);
					signal(SIGALRM, onalarm);
					struct itimerval it = {{0, 5000}, {0, 5000}};
					setitimer(ITIMER_REAL, &it, 0);
					for (int j = 0; j < 6; j++) {
						pid_t q = fork();
						if (q == 0) {
							rnd c = {r64(&r) | 1, 1};
							setitimer(ITIMER_REAL, &it, 0);
							loop(&c, 3000);
							_exit(0);
						}
						r64(&r);
					}
					for (int j = 0; j < 80; j++) {
						struct timespec t = {0, 10000000};
						nanosleep(&t, 0);
						while (waitpid(-1, 0, WNOHANG) > 0);
					}
					_exit(0);
				}
				pids[i] = p, born[i] = now(), alive++;
			}
		}
		struct timespec t = {0, 5000000};
		nanosleep(&t, 0);
		for (int i = 0; i < 64; i++) {
			if (!pids[i]) continue;
			if (now() - born[i] > 3000) kill(pids[i], SIGKILL);
			if (now() - born[i] > 60000) { printf("fuzz: worker %d does not die\n", pids[i]); return 3; }
			if (waitpid(pids[i], 0, WNOHANG) == pids[i]) pids[i] = 0, alive--;
		}
	}
	for (int i = 0; i < 64; i++) {
		if (!pids[i]) continue;
		kill(pids[i], SIGKILL);
		uint64_t t0 = now();
		while (waitpid(pids[i], 0, WNOHANG) != pids[i]) {
			if (now() - t0 > 60000) { printf("fuzz: worker %d does not die at the end\n", pids[i]); return 3; }
			usleep(2000);
		}
	}
	printf("fuzz: done, %d workers, %d calls\n", rounds, *shared);
	return 0;
}
