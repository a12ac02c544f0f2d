// Ten thousand open files at once.
#include "../case.h"

int main(void) {
	struct rlimit r = {20000, 20000};
	OK(setrlimit(RLIMIT_NOFILE, &r));
	int n = 0;
	for (int i = 0; i < 10000; i++) if (open("/dev/null", O_RDONLY) >= 0) n++;
	VAL(n);
	VAL(dup2(0, 19999));
	VAL(dup2(0, 20000));
	RUN({
		VAL(fcntl(9999, F_GETFD));
	});
	OK(close_range(3, ~0U, 0));
	VAL(open("/dev/null", O_RDONLY));
	VAL(fcntl(19999, F_GETFD));
	fd_set f;
	FD_ZERO(&f);
	return 0;
}
