// User namespaces: mapping, capabilities inside.
#include "../case.h"
static void put(const char *p, const char *s) {
	int fd = open(p, O_WRONLY);
	if (fd == -1) {
		SAY("%s: %s", p, ename(errno));
		return;
	}
	int r = write(fd, s, strlen(s));
	SAY("%s: %s", p, r == -1 ? ename(errno) : "ok");
	close(fd);
}

int main(void) {
	RUN({
		MUST(setresgid(1000, 1000, 1000));
		MUST(setresuid(1000, 1000, 1000));
		prctl(PR_SET_DUMPABLE, 1);
		OK(unshare(CLONE_NEWUSER));
		SAY("%d %d", getuid(), getgid());
		put("/proc/self/gid_map", "0 1000 1\n");
		put("/proc/self/setgroups", "deny");
		put("/proc/self/gid_map", "0 1000 1\n");
		put("/proc/self/uid_map", "0 1000 1\n");
		put("/proc/self/uid_map", "0 1000 1\n");
		SAY("%d %d", getuid(), getgid());
		cat("/proc/self/uid_map");
		cat("/proc/self/setgroups");
		OK(setgroups(0, NULL));
		OK(sethostname("x", 1));
		OK(unshare(CLONE_NEWUTS));
		OK(sethostname("x", 1));
		OK(setuid(1));
		OK(chroot("/"));
		OK(unshare(CLONE_NEWNS));
		OK(mount("none", "/tmp", "tmpfs", 0, NULL));
		struct stat s;
		stat("/etc/passwd", &s);
		SAY("root's file seen as %d", s.st_uid);
	});
	RUN({
		OK(unshare(CLONE_NEWUSER));
		put("/proc/self/uid_map", "0 0 1\n10 100 5\n");
		SAY("%d", getuid());
	});
	RUN({
		OK(unshare(CLONE_NEWUSER));
		put("/proc/self/uid_map", "0 0 bad\n");
		put("/proc/self/uid_map", "0 0 0\n");
		put("/proc/self/uid_map", "0 0 10\n5 50 10\n");
		SAY("%d", getuid());
	});
	return 0;
}
