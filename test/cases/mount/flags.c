// noexec, nosuid, nodev, size limits.
#include "../case.h"

int main(void) {
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("m", 0755));
	OK(mount("none", "m", "tmpfs", MS_NOEXEC | MS_NODEV | MS_NOSUID, "size=64k,nr_inodes=6"));
	MUST(mkfile("m/s", "#!/bin/sh\necho ran\n", 0755));
	STATUS("noexec", RUN({
		execl("m/s", "s", NULL);
		_exit(errno == EACCES ? 13 : 1);
	}));
	int f = MUST(open("m/s", O_RDONLY));
	OK(mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, f, 0));
	OK(mmap(0, 4096, PROT_READ, MAP_PRIVATE, f, 0));
	MUST(mknod("m/null", S_IFCHR | 0666, 0x103));
	OK(open("m/null", O_RDWR));
	static char b[100000];
	int fd = MUST(open("m/big", O_CREAT | O_RDWR, 0600));
	YES(write(fd, b, 100000) < 65536);
	VAL(write(fd, b, 8192));
	OK(fallocate(fd, 0, 0, 1 << 20));
	OK(ftruncate(fd, 1 << 20));
	OK(ftruncate(fd, 0));
	VAL(write(fd, b, 4096));
	OK(mkfifo("m/p1", 0600));
	OK(mkfifo("m/p2", 0600));
	OK(mkfifo("m/p3", 0600));
	OK(mkfifo("m/p4", 0600));
	struct statfs s;
	OK(statfs("m", &s));
	SAY("%ld blocks of %ld, %ld inodes", (long)s.f_blocks, (long)s.f_bsize, (long)s.f_files);
	YES(s.f_type == 0x01021994);
	return 0;
}
