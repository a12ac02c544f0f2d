// process_vm_readv, process_vm_writev.
#include "../case.h"

int main(void) {
	char secret[16] = "parent", b[16] = {0};
	struct iovec l = {b, 16}, r = {secret, 16};
	VAL(process_vm_readv(getpid(), &l, 1, &r, 1, 0));
	SAY("%s", b);
	gate g = mkgate(), d = mkgate();
	char shared[16] = "before";
	pid_t k = SPAWN({
		strcpy(shared, "in child");
		pass(g);
		hold(d);
		SAY("child sees %s", shared);
	});
	hold(g);
	struct iovec rs = {shared, 16};
	VAL(process_vm_readv(k, &l, 1, &rs, 1, 0));
	SAY("%s", b);
	strcpy(b, "changed");
	VAL(process_vm_writev(k, &l, 1, &rs, 1, 0));
	pass(d);
	reap(k);
	VAL(process_vm_readv(k, &l, 1, &rs, 1, 0));
	VAL(process_vm_readv(getpid(), &l, 1, &(struct iovec){(void *)16, 4}, 1, 0));
	VAL(process_vm_readv(getpid(), &l, 1, &r, 1, 1));
	VAL(process_vm_readv(getpid(), &l, -1, &r, 1, 0));
	int fd = MUST(open("/proc/self/mem", O_RDWR));
	VAL(pread(fd, b, 7, (off_t)secret));
	SAY("%s", b);
	VAL(pwrite(fd, "PARENT", 6, (off_t)secret));
	SAY("%s", secret);
	VAL(pread(fd, b, 7, 16));
	return 0;
}
