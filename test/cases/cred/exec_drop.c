// File reading and running after dropping privileges.
#include "../case.h"

int main(void) {
	MUST(chmod(".", 0755));
	MUST(mkfile("secret", "s", 0600));
	RUN({
		setgroups(0, NULL);
		setresgid(100, 100, 100);
		setresuid(100, 100, 100);
		cat("secret");
		OK(open("/proc/1/environ", O_RDONLY));
		OK(open("/proc/self/environ", O_RDONLY));
		OK(open("/etc/shadow", O_RDONLY));
		OK(mount("x", ".", "tmpfs", 0, NULL));
		OK(sethostname("x", 1));
		OK(setpriority(PRIO_PROCESS, 0, -5));
		OK(mknod("dev", S_IFCHR, 1));
		OK(open("/dev/mem", O_RDONLY) == -1 ? -1 : 0);
		OK(kill(getppid(), SIGTERM));
		OK(setns(0, 0));
		OK(unshare(CLONE_NEWNS));
		OK(syscall(SYS_reboot, 0, 0, 0, 0));
		OK(vhangup());
		OK(umount("/"));
		OK(syscall(SYS_pivot_root, "/", "/"));
	});
	return 0;
}
