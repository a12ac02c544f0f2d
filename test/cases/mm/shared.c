// Shared and private file mappings see the right writes.
#include "../case.h"

int main(void) {
	int fd = MUST(open("f", O_RDWR | O_CREAT, 0600));
	MUST(ftruncate(fd, 8192));
	char *s = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), b[16] = {0};
	strcpy(s, "shared");
	pread(fd, b, 16, 0);
	SAY("file: %s", b);
	SAY("private: %s", p);
	pwrite(fd, "written", 8, 4096);
	SAY("shared: %s", s + 4096);
	SAY("private: %s", p + 4096);
	strcpy(p, "mine");
	SAY("shared: %s", s);
	pwrite(fd, "newer", 6, 0);
	SAY("private: %s, shared: %s", p, s);
	RUN({
		strcpy(s, "by child");
		strcpy(p, "child's own");
	});
	SAY("private: %s, shared: %s", p, s);
	int fd2 = MUST(open("f", O_RDWR));
	char *s2 = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd2, 0);
	strcpy(s2, "second");
	SAY("shared: %s", s);
	close(fd);
	close(fd2);
	unlink("f");
	strcpy(s, "still");
	SAY("%s", s2);
	int *c = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t k[4];
	for (int i = 0; i < 4; i++) k[i] = SPAWN({
		for (int j = 0; j < 10000; j++) __atomic_fetch_add(c, 1, 5);
	});
	for (int i = 0; i < 4; i++) reap(k[i]);
	SAY("%d", *c);
	OK(msync(s, 8192, MS_SYNC));
	OK(msync(s, 4096, MS_ASYNC));
	OK(msync(s, 4096, MS_INVALIDATE));
	OK(msync(s, 4096, MS_SYNC | MS_ASYNC));
	OK(msync(s + 1, 4096, MS_SYNC));
	OK(msync(s, 4096, 99));
	munmap(s2, 4096);
	OK(msync(s2, 4096, MS_SYNC));
	return 0;
}
