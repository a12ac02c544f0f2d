// Creation mode, umask, and special bits.
#include "../case.h"

int main(void) {
	umask(027);
	close(OK(open("a", O_CREAT | O_WRONLY, 0777)));
	umask(0);
	close(OK(open("b", O_CREAT | O_WRONLY, 07777)));
	int fd = OK(open("c", O_CREAT | O_RDWR, 0));
	VAL(write(fd, "x", 1));
	struct stat st;
	for (char *p = "abc"; *p; p++) {
		char n[2] = {*p, 0};
		stat(n, &st);
		SAY("%s: %04o", n, st.st_mode & 07777);
	}
	SAY("old umask %03o", umask(0777));
	close(OK(creat("d", 0666)));
	stat("d", &st);
	SAY("d: %04o", st.st_mode & 07777);
	umask(022);
	fd = OK(creat("a", 0600));
	stat("a", &st);
	SAY("a after creat: %04o size %ld", st.st_mode & 07777, (long)st.st_size);
	return 0;
}
