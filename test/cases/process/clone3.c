// clone3(2): argument checks, set_tid, exit_signal, pidfd.
#include "../case.h"
#include <linux/sched.h>
static long c3(struct clone_args *a, size_t n) {
	return syscall(SYS_clone3, a, n);
}
#define C(...) ({ struct clone_args a = {__VA_ARGS__}; long r_ = c3(&a, sizeof a); if (r_ == 0) _exit(3); r_; })

int main(void) {
	int s, pf = -1, t = 0;
	pid_t k = OK(C(.exit_signal = SIGCHLD));
	STATUS("plain", reap(k));
	k = OK(C(.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .pidfd = (long)&pf, .parent_tid = (long)&t, .exit_signal = SIGCHLD));
	YES(t == k);
	YES(pf >= 0);
	reap(k);
	OK(C(.flags = 0xff));
	OK(C(.flags = CLONE_DETACHED, .exit_signal = SIGCHLD));
	OK(C(.exit_signal = 300));
	OK(C(.flags = CLONE_THREAD, .exit_signal = SIGCHLD));
	OK(C(.flags = CLONE_SIGHAND | CLONE_CLEAR_SIGHAND | CLONE_VM, .exit_signal = SIGCHLD));
	OK(C(.stack = 4096, .exit_signal = SIGCHLD));
	OK(C(.stack_size = 4096, .exit_signal = SIGCHLD));
	struct clone_args a = {.exit_signal = SIGCHLD};
	OK(c3(&a, 8));
	OK(c3((void *)1, sizeof a));
	struct {
		struct clone_args a;
		long more;
	} big = {.a = {.exit_signal = SIGCHLD}};
	k = OK(({
		long r = c3(&big.a, sizeof big);
		if (r == 0) _exit(4);
		r;
	}));
	STATUS("longer", reap(k));
	big.more = 1;
	OK(c3(&big.a, sizeof big));
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, (void (*)(int))abort);
	k = syscall(SYS_clone3, &(struct clone_args){.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD}, sizeof a);
	if (k == 0) {
		struct sigaction sa;
		sigaction(SIGUSR1, NULL, &sa);
		YES(sa.sa_handler == SIG_IGN);
		sigaction(SIGUSR2, NULL, &sa);
		YES(sa.sa_handler == SIG_DFL);
		fflush(stdout);
		_exit(0);
	}
	reap(k);
	pid_t want = 30000;
	k = syscall(SYS_clone3, &(struct clone_args){.exit_signal = SIGCHLD, .set_tid = (long)&want, .set_tid_size = 1}, sizeof a);
	if (k == 0) _exit(getpid() == 30000);
	YES(k == 30000);
	STATUS("set_tid", reap(k));
	want = 1;
	OK(C(.exit_signal = SIGCHLD, .set_tid = (long)&want, .set_tid_size = 1));
	return 0;
}
