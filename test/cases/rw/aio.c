// Kernel asynchronous I/O.
#include "../case.h"
#include <linux/aio_abi.h>

int main(void) {
	aio_context_t c = 0;
	OK(syscall(SYS_io_setup, 4, &c));
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	struct iocb w = {.aio_data = 7, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = fd, .aio_buf = (long)"hello", .aio_nbytes = 5}, *l[1] = {&w};
	VAL(syscall(SYS_io_submit, c, 1, l));
	struct io_event e[4];
	VAL(syscall(SYS_io_getevents, c, 1, 4, e, NULL));
	SAY("data %lld result %lld", (long long)e[0].data, (long long)e[0].res);
	char b[8] = {0};
	struct iocb r = {.aio_data = 8, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd, .aio_buf = (long)b, .aio_nbytes = 8, .aio_offset = 1};
	l[0] = &r;
	VAL(syscall(SYS_io_submit, c, 1, l));
	VAL(syscall(SYS_io_getevents, c, 1, 4, e, NULL));
	SAY("%lld %s", (long long)e[0].res, b);
	struct timespec t = {0, 10000000};
	VAL(syscall(SYS_io_getevents, c, 1, 4, e, &t));
	r.aio_fildes = 99;
	OK(syscall(SYS_io_submit, c, 1, l));
	r.aio_fildes = fd;
	r.aio_lio_opcode = 99;
	OK(syscall(SYS_io_submit, c, 1, l));
	int ev = eventfd(0, 0);
	r.aio_lio_opcode = IOCB_CMD_PREAD;
	r.aio_flags = 1;
	r.aio_resfd = ev;
	VAL(syscall(SYS_io_submit, c, 1, l));
	uint64_t n;
	VAL(read(ev, &n, 8));
	OK(syscall(SYS_io_setup, 0, &c));
	aio_context_t z = 0;
	OK(syscall(SYS_io_setup, 0, &z));
	OK(syscall(SYS_io_destroy, c));
	OK(syscall(SYS_io_destroy, c));
	OK(syscall(SYS_io_submit, c, 1, l));
	return 0;
}
