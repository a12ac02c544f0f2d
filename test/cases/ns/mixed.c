// Unshare and setns checks; /proc/self/ns links.
#include "../case.h"
#include <sys/sysmacros.h>
static int isns(const char *n) {
	char p[64], l[64];
	snprintf(p, 64, "/proc/self/ns/%s", n);
	ssize_t r = readlink(p, l, 63);
	l[r > 0 ? r : 0] = 0;
	return r > 0 && !strncmp(l, n, strlen(n)) && strchr(l, '[');
}

int main(void) {
	char *n[] = {"mnt", "uts", "ipc", "pid", "net", "user", "cgroup"};
	for (int i = 0; i < 7; i++) SAY("%s %d", n[i], !!isns(n[i]));
	char a[64] = {0}, b[64] = {0};
	readlink("/proc/self/ns/ipc", a, 63);
	RUN({
		OK(unshare(CLONE_NEWIPC));
		readlink("/proc/self/ns/ipc", b, 63);
		YES(strcmp(a, b));
	});
	RUN({
		char c[64] = {0};
		readlink("/proc/self/ns/ipc", c, 63);
		YES(!strcmp(a, c));
	});
	OK(unshare(0));
	OK(unshare(1 << 30 | 1));
	OK(unshare(CLONE_FS));
	OK(unshare(CLONE_FILES));
	OK(unshare(CLONE_SYSVSEM));
	OK(unshare(CLONE_THREAD));
	OK(unshare(CLONE_VM));
	RUN({
		OK(unshare(CLONE_NEWNET));
		int s = socket(AF_INET, SOCK_DGRAM, 0);
		YES(s >= 0);
		system("cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '");
	});
	RUN({
		OK(unshare(CLONE_NEWCGROUP));
	});
	RUN({
		OK(unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID));
	});
	return 0;
}
