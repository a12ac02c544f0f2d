// The ordinary devices: null, zero, full, random.
#include "../case.h"

int main(void) {
	char b[16];
	int n = OK(open("/dev/null", O_RDWR)), z = OK(open("/dev/zero", O_RDWR)), f = OK(open("/dev/full", O_RDWR)), r = OK(open("/dev/urandom", O_RDONLY));
	memset(b, 1, 16);
	VAL(read(n, b, 16));
	VAL(write(n, b, 16));
	VAL(read(z, b, 16));
	YES(b[0] == 0 && b[15] == 0);
	VAL(write(z, b, 16));
	VAL(read(f, b, 16));
	VAL(write(f, b, 16));
	VAL(read(r, b, 16));
	OK(open("/dev/random", O_RDONLY));
	OK(open("/dev/tty", O_RDWR));
	OK(open("/dev/none", O_RDWR));
	struct stat st;
	char *d[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx"};
	for (int i = 0; i < 6; i++) {
		stat(d[i], &st);
		SAY("%s: %s %d:%d", d[i], ftype(st.st_mode), (int)(st.st_rdev >> 8), (int)(st.st_rdev & 255));
	}
	YES(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, z, 0) != MAP_FAILED);
	YES(*(char *)mmap(0, 4096, PROT_READ, MAP_SHARED, z, 0) == 0);
	OK(mmap(0, 4096, PROT_READ, MAP_PRIVATE, n, 0));
	char l[64];
	ssize_t k = readlink("/dev/fd", l, 64);
	SAY("/dev/fd -> %.*s", (int)k, l);
	k = readlink("/dev/stdout", l, 64);
	SAY("/dev/stdout -> %.*s", (int)k, l);
	OK(access("/dev/shm", W_OK));
	OK(access("/dev/pts", X_OK));
	return 0;
}
