// FIFOs: opening order, O_NONBLOCK, several readers.
#include "../case.h"

int main(void) {
	MUST(mkfifo("p", 0600));
	OK(open("p", O_WRONLY | O_NONBLOCK));
	int r = OK(open("p", O_RDONLY | O_NONBLOCK));
	char b[16];
	VAL(read(r, b, 16));
	int w = OK(open("p", O_WRONLY | O_NONBLOCK));
	VAL(read(r, b, 16));
	VAL(write(w, "abc", 3));
	VAL(read(r, b, 16));
	close(w);
	VAL(read(r, b, 16));
	close(r);
	int rw = OK(open("p", O_RDWR));
	VAL(write(rw, "xy", 2));
	VAL(read(rw, b, 16));
	close(rw);
	pid_t k = SPAWN({
		int f = OK(open("p", O_RDONLY));
		VAL(read(f, b, 16));
		VAL(read(f, b, 16));
	});
	sleeping(k);
	w = MUST(open("p", O_WRONLY));
	MUST(write(w, "hello", 5));
	close(w);
	reap(k);
	k = SPAWN({
		int f = MUST(open("p", O_WRONLY));
		SAY("writer open");
		MUST(write(f, "z", 1));
	});
	sleeping(k);
	r = MUST(open("p", O_RDONLY));
	VAL(read(r, b, 16));
	reap(k);
	VAL(lseek(r, 0, SEEK_CUR));
	struct stat s;
	fstat(r, &s);
	SAY("%s size %ld", ftype(s.st_mode), (long)s.st_size);
	OK(open("p", O_RDONLY | O_DIRECTORY));
	OK(ftruncate(r, 0));
	OK(truncate("p", 0));
	OK(unlink("p"));
	return 0;
}
