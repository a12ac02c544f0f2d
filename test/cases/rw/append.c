// O_APPEND by several processes, and F_SETFL.
#include "../case.h"

int main(void) {
	pid_t k[4];
	for (int i = 0; i < 4; i++) k[i] = SPAWN({
		int fd = MUST(open("f", O_WRONLY | O_APPEND | O_CREAT, 0600));
		for (int j = 0; j < 100; j++) MUST(write(fd, "0123456789", 10));
	});
	for (int i = 0; i < 4; i++) reap(k[i]);
	struct stat st;
	stat("f", &st);
	SAY("size %ld", (long)st.st_size);
	int fd = MUST(open("g", O_RDWR | O_CREAT, 0600));
	MUST(write(fd, "abc", 3));
	lseek(fd, 0, SEEK_SET);
	OK(fcntl(fd, F_SETFL, O_APPEND));
	MUST(write(fd, "d", 1));
	cat("g");
	OK(fcntl(fd, F_SETFL, 0));
	lseek(fd, 0, SEEK_SET);
	MUST(write(fd, "Z", 1));
	cat("g");
	return 0;
}
