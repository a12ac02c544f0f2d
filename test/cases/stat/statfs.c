// statfs(2) of the usual file systems.
#include "../case.h"

int main(void) {
	struct statfs s;
	OK(statfs("/proc", &s));
	YES(s.f_type == 0x9fa0);
	OK(statfs("/dev/shm", &s));
	OK(statfs("/sys", &s));
	YES(s.f_type == 0x62656572);
	OK(statfs("/dev/pts", &s));
	YES(s.f_type == 0x1cd1);
	OK(statfs(".", &s));
	YES(s.f_bsize >= 512);
	YES(s.f_namelen == 255);
	OK(statfs("none", &s));
	OK(fstatfs(-1, &s));
	OK(statfs("", &s));
	OK(statfs(".", (void *)1));
	int p[2];
	pipe(p);
	OK(fstatfs(p[0], &s));
	YES(s.f_type == 0x50495045);
	OK(fstatfs(socket(AF_UNIX, SOCK_STREAM, 0), &s));
	YES(s.f_type == 0x534f434b);
	return 0;
}
