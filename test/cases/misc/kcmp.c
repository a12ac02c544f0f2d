// kcmp(2), name_to_handle, and other rare calls.
#include "../case.h"

int main(void) {
	int a = open("/dev/null", O_RDONLY), b = dup(a), c = open("/dev/null", O_RDONLY);
	VAL(syscall(SYS_kcmp, getpid(), getpid(), 0, a, b));
	YES(syscall(SYS_kcmp, getpid(), getpid(), 0, a, c) != 0);
	VAL(syscall(SYS_kcmp, getpid(), getpid(), 1, 0, 0));
	OK(syscall(SYS_kcmp, getpid(), getpid(), 99, 0, 0));
	OK(syscall(SYS_kcmp, getpid(), 999999, 0, 0, 0));
	OK(syscall(SYS_kcmp, getpid(), getpid(), 0, a, 99));
	char r[64];
	VAL(syscall(SYS_modify_ldt, 0, r, 64));
	OK(syscall(SYS_getrusage, 0, r + 0 == 0 ? 0 : 1L));
	OK(syscall(SYS_fadvise64, a, 0, 0, 0));
	OK(syscall(SYS_mbind, 0, 0, 0, 0, 0, 0));
	int mode;
	OK(syscall(SYS_get_mempolicy, &mode, NULL, 0, 0, 0));
	VAL(mode);
	OK(syscall(SYS_set_mempolicy, 0, NULL, 0));
	OK(syscall(SYS_remap_file_pages, 4096, 4096, 0, 0, 0));
	VAL(syscall(SYS_restart_syscall));
	return 0;
}
