// Threads appear in /proc/self/task.
#include "../case.h"
static gate g, r;
static void *f(void *a) {
	prctl(PR_SET_NAME, "worker");
	pass(r);
	hold(g);
	return NULL;
}
static int count(const char *p) {
	DIR *d = opendir(p);
	int n = 0;
	struct dirent *e;
	while ((e = readdir(d))) n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

int main(void) {
	g = mkgate(), r = mkgate();
	VAL(count("/proc/self/task"));
	pthread_t t[3];
	for (int i = 0; i < 3; i++) {
		pthread_create(&t[i], NULL, f, NULL);
		hold(r);
	}
	VAL(count("/proc/self/task"));
	struct stat s;
	stat("/proc/self/task", &s);
	SAY("links %ld", (long)s.st_nlink);
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int named = 0;
	while ((e = readdir(d))) {
		char p[300], b[64] = {0};
		snprintf(p, 300, "/proc/self/task/%s/comm", e->d_name);
		int fd = open(p, O_RDONLY);
		if (fd >= 0 && read(fd, b, 64) > 0) named += !strcmp(b, "worker\n");
	}
	VAL(named);
	for (int i = 0; i < 3; i++) pass(g);
	for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
	msleep(20);
	VAL(count("/proc/self/task"));
	OK(access("/proc/self/task/1/stat", F_OK) == -1 ? -1 : 0);
	OK(access("/proc/self/children", F_OK) == -1 ? -1 : 0);
	pid_t k = SPAWN({
		pause();
	});
	char p[64], w[32];
	snprintf(p, 64, "/proc/self/task/%d/children", getpid());
	int fd = open(p, O_RDONLY);
	char b[64] = {0};
	if (fd >= 0) read(fd, b, 63);
	snprintf(w, 32, "%d ", k);
	YES(!strcmp(b, w));
	kill(k, 9);
	reap(k);
	return 0;
}
