// What each file capability permits.
#include "../case.h"
#include <linux/capability.h>
static int only(unsigned long c) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{c, c, 0}, {0}};
	return syscall(SYS_capset, &h, d);
}
#define WITH(cap, ...) RUN({ SAY(#cap); MUST(only(1UL << cap)); __VA_ARGS__; })

int main(void) {
	MUST(mkfile("f", "x", 0));
	MUST(chown("f", 9, 9));
	MUST(mkdir("d", 0));
	MUST(chown("d", 9, 9));
	MUST(chmod(".", 0777));
	WITH(CAP_DAC_OVERRIDE, { OK(open("f", O_RDWR)); OK(open("d/x", O_CREAT | O_WRONLY, 0600)); OK(chmod("f", 0)); OK(access("f", X_OK)); OK(chown("f", 1, 1)); });
	WITH(CAP_DAC_READ_SEARCH, { OK(open("f", O_RDONLY)); OK(open("f", O_WRONLY)); OK(open("d/x", O_RDONLY)); OK(open("d", O_RDONLY)); OK(unlink("d/x")); });
	WITH(CAP_FOWNER, { OK(open("f", O_RDONLY)); OK(chmod("f", 0)); struct timeval t[2] = {{1, 0}, {1, 0}}; OK(utimes("f", t)); OK(chown("f", 1, 1)); });
	WITH(CAP_CHOWN, { OK(chown("f", 9, 10)); OK(chown("f", 9, 9)); OK(chmod("f", 0)); });
	WITH(CAP_SETUID, { OK(setuid(5)); OK(setgid(5)); });
	WITH(CAP_SETGID, { OK(setgroups(0, NULL)); OK(setuid(5)); });
	WITH(CAP_KILL, { OK(kill(getppid(), 0)); OK(chroot("/")); });
	WITH(CAP_SYS_CHROOT, { OK(chroot("/")); OK(mount("x", "/", "tmpfs", 0, NULL)); });
	WITH(CAP_MKNOD, { OK(mknod("null", S_IFCHR | 0600, 0x103)); OK(unlink("null")); });
	WITH(CAP_SYS_NICE, { OK(setpriority(PRIO_PROCESS, 0, -5)); });
	WITH(CAP_FSETID, { OK(mkfile("own", "", 0600)); OK(chmod("own", 06755)); OK(setuid(7)); });
	return 0;
}
