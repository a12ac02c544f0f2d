// Which programs are refused; TSYNC; arguments.
#include "../case.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
static int ins(struct sock_filter *f, int n, int fl) {
	struct sock_fprog p = {n, f};
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, fl, &p);
}
#define TRY(name, fl, ...) RUN({ struct sock_filter f[] = {__VA_ARGS__}; int r = ins(f, sizeof f / sizeof *f, fl); SAY("%s: %s", name, r == -1 ? ename(errno) : "ok"); })
static gate g, d;
static void *t(void *a) {
	pass(g);
	hold(d);
	OK(syscall(SYS_getppid));
	return NULL;
}

int main(void) {
	TRY("empty return", 0, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("no return", 0, BPF_STMT(BPF_LD | BPF_IMM, 1));
	TRY("load past the end", 0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("unaligned load", 0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("byte load", 0, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("indirect load", 0, BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("jump out", 0, BPF_STMT(BPF_JMP | BPF_JA, 10), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("return A", 0, BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_RET | BPF_A, 0));
	TRY("divide by zero", 0, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("memory", 0, BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ALLOW), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3), BPF_STMT(BPF_RET | BPF_A, 0));
	TRY("memory not stored", 0, BPF_STMT(BPF_LD | BPF_MEM, 3), BPF_STMT(BPF_RET | BPF_A, 0));
	TRY("length", 0, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	TRY("bad flag", 1 << 20, BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	OK(ins(NULL, 0, 0));
	OK(ins(NULL, 1, 0));
	struct sock_filter many[5000];
	for (int i = 0; i < 5000; i++) many[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	OK(ins(many, 4097, 0));
	RUN({
		OK(ins(many, 4096, 0));
	});
	RUN({
		struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 12345, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTBLK), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
		MUST(ins(f, 4, 0));
		OK(close(12345));
		OK(close(99));
		OK(dup(12345));
	});
	RUN({
		g = mkgate(), d = mkgate();
		pthread_t p;
		pthread_create(&p, NULL, t, NULL);
		hold(g);
		struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXFULL), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
		OK(ins(f, 4, SECCOMP_FILTER_FLAG_TSYNC));
		pass(d);
		pthread_join(p, NULL);
	});
	unsigned act = SECCOMP_RET_TRAP;
	OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act));
	act = 0x12340000;
	OK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act));
	return 0;
}
