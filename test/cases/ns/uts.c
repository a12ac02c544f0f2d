// UTS namespaces: sethostname, setdomainname, uname.
#include "../case.h"
#include <sys/utsname.h>

int main(void) {
	struct utsname u;
	MUST(unshare(CLONE_NEWUTS));
	OK(sethostname("outer", 5));
	OK(setdomainname("dom", 3));
	uname(&u);
	SAY("%s %s", u.nodename, u.domainname);
	RUN({
		OK(unshare(CLONE_NEWUTS));
		OK(sethostname("inner", 5));
		char b[64];
		gethostname(b, 64);
		SAY("%s", b);
		system("cat /proc/sys/kernel/hostname");
	});
	uname(&u);
	SAY("%s", u.nodename);
	char big[100];
	memset(big, 'x', 100);
	OK(sethostname(big, 65));
	OK(sethostname(big, 64));
	OK(sethostname(big, -1));
	OK(sethostname((void *)1, 5));
	OK(gethostname(big, 3));
	OK(uname((void *)1));
	SAY("%s %s", u.sysname, u.machine);
	YES(strtol(u.release, NULL, 10) >= 4);
	gate g = mkgate(), d = mkgate();
	pid_t k = SPAWN({
		unshare(CLONE_NEWUTS);
		sethostname("third", 5);
		pass(g);
		hold(d);
	});
	hold(g);
	char p[64];
	snprintf(p, 64, "/proc/%d/ns/uts", k);
	int fd = OK(open(p, O_RDONLY));
	RUN({
		OK(setns(fd, CLONE_NEWUTS));
		uname(&u);
		SAY("%s", u.nodename);
		OK(setns(fd, CLONE_NEWNET));
		OK(setns(fd, 0));
	});
	OK(setns(99, 0));
	OK(setns(0, 0));
	pass(d);
	reap(k);
	RUN({
		OK(setns(fd, 0));
		uname(&u);
		SAY("%s", u.nodename);
	});
	RUN({
		setresuid(5, 5, 5);
		OK(unshare(CLONE_NEWUTS));
		OK(sethostname("no", 2));
		OK(setns(fd, 0));
	});
	return 0;
}
