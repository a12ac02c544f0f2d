package hostfilter

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	int32Mask = 0xffffffff
	allMask   = ^uint64(0)
)

// eq asks that an int argument is one of vals; the alternatives are or-ed.
func eq(arg int, vals ...uint64) [][]Check {
	var any [][]Check
	for _, v := range vals {
		any = append(any, []Check{{arg, int32Mask, v & int32Mask}})
	}
	return any
}

// without asks that none of bits is set in argument arg.
func without(arg int, bits uint64) [][]Check { return [][]Check{{{arg, bits, 0}}} }

// threadFlags is what the Go runtime clones its threads with (go:
// runtime/os_linux.go cloneFlags).
const threadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND |
	unix.CLONE_SYSVSEM | unix.CLONE_THREAD

// goRuntime is what a Go program needs whatever it does. The runtime is never
// given executable memory or anything that names a path.
func goRuntime() []Rule {
	return []Rule{
		{Nr: unix.SYS_CLOCK_GETTIME, Name: "clock_gettime", Reason: "time, when the vDSO cannot"},
		{Nr: unix.SYS_CLOCK_NANOSLEEP, Name: "clock_nanosleep", Reason: "sleeping"},
		{Nr: unix.SYS_CLONE, Name: "clone", Any: [][]Check{
			{{0, allMask, threadFlags}}, {{0, allMask, threadFlags | unix.CLONE_SETTLS}}}, Reason: "new threads, never processes"},
		{Nr: unix.SYS_CLOSE, Name: "close", Reason: "descriptors"},
		{Nr: unix.SYS_EPOLL_CREATE1, Name: "epoll_create1", Reason: "Go's poller"},
		{Nr: unix.SYS_EPOLL_CTL, Name: "epoll_ctl", Reason: "Go's poller"},
		{Nr: unix.SYS_EPOLL_PWAIT, Name: "epoll_pwait", Reason: "Go's poller"},
		{Nr: unix.SYS_EPOLL_WAIT, Name: "epoll_wait", Reason: "pollers of host descriptors"},
		{Nr: unix.SYS_EVENTFD2, Name: "eventfd2", Reason: "Go's poller"},
		{Nr: unix.SYS_EXIT, Name: "exit", Reason: "threads end"},
		{Nr: unix.SYS_EXIT_GROUP, Name: "exit_group", Reason: "the process ends"},
		{Nr: unix.SYS_FCNTL, Name: "fcntl", Any: eq(1, unix.F_GETFL, unix.F_SETFL, unix.F_GETFD, unix.F_SETFD,
			unix.F_DUPFD_CLOEXEC, unix.F_ADD_SEALS, unix.F_GET_SEALS, unix.F_GETPIPE_SZ, unix.F_SETPIPE_SZ),
			Reason: "flags and copies of own descriptors"},
		{Nr: unix.SYS_FUTEX, Name: "futex", Reason: "locks; hand-over to user code"},
		{Nr: unix.SYS_GETPID, Name: "getpid", Reason: "tgkill of own threads"},
		{Nr: unix.SYS_GETRANDOM, Name: "getrandom", Reason: "randomness"},
		{Nr: unix.SYS_GETTID, Name: "gettid", Reason: "tgkill of own threads"},
		{Nr: unix.SYS_MADVISE, Name: "madvise", Reason: "heap"},
		{Nr: unix.SYS_MINCORE, Name: "mincore", Reason: "runtime probes"},
		{Nr: unix.SYS_MMAP, Name: "mmap", Any: without(2, unix.PROT_EXEC), Reason: "heap and guest pages, never executable"},
		{Nr: unix.SYS_MPROTECT, Name: "mprotect", Any: without(2, unix.PROT_EXEC), Reason: "heap and guest pages, never executable"},
		{Nr: unix.SYS_MUNMAP, Name: "munmap", Reason: "heap and guest pages"},
		{Nr: unix.SYS_NANOSLEEP, Name: "nanosleep", Reason: "the runtime's monitor thread"},
		{Nr: unix.SYS_PIPE2, Name: "pipe2", Reason: "wake-ups"},
		{Nr: unix.SYS_PRCTL, Name: "prctl", Any: eq(0, unix.PR_SET_VMA), Reason: "names of heap mappings"},
		{Nr: unix.SYS_READ, Name: "read", Reason: "descriptors"},
		{Nr: unix.SYS_RESTART_SYSCALL, Name: "restart_syscall", Reason: "stopped and continued"},
		{Nr: unix.SYS_RT_SIGACTION, Name: "rt_sigaction", Reason: "signal handlers"},
		{Nr: unix.SYS_RT_SIGPROCMASK, Name: "rt_sigprocmask", Reason: "signal handlers"},
		{Nr: unix.SYS_RT_SIGRETURN, Name: "rt_sigreturn", Reason: "signal handlers"},
		{Nr: unix.SYS_SCHED_GETAFFINITY, Name: "sched_getaffinity", Reason: "number of CPUs"},
		{Nr: unix.SYS_SCHED_YIELD, Name: "sched_yield", Reason: "scheduler"},
		{Nr: unix.SYS_SIGALTSTACK, Name: "sigaltstack", Reason: "signal handlers"},
		{Nr: unix.SYS_TGKILL, Name: "tgkill", Reason: "preemption; interrupting stub threads, all in own pid namespace"},
		{Nr: unix.SYS_WRITE, Name: "write", Reason: "descriptors"},
	}
}

// Sentry is the table of the sandbox process. It names no path and opens
// nothing: every descriptor it works on was handed to it.
func Sentry() []Rule {
	return append(goRuntime(), []Rule{
		{Nr: unix.SYS_ACCEPT4, Name: "accept4", Reason: "control connections on the inherited socket"},
		{Nr: unix.SYS_COPY_FILE_RANGE, Name: "copy_file_range", Reason: "copies between donated files"},
		{Nr: unix.SYS_DUP3, Name: "dup3", Reason: "descriptor bookkeeping"},
		{Nr: unix.SYS_FADVISE64, Name: "fadvise64", Reason: "read-ahead of donated files"},
		{Nr: unix.SYS_FALLOCATE, Name: "fallocate", Reason: "size and holes of guest memory and donated files"},
		{Nr: unix.SYS_FCHMOD, Name: "fchmod", Reason: "donated files"},
		{Nr: unix.SYS_FDATASYNC, Name: "fdatasync", Reason: "donated files"},
		{Nr: unix.SYS_FLOCK, Name: "flock", Reason: "locks on donated files"},
		{Nr: unix.SYS_FSTAT, Name: "fstat", Reason: "donated files and stdio"},
		{Nr: unix.SYS_FSTATFS, Name: "fstatfs", Reason: "donated files"},
		{Nr: unix.SYS_FSYNC, Name: "fsync", Reason: "donated files"},
		{Nr: unix.SYS_FTRUNCATE, Name: "ftruncate", Reason: "guest memory and donated files"},
		{Nr: unix.SYS_GETDENTS64, Name: "getdents64", Reason: "donated directories"},
		{Nr: unix.SYS_GETSOCKOPT, Name: "getsockopt", Reason: "host sockets and stdio"},
		{Nr: unix.SYS_GETRUSAGE, Name: "getrusage", Reason: "accounting of the sandbox"},
		{Nr: unix.SYS_IOCTL, Name: "ioctl", Any: eq(1, unix.TCGETS, unix.TCSETS, unix.TCSETSW, unix.TCSETSF,
			unix.TIOCGWINSZ, unix.TIOCSWINSZ, unix.TIOCINQ, unix.TIOCOUTQ, unix.TCFLSH, unix.TCSBRK, unix.FICLONE), Reason: "terminals of stdio; what is readable; reflinks"},
		{Nr: unix.SYS_KILL, Name: "kill", Reason: "ending stub processes, all in own pid namespace"},
		{Nr: unix.SYS_LSEEK, Name: "lseek", Reason: "donated files and stdio"},
		{Nr: unix.SYS_MEMFD_CREATE, Name: "memfd_create", Reason: "guest memory"},
		{Nr: unix.SYS_MREMAP, Name: "mremap", Reason: "windows on guest memory"},
		{Nr: unix.SYS_MSYNC, Name: "msync", Reason: "msync(2) of donated files"},
		{Nr: unix.SYS_POLL, Name: "poll", Reason: "one descriptor's state"},
		{Nr: unix.SYS_PPOLL, Name: "ppoll", Reason: "one descriptor's state"},
		{Nr: unix.SYS_PREAD64, Name: "pread64", Reason: "donated files"},
		{Nr: unix.SYS_PREADV, Name: "preadv", Reason: "donated files"},
		{Nr: unix.SYS_PREADV2, Name: "preadv2", Reason: "donated files"},
		{Nr: unix.SYS_PWRITE64, Name: "pwrite64", Reason: "donated files"},
		{Nr: unix.SYS_PWRITEV, Name: "pwritev", Reason: "donated files"},
		{Nr: unix.SYS_PWRITEV2, Name: "pwritev2", Reason: "donated files"},
		{Nr: unix.SYS_READV, Name: "readv", Reason: "donated files"},
		{Nr: unix.SYS_RECVFROM, Name: "recvfrom", Reason: "gofer, control and stub sockets"},
		{Nr: unix.SYS_RECVMSG, Name: "recvmsg", Reason: "gofer, control and stub sockets"},
		{Nr: unix.SYS_SCHED_SETAFFINITY, Name: "sched_setaffinity", Reason: "placing stub threads"},
		{Nr: unix.SYS_SENDFILE, Name: "sendfile", Reason: "copies between donated files"},
		{Nr: unix.SYS_SENDMSG, Name: "sendmsg", Reason: "gofer, control and stub sockets"},
		{Nr: unix.SYS_SENDTO, Name: "sendto", Reason: "gofer, control and stub sockets"},
		{Nr: unix.SYS_SHUTDOWN, Name: "shutdown", Reason: "host sockets"},
		{Nr: unix.SYS_SOCKETPAIR, Name: "socketpair", Any: eq(0, unix.AF_UNIX), Reason: "channels to new stub threads"},
		{Nr: unix.SYS_SYNC_FILE_RANGE, Name: "sync_file_range", Reason: "donated files"},
		{Nr: unix.SYS_TIMES, Name: "times", Reason: "accounting of the sandbox"},
		{Nr: unix.SYS_WAIT4, Name: "wait4", Reason: "reaping the stub zygote"},
		{Nr: unix.SYS_WRITEV, Name: "writev", Reason: "donated files"},
	}...)
}

// Gofer is the table of the file server. It works on paths, so its barrier is
// the mount namespace that holds nothing but the served trees.
func Gofer(hostUDS bool) []Rule {
	r := append(goRuntime(), []Rule{
		{Nr: unix.SYS_FCHDIR, Name: "fchdir", Reason: "served directories"},
		{Nr: unix.SYS_FCHMOD, Name: "fchmod", Reason: "served files"},
		{Nr: unix.SYS_FCHMODAT, Name: "fchmodat", Reason: "served files"},
		{Nr: unix.SYS_FCHMODAT2, Name: "fchmodat2", Reason: "served files"},
		{Nr: unix.SYS_FCHOWNAT, Name: "fchownat", Reason: "served files"},
		{Nr: unix.SYS_FGETXATTR, Name: "fgetxattr", Reason: "served files"},
		{Nr: unix.SYS_FLISTXATTR, Name: "flistxattr", Reason: "served files"},
		{Nr: unix.SYS_FREMOVEXATTR, Name: "fremovexattr", Reason: "served files"},
		{Nr: unix.SYS_FSETXATTR, Name: "fsetxattr", Reason: "served files"},
		{Nr: unix.SYS_FSTAT, Name: "fstat", Reason: "served files"},
		{Nr: unix.SYS_FSTATFS, Name: "fstatfs", Reason: "served files"},
		{Nr: unix.SYS_FSYNC, Name: "fsync", Reason: "served files"},
		{Nr: unix.SYS_FTRUNCATE, Name: "ftruncate", Reason: "served files"},
		{Nr: unix.SYS_GETDENTS64, Name: "getdents64", Reason: "served directories"},
		{Nr: unix.SYS_LINKAT, Name: "linkat", Reason: "served files"},
		{Nr: unix.SYS_LSEEK, Name: "lseek", Reason: "served files"},
		{Nr: unix.SYS_MKDIRAT, Name: "mkdirat", Reason: "served files"},
		{Nr: unix.SYS_MKNODAT, Name: "mknodat", Reason: "served FIFOs and sockets"},
		{Nr: unix.SYS_NEWFSTATAT, Name: "newfstatat", Reason: "served files"},
		{Nr: unix.SYS_OPENAT, Name: "openat", Reason: "served files"},
		{Nr: unix.SYS_OPENAT2, Name: "openat2", Reason: "served files, never leaving the tree"},
		{Nr: unix.SYS_POLL, Name: "poll", Reason: "connections"},
		{Nr: unix.SYS_PPOLL, Name: "ppoll", Reason: "connections"},
		{Nr: unix.SYS_PREAD64, Name: "pread64", Reason: "served files"},
		{Nr: unix.SYS_PWRITE64, Name: "pwrite64", Reason: "served files"},
		{Nr: unix.SYS_READLINKAT, Name: "readlinkat", Reason: "served files"},
		{Nr: unix.SYS_READV, Name: "readv", Reason: "connections"},
		{Nr: unix.SYS_RECVFROM, Name: "recvfrom", Reason: "connections"},
		{Nr: unix.SYS_RECVMSG, Name: "recvmsg", Reason: "connections"},
		{Nr: unix.SYS_RENAMEAT, Name: "renameat", Reason: "served files"},
		{Nr: unix.SYS_RENAMEAT2, Name: "renameat2", Reason: "served files"},
		{Nr: unix.SYS_SENDMSG, Name: "sendmsg", Reason: "connections; donated descriptors"},
		{Nr: unix.SYS_SENDTO, Name: "sendto", Reason: "connections"},
		{Nr: unix.SYS_SHUTDOWN, Name: "shutdown", Reason: "connections"},
		{Nr: unix.SYS_STATX, Name: "statx", Reason: "served files"},
		{Nr: unix.SYS_SYMLINKAT, Name: "symlinkat", Reason: "served files"},
		{Nr: unix.SYS_SYNCFS, Name: "syncfs", Reason: "served files"},
		{Nr: unix.SYS_UMASK, Name: "umask", Reason: "modes are exact"},
		{Nr: unix.SYS_UNLINKAT, Name: "unlinkat", Reason: "served files"},
		{Nr: unix.SYS_UTIMENSAT, Name: "utimensat", Reason: "served files"},
		{Nr: unix.SYS_WRITEV, Name: "writev", Reason: "connections"},
	}...)
	if hostUDS {
		r = append(r,
			Rule{Nr: unix.SYS_BIND, Name: "bind", Reason: "--host-uds=create"},
			Rule{Nr: unix.SYS_CONNECT, Name: "connect", Reason: "--host-uds=open"},
			Rule{Nr: unix.SYS_SOCKET, Name: "socket", Any: eq(0, syscall.AF_UNIX), Reason: "--host-uds"})
	}
	return r
}

// Names lists the calls of a table in its order.
func Names(rules []Rule) []string {
	var l []string
	for _, r := range rules {
		l = append(l, r.Name)
	}
	return l
}

// Add merges further calls (what a platform asks for) into a table.
func Add(rules []Rule, more ...Rule) []Rule {
	have := make(map[uint32]bool, len(rules))
	for _, r := range rules {
		have[r.Nr] = true
	}
	for _, r := range more {
		if !have[r.Nr] {
			have[r.Nr] = true
			rules = append(rules, r)
		}
	}
	return rules
}
