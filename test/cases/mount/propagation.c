// shared, private, slave mounts between namespaces.
#include "../case.h"

int main(void) {
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("a", 0755));
	MUST(mount("top", "a", "tmpfs", 0, NULL));
	OK(mount(NULL, "a", NULL, MS_SHARED, NULL));
	MUST(mkdir("a/m", 0755));
	MUST(mkdir("a/n", 0755));
	MUST(mkdir("b", 0755));
	OK(mount("a", "b", NULL, MS_BIND, NULL));
	OK(mount("x", "a/m", "tmpfs", 0, NULL));
	MUST(mkfile("a/m/f", "x", 0600));
	OK(access("b/m/f", F_OK));
	gate g = mkgate(), d = mkgate();
	pid_t k = SPAWN({
		MUST(unshare(CLONE_NEWNS));
		OK(mount(NULL, "a", NULL, MS_SLAVE, NULL));
		pass(g);
		hold(d);
		OK(access("a/n/f", F_OK));
		OK(mount("y", "a/m", "tmpfs", 0, NULL));
		OK(access("a/m/f", F_OK));
		fflush(stdout);
		pass(g);
		hold(d);
	});
	hold(g);
	OK(mount("z", "a/n", "tmpfs", 0, NULL));
	MUST(mkfile("a/n/f", "x", 0600));
	pass(d);
	hold(g);
	OK(access("a/m/f", F_OK));
	OK(access("b/m/f", F_OK));
	pass(d);
	reap(k);
	OK(umount("b/m"));
	OK(access("a/m/f", F_OK));
	OK(mount(NULL, "b", NULL, MS_PRIVATE, NULL));
	OK(umount("a/n"));
	OK(access("b/n/f", F_OK));
	OK(mount(NULL, "b", NULL, MS_UNBINDABLE, NULL));
	MUST(mkdir("c", 0755));
	OK(mount("b", "c", NULL, MS_BIND, NULL));
	OK(mount(NULL, "b", NULL, MS_SHARED | MS_PRIVATE, NULL));
	OK(mount(NULL, "c", NULL, MS_SHARED, NULL));
	return 0;
}
