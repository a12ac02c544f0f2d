// RLIMIT_FSIZE: SIGXFSZ, EFBIG, short writes.
#include "../case.h"
static volatile int got;
static void h(int s) {
	got = s;
}

int main(void) {
	struct rlimit r = {100, RLIM_INFINITY};
	MUST(setrlimit(RLIMIT_FSIZE, &r));
	signal(SIGXFSZ, h);
	static char b[200];
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	VAL(write(fd, b, 60));
	VAL(write(fd, b, 60));
	VAL(write(fd, b, 1));
	SAY("got %s", got ? signame(got) : "nothing");
	got = 0;
	VAL(pwrite(fd, b, 1, 200));
	SAY("got %s", got ? signame(got) : "nothing");
	got = 0;
	OK(ftruncate(fd, 101));
	SAY("got %s", got ? signame(got) : "nothing");
	OK(ftruncate(fd, 100));
	got = 0;
	OK(fallocate(fd, 0, 0, 200));
	SAY("got %s", got ? signame(got) : "nothing");
	STATUS("default", RUN({
		signal(SIGXFSZ, SIG_DFL);
		pwrite(fd, b, 1, 500);
	}));
	return 0;
}
