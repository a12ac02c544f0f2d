// look opens each argument and says what came of reading and writing it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
	char b[100];
	puts("look: started");
	for (int i = 1; i < argc; i++) {
		int f = open(argv[i], O_RDONLY | O_NONBLOCK);
		long n = f < 0 ? -1 : read(f, b, sizeof b - 1);
		b[n > 0 ? n : 0] = 0;
		b[strcspn(b, "\n")] = 0;
		printf("%s: %s %s\n", argv[i], f < 0 ? strerrorname_np(errno) : "open", b);
		f = open(argv[i], O_WRONLY | O_NONBLOCK);
		printf("%s: write %s\n", argv[i], f < 0 || write(f, "x", 1) < 0 ? strerrorname_np(errno) : "ok");
	}
	return 0;
}
