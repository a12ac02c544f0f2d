// mprotect(2) and the faults it causes.
#include "../case.h"
#include <setjmp.h>
static sigjmp_buf j;
static volatile int code;
static void *volatile at;
static volatile int sg;
static void h(int s, siginfo_t *i, void *u) {
	sg = s;
	code = i->si_code;
	at = i->si_addr;
	siglongjmp(j, 1);
}
static char *base;
static void try(const char *n, char *p, int wr) {
	if (sigsetjmp(j, 1) == 0) {
		if (wr == 1) *(volatile char *)p = 1;
		else if (wr == 0) (void)*(volatile char *)p;
		else ((void (*)(void))p)();
		SAY("%s: fine", n);
	} else SAY("%s: %s %s at offset %ld", n, signame(sg), sg == SIGBUS ? code == BUS_ADRERR ? "ADRERR" : "?" : code == SEGV_MAPERR ? "MAPERR" : code == SEGV_ACCERR ? "ACCERR" : "?", (long)((char *)at - base));
}

int main(void) {
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	char *m = base = mmap(0, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	try("write", m, 1);
	OK(mprotect(m, 4096, PROT_READ));
	try("read of read-only", m, 0);
	try("write of read-only", m + 7, 1);
	OK(mprotect(m, 4096, PROT_NONE));
	try("read of none", m + 8, 0);
	OK(mprotect(m, 4096, PROT_READ | PROT_WRITE));
	try("write again", m, 1);
	SAY("%d", m[0]);
	try("next page", m + 4096, 1);
	munmap(m + 4096, 4096);
	try("unmapped read", m + 4096 + 5, 0);
	try("unmapped write", m + 4096 + 6, 1);
	OK(mprotect(m, 8192, PROT_READ));
	try("partly protected", m, 1);
	OK(mprotect(m + 1, 4096, PROT_READ));
	OK(mprotect(m, 4096, 0x80));
	OK(mprotect(m, 0, PROT_READ));
	OK(mprotect((void *)0x1000000, 4096, PROT_READ));
	char *x = m + 8192;
	*(unsigned char *)x = 0xc3;
	try("run without permission", x, 2);
	OK(mprotect(x, 4096, PROT_READ | PROT_EXEC));
	try("run", x, 2);
	try("write code", x, 1);
	try("write-only is readable", ({
		mprotect(m, 4096, PROT_WRITE);
		m;
	}), 0);
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	MUST(ftruncate(fd, 4096));
	base = m = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	try("inside the file", m, 1);
	try("beyond the file", m + 4096 + 9, 1);
	try("beyond the file", m + 4096 + 10, 0);
	MUST(ftruncate(fd, 0));
	try("after truncation", m + 3, 0);
	MUST(ftruncate(fd, 8192));
	try("grown again", m + 4096, 1);
	int r = MUST(open("f", O_RDONLY));
	m = mmap(0, 4096, PROT_READ, MAP_SHARED, r, 0);
	OK(mprotect(m, 4096, PROT_READ | PROT_WRITE));
	m = mmap(0, 4096, PROT_READ, MAP_PRIVATE, r, 0);
	OK(mprotect(m, 4096, PROT_READ | PROT_WRITE));
	char b[4];
	m = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	VAL(read(fd, m, 10));
	VAL(write(fd, m, 10));
	mprotect(m, 4096, PROT_READ);
	VAL(read(fd, m, 10));
	base = 0;
	try("null", (char *)0, 0);
	try("null plus", (char *)100, 1);
	try("kernel half", (char *)0xffff800000000000, 0);
	return 0;
}
