// Leases and notification are refused or given as Linux does.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	VAL(fcntl(fd, F_GETLEASE));
	OK(fcntl(fd, F_SETLEASE, F_WRLCK));
	VAL(fcntl(fd, F_GETLEASE));
	OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	OK(fcntl(fd, F_SETLEASE, 99));
	int d = MUST(open(".", O_RDONLY));
	signal(SIGIO, SIG_IGN);
	OK(fcntl(d, F_NOTIFY, DN_CREATE));
	OK(fcntl(fd, F_NOTIFY, DN_CREATE));
	return 0;
}
