// uname, sysinfo, getrandom, personality, and no such call.
#include "../case.h"
#include <sys/sysinfo.h>
#include <sys/random.h>
#include <sys/personality.h>

int main(void) {
	struct sysinfo s;
	OK(sysinfo(&s));
	YES(s.totalram * s.mem_unit > 1 << 20);
	YES(s.freeram <= s.totalram);
	YES(s.uptime >= 0 && s.procs > 0);
	OK(sysinfo((void *)1));
	char a[32], b[32];
	VAL(getrandom(a, 32, 0));
	VAL(getrandom(b, 32, GRND_NONBLOCK));
	YES(memcmp(a, b, 32));
	VAL(getrandom(a, 32, GRND_RANDOM | GRND_NONBLOCK) > 0);
	VAL(getrandom(a, 0, 0));
	OK(getrandom(a, 4, 99));
	OK(getrandom((void *)1, 4, 0));
	VAL(getrandom(a, 4, GRND_INSECURE));
	VAL(personality(0xffffffff));
	VAL(personality(ADDR_NO_RANDOMIZE));
	VAL(personality(0xffffffff));
	RUN({
		VAL(personality(0xffffffff));
		execl("/bin/cat", "cat", "/proc/self/personality", NULL);
	});
	VAL(personality(0));
	OK(syscall(999));
	OK(syscall(-1));
	OK(syscall(SYS_nfsservctl));
	OK(syscall(SYS_tuxcall));
	OK(syscall(SYS_vserver));
	OK(syscall(SYS_getpmsg));
	VAL(syscall(SYS_getpid) == getpid());
	OK(getdomainname(a, 32));
	VAL(sysconf(_SC_PAGESIZE));
	VAL(sysconf(_SC_CLK_TCK));
	VAL(gethostid() != 0 || 1);
	VAL(syscall(SYS_sysfs, 3) > 0);
	double l[3];
	VAL(getloadavg(l, 3));
	VAL(umask(0));
	VAL(umask(022));
	return 0;
}
