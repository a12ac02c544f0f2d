// O_TMPFILE: nameless files and giving them a name.
#include "../case.h"

int main(void) {
	int fd = OK(open(".", O_TMPFILE | O_RDWR, 0640));
	VAL(write(fd, "secret", 6));
	struct stat st;
	fstat(fd, &st);
	SAY("links %ld mode %04o", (long)st.st_nlink, st.st_mode & 07777);
	char p[64];
	snprintf(p, 64, "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, p, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	fstat(fd, &st);
	SAY("links %ld", (long)st.st_nlink);
	cat("named");
	OK(open(".", O_TMPFILE | O_RDONLY, 0600));
	OK(open("named", O_TMPFILE | O_RDWR, 0600));
	OK(open("gone", O_TMPFILE | O_RDWR, 0600));
	fd = OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600));
	snprintf(p, 64, "/proc/self/fd/%d", fd);
	OK(linkat(AT_FDCWD, p, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW));
	return 0;
}
