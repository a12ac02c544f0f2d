// memfd_create(2) and F_ADD_SEALS.
#include "../case.h"

int main(void) {
	int fd = OK(memfd_create("x", MFD_ALLOW_SEALING));
	VAL(write(fd, "hello", 5));
	VAL(fcntl(fd, F_GET_SEALS));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	OK(ftruncate(fd, 3));
	OK(ftruncate(fd, 10));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	OK(ftruncate(fd, 20));
	VAL(pwrite(fd, "x", 1, 10));
	VAL(pwrite(fd, "0123456789ab", 12, 0));
	char *m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	munmap(m, 4096);
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	VAL(pwrite(fd, "x", 1, 0));
	OK(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	OK(mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0));
	OK(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	OK(fallocate(fd, 3, 0, 4));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	VAL(fcntl(fd, F_GET_SEALS));
	int n = OK(memfd_create("y", 0));
	VAL(fcntl(n, F_GET_SEALS));
	OK(fcntl(n, F_ADD_SEALS, F_SEAL_GROW));
	OK(memfd_create("z", 0x4000));
	char name[300];
	memset(name, 'n', 250);
	name[250] = 0;
	OK(memfd_create(name, 0));
	name[249] = 0;
	OK(memfd_create(name, MFD_CLOEXEC));
	int f = MUST(open("f", O_RDWR | O_CREAT, 0600));
	VAL(fcntl(MUST(open("/dev/null", O_RDWR)), F_GET_SEALS));
	OK(fcntl(n, F_ADD_SEALS, 0x1000));
	fd = MUST(memfd_create("w", MFD_ALLOW_SEALING));
	ftruncate(fd, 4096);
	m = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	OK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	m[0] = 'k';
	VAL(pwrite(fd, "x", 1, 0));
	char p[64], l[64] = {0};
	snprintf(p, 64, "/proc/self/fd/%d", fd);
	readlink(p, l, 63);
	SAY("%s", l);
	return 0;
}
