// User notification: a supervisor answers.
#include "../case.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

int main(void) {
	gate g = mkgate();
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	pid_t k = SPAWN({
		struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
		struct sock_fprog p = {4, f};
		int fd = OK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &p));
		write(s[0], &fd, 4);
		long a = syscall(SYS_getppid), b = syscall(SYS_getppid);
		int e = errno;
		hold(g);
		SAY("child got %ld, then %s", a, b == -1 ? ename(e) : "no error");
	});
	int fd;
	read(s[1], &fd, 4);
	int pf = MUST(syscall(SYS_pidfd_open, k, 0));
	int l = MUST(syscall(SYS_pidfd_getfd, pf, fd, 0));
	for (int i = 0; i < 2; i++) {
		struct seccomp_notif n;
		memset(&n, 0, sizeof n);
		OK(ioctl(l, SECCOMP_IOCTL_NOTIF_RECV, &n));
		YES(n.pid == k && n.data.nr == SYS_getppid);
		OK(ioctl(l, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
		struct seccomp_notif_resp r = {n.id, i ? 0 : 4321, i ? -EDOM : 0, 0};
		OK(ioctl(l, SECCOMP_IOCTL_NOTIF_SEND, &r));
	}
	struct seccomp_notif_resp late = {12345, 0, 0, 0};
	OK(ioctl(l, SECCOMP_IOCTL_NOTIF_SEND, &late));
	pass(g);
	reap(k);
	return 0;
}
