// close_range(2).
#include "../case.h"

int main(void) {
	for (int i = 0; i < 10; i++) MUST(open("/dev/null", O_RDONLY));
	OK(syscall(SYS_close_range, 5, 7, 0));
	for (int i = 3; i < 13; i++) printf("%d%s ", i, fcntl(i, F_GETFD) == -1 ? "-" : "+");
	SAY("");
	OK(syscall(SYS_close_range, 8, 9, 4));
	SAY("cloexec: %d %d %d", fcntl(8, F_GETFD), fcntl(9, F_GETFD), fcntl(10, F_GETFD));
	OK(syscall(SYS_close_range, 7, 5, 0));
	OK(syscall(SYS_close_range, 5, 7, 1));
	OK(syscall(SYS_close_range, 100, ~0U, 0));
	OK(syscall(SYS_close_range, 3, ~0U, 2));
	YES(fcntl(3, F_GETFD) == -1);
	YES(fcntl(12, F_GETFD) == -1);
	return 0;
}
