// remounts, bind of files over files, nested binds.
#include "../case.h"

int main(void) {
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("src", 0755));
	MUST(mkdir("src/sub", 0755));
	MUST(mkdir("dst", 0755));
	MUST(mount("t", "src/sub", "tmpfs", 0, NULL));
	MUST(mkfile("src/sub/x", "deep", 0644));
	OK(mount("src", "dst", NULL, MS_BIND, NULL));
	OK(access("dst/sub/x", F_OK));
	OK(umount("dst"));
	OK(mount("src", "dst", NULL, MS_BIND | MS_REC, NULL));
	cat("dst/sub/x");
	OK(mount(NULL, "dst", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	OK(mkfile("src/f", "", 0600));
	OK(open("dst/g", O_CREAT | O_WRONLY, 0600));
	OK(open("dst/sub/g", O_CREAT | O_WRONLY, 0600));
	int fd = MUST(open("src/f", O_RDWR));
	OK(open("dst/f", O_RDWR));
	OK(access("dst/f", W_OK));
	OK(access("dst/f", R_OK));
	int w = MUST(open("dst/sub/x", O_WRONLY));
	OK(mount(NULL, "dst/sub", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	close(w);
	OK(mount(NULL, "dst/sub", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	OK(mount(NULL, "src/sub", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	OK(open("src/sub/new", O_CREAT | O_WRONLY, 0600));
	OK(mount(NULL, "src", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	OK(utimes("dst/f", NULL));
	OK(chown("dst/f", 1, 1));
	OK(link("dst/f", "dst/h"));
	OK(symlink("x", "dst/l"));
	OK(mknod("dst/n", S_IFIFO, 0));
	OK(truncate("dst/f", 0));
	OK(rmdir("dst/sub"));
	OK(umount2("dst", MNT_DETACH));
	OK(access("dst/f", F_OK));
	return 0;
}
