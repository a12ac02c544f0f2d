// open_tree, move_mount, fsopen, mount_setattr.
#include "../case.h"
#include <linux/mount.h>

int main(void) {
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("a", 0755));
	MUST(mkdir("b", 0755));
	MUST(mkfile("a/f", "in a", 0644));
	int t = OK(syscall(SYS_open_tree, AT_FDCWD, "a", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
	OK(syscall(SYS_move_mount, t, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH));
	cat("b/f");
	struct {
		uint64_t set, clr, prop, userns;
	} at = {1, 0, 0, 0};
	OK(syscall(442, AT_FDCWD, "b", 0, &at, sizeof at));
	OK(open("b/x", O_CREAT | O_WRONLY, 0600));
	OK(umount("b"));
	int fs = OK(syscall(SYS_fsopen, "tmpfs", 0));
	OK(syscall(SYS_fsconfig, fs, 1, "size", "1m", 0));
	OK(syscall(SYS_fsconfig, fs, 6, NULL, NULL, 0));
	int m = OK(syscall(SYS_fsmount, fs, 0, 0));
	OK(syscall(SYS_move_mount, m, "", AT_FDCWD, "b", MOVE_MOUNT_F_EMPTY_PATH));
	OK(access("b/f", F_OK));
	OK(mkfile("b/g", "", 0600));
	OK(syscall(SYS_fsopen, "nofs", 0));
	OK(syscall(SYS_open_tree, AT_FDCWD, "none", 0));
	int o = OK(syscall(SYS_open_tree, AT_FDCWD, "b", 0));
	OK(openat(o, "g", O_RDONLY));
	return 0;
}
