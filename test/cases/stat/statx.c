// statx(2): masks, flags, attributes.
#include "../case.h"

int main(void) {
	struct statx x;
	MUST(mkfile("f", "hello", 0640));
	MUST(symlink("f", "l"));
	OK(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS | STATX_BTIME, &x));
	SAY("%s %04o links %d size %d", ftype(x.stx_mode), x.stx_mode & 07777, x.stx_nlink, (int)x.stx_size);
	YES((x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	OK(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &x));
	SAY("%s", ftype(x.stx_mode));
	OK(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC, STATX_SIZE, &x));
	OK(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC, STATX_SIZE, &x));
	OK(statx(AT_FDCWD, "f", AT_STATX_DONT_SYNC | AT_STATX_FORCE_SYNC, STATX_SIZE, &x));
	OK(statx(AT_FDCWD, "f", 0, 0x80000000, &x));
	OK(statx(AT_FDCWD, "f", 0x40000, 0, &x));
	OK(statx(AT_FDCWD, "none", 0, 0, &x));
	int fd = MUST(open("f", O_RDONLY));
	OK(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &x));
	OK(statx(fd, "", 0, STATX_ALL, &x));
	OK(statx(-1, "f", 0, 0, &x));
	OK(syscall(SYS_statx, AT_FDCWD, "f", 0, 0, 1L));
	OK(statx(AT_FDCWD, ".", 0, 0, &x));
	OK(syscall(SYS_statx, fd, NULL, AT_EMPTY_PATH, STATX_ALL, &x));
	OK(statx(AT_FDCWD, "/", 0, STATX_ALL, &x));
	YES(x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT);
	YES(x.stx_attributes & STATX_ATTR_MOUNT_ROOT);
	OK(statx(AT_FDCWD, "f", 0, 0x1000, &x));
	YES(x.stx_mask & 0x1000);
	return 0;
}
