// Reading /proc: pids, unknown names, permissions, hidden things.
#include "../case.h"

int main(void) {
	DIR *d = opendir("/proc");
	struct dirent *e;
	int me = 0, self = 0, files = 0;
	char w[16];
	snprintf(w, 16, "%d", getpid());
	while ((e = readdir(d))) {
		me += !strcmp(e->d_name, w);
		self += !strcmp(e->d_name, "self");
		files += !strcmp(e->d_name, "meminfo") + !strcmp(e->d_name, "mounts") + !strcmp(e->d_name, "sys") + !strcmp(e->d_name, "net");
	}
	SAY("me %d self %d files %d", me, self, files);
	struct stat s;
	OK(stat("/proc/999999", &s));
	OK(stat("/proc/none", &s));
	OK(stat("/proc/0", &s));
	OK(stat("/proc/01", &s));
	stat("/proc/self/status", &s);
	SAY("%04o size %ld", s.st_mode & 07777, (long)s.st_size);
	stat("/proc/self", &s);
	SAY("%s %04o", ftype(s.st_mode), s.st_mode & 07777);
	lstat("/proc/self", &s);
	SAY("%s", ftype(s.st_mode));
	stat("/proc/self/mem", &s);
	SAY("%04o", s.st_mode & 07777);
	stat("/proc/self/fd", &s);
	SAY("%04o", s.st_mode & 07777);
	pid_t k = SPAWN({
		setresuid(9, 9, 9);
		pause();
	});
	sleeping(k);
	char p[64];
	snprintf(p, 64, "/proc/%d", k);
	stat(p, &s);
	SAY("uid %d", s.st_uid);
	snprintf(p, 64, "/proc/%d/status", k);
	int fd = MUST(open(p, O_RDONLY));
	kill(k, 9);
	reap(k);
	char b[8];
	VAL(read(fd, b, 8));
	OK(stat(p, &s));
	int dir = MUST(open("/proc/self", O_RDONLY));
	OK(openat(dir, "maps", O_RDONLY));
	OK(chmod("/proc/self/status", 0777));
	OK(chown("/proc/self/status", 1, 1));
	OK(truncate("/proc/self/comm", 0));
	fd = MUST(open("/proc/self/oom_score_adj", O_RDWR));
	VAL(write(fd, "100\n", 4));
	cat("/proc/self/oom_score_adj");
	VAL(pwrite(fd, "5000", 4, 0));
	VAL(pwrite(fd, "junk", 4, 0));
	return 0;
}
