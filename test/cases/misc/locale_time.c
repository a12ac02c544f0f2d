// Time zone files, environment and temporary files work.
#include "../case.h"

int main(void) {
	struct tm t = {.tm_year = 100, .tm_mday = 1, .tm_hour = 12};
	setenv("TZ", "UTC", 1);
	tzset();
	VAL(mktime(&t));
	setenv("TZ", "EST5EDT", 1);
	tzset();
	time_t x = 946728000;
	char b[64];
	strftime(b, 64, "%F %T", localtime(&x));
	SAY("%s", b);
	char n[] = "tmpXXXXXX";
	int fd = mkstemp(n);
	YES(fd >= 0);
	struct stat s;
	fstat(fd, &s);
	SAY("%04o", s.st_mode & 07777);
	char d[] = "dirXXXXXX";
	YES(mkdtemp(d) != NULL);
	FILE *f = tmpfile();
	fputs("temporary", f);
	rewind(f);
	fgets(b, 64, f);
	SAY("%s", b);
	YES(getenv("PATH") != NULL);
	char *r = realpath("/proc/self/../self/cwd/.", NULL);
	char c[4096];
	YES(r && !strcmp(r, getcwd(c, 4096)));
	SAY("%s", strerror(ENOENT));
	VAL(access("/etc/passwd", R_OK));
	long e = pathconf("/", _PC_NAME_MAX);
	VAL(e);
	return 0;
}
