/* Times single calls: one line "name nanoseconds" per row. usage: micro DIR */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* ROW runs code n times and reports the best of three rounds. */
#define ROW(name, n, code) do { \
	double best = 1e18; \
	for (int round = 0; round < 3; round++) { \
		double began = now(); \
		for (long i = 0; i < (n); i++) { code; } \
		double each = (now() - began) / (n); \
		if (each < best) best = each; \
	} \
	printf("%s %.0f\n", name, best); \
	fflush(stdout); \
} while (0)

static int ping[2], pong[2];

static void *echo(void *a) {
	char b;
	while (read(ping[0], &b, 1) == 1 && b) write(pong[1], &b, 1);
	return NULL;
}

static void handler(int s) {}

int main(int argc, char **argv) {
	const char *dir = argc > 1 ? argv[1] : "/tmp";
	char path[256], other[256], *block = malloc(65536);
	snprintf(path, sizeof path, "%s/bench-file", dir);
	memset(block, 1, 65536);
	ROW("getpid", 100000, syscall(SYS_getpid));
	ROW("getppid", 100000, syscall(SYS_getppid));
	struct timespec ts;
	ROW("clock_gettime_vdso", 1000000, clock_gettime(CLOCK_REALTIME, &ts));
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	for (int i = 0; i < 256; i++) pwrite(fd, block, 65536, i * 65536L);
	ROW("pread_4k", 30000, pread(fd, block, 4096, (i % 4096) * 4096));
	ROW("pwrite_4k", 30000, pwrite(fd, block, 4096, (i % 4096) * 4096));
	ROW("pread_64k", 5000, pread(fd, block, 65536, (i % 256) * 65536));
	struct stat st;
	ROW("fstat", 30000, fstat(fd, &st));
	ROW("stat", 20000, stat(path, &st));
	ROW("open_close", 10000, close(open(path, O_RDONLY)));
	ROW("create_unlink", 2000, snprintf(other, sizeof other, "%s/x%ld", dir, i); close(open(other, O_CREAT | O_WRONLY, 0644)); unlink(other));
	int p[2];
	pipe(p);
	ROW("pipe_write_read", 20000, write(p[1], block, 1); read(p[0], block, 1));
	int s[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	ROW("socket_write_read", 20000, write(s[1], block, 1); read(s[0], block, 1));
	int ep = epoll_create1(0), ev = eventfd(1, 0);
	struct epoll_event e = {EPOLLIN, {0}};
	epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e);
	ROW("epoll_wait_ready", 20000, epoll_wait(ep, &e, 1, 0));
	ROW("sched_yield", 20000, sched_yield());
	signal(SIGUSR1, handler);
	ROW("signal_self", 10000, raise(SIGUSR1));
	pipe(ping);
	pipe(pong);
	pid_t k = fork();
	if (k == 0) {
		echo(NULL);
		_exit(0);
	}
	ROW("pipe_ping_pong", 5000, write(ping[1], "x", 1); read(pong[0], block, 1));
	write(ping[1], "", 1);
	waitpid(k, NULL, 0);
	pthread_t t;
	pthread_create(&t, NULL, echo, NULL);
	ROW("thread_ping_pong", 5000, write(ping[1], "x", 1); read(pong[0], block, 1));
	write(ping[1], "", 1);
	pthread_join(t, NULL);
	ROW("thread_create_join", 500, pthread_create(&t, NULL, (void *(*)(void *))time, NULL); pthread_join(t, NULL));
	ROW("fork_exit_wait", 100, pid_t x = fork(); if (!x) _exit(0); waitpid(x, 0, 0));
	ROW("vfork_exec_true", 50, pid_t x = vfork(); if (!x) { execl("/bin/true", "true", (char *)0); _exit(1); } waitpid(x, 0, 0));
	ROW("mmap_touch_64k", 1000, char *m = mmap(0, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); for (int j = 0; j < 16; j++) m[j * 4096] = 1; munmap(m, 65536));
	ROW("mmap_touch_64m", 2, char *m = mmap(0, 64 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); for (int j = 0; j < 16384; j++) m[j * 4096L] = 1; munmap(m, 64 << 20));
	char *m = mmap(0, 16 << 20, PROT_READ, MAP_SHARED, fd, 0);
	ROW("file_mmap_16m", 5, char *q = mmap(0, 16 << 20, PROT_READ, MAP_SHARED, fd, 0); volatile char c; for (int j = 0; j < 4096; j++) c = q[j * 4096L]; munmap(q, 16 << 20));
	unlink(path);
	return 0;
}
