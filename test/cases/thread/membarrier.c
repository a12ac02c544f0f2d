// membarrier(2), rseq, set_tid_address.
#include "../case.h"
#include <linux/membarrier.h>

int main(void) {
	long q = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	YES(q > 0);
	YES(q & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	OK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	OK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	OK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	OK(syscall(SYS_membarrier, 1 << 30, 0, 0));
	OK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 99, 0));
	return 0;
}
