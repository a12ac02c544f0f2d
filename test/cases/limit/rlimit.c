// getrlimit, setrlimit, prlimit.
#include "../case.h"

int main(void) {
	char *n[] = {"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"};
	struct rlimit r, o;
	for (int i = 0; i < 16; i++) {
		int x = getrlimit(i, &r);
		SAY("%s: %s %s", n[i], x ? ename(errno) : "ok", r.rlim_cur <= r.rlim_max ? "ordered" : "wrong");
	}
	OK(getrlimit(16, &r));
	OK(setrlimit(16, &r));
	r = (struct rlimit){100, 50};
	OK(setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){100, 200};
	OK(setrlimit(RLIMIT_NOFILE, &r));
	OK(prlimit(0, RLIMIT_NOFILE, NULL, &o));
	SAY("%lu %lu", o.rlim_cur, o.rlim_max);
	r.rlim_max = 300;
	OK(prlimit(0, RLIMIT_NOFILE, &r, &o));
	r.rlim_max = 10UL << 40;
	OK(setrlimit(RLIMIT_NOFILE, &r));
	gate g = mkgate();
	pid_t k = SPAWN({
		hold(g);
		getrlimit(RLIMIT_NOFILE, &r);
		SAY("child %lu %lu", r.rlim_cur, r.rlim_max);
	});
	r = (struct rlimit){64, 128};
	OK(prlimit(k, RLIMIT_NOFILE, &r, &o));
	SAY("%lu %lu", o.rlim_cur, o.rlim_max);
	pass(g);
	reap(k);
	OK(prlimit(999999, RLIMIT_NOFILE, NULL, &o));
	RUN({
		setresuid(7, 7, 7);
		r = (struct rlimit){10, 100};
		OK(setrlimit(RLIMIT_NOFILE, &r));
		r = (struct rlimit){10, 200};
		OK(setrlimit(RLIMIT_NOFILE, &r));
		OK(prlimit(getppid(), RLIMIT_NOFILE, NULL, &r));
	});
	OK(syscall(SYS_getrlimit, RLIMIT_NOFILE, 1L));
	system("ulimit -n");
	VAL(sysconf(_SC_OPEN_MAX));
	STATUS("cpu limit", RUN({
		r = (struct rlimit){1, 2};
		setrlimit(RLIMIT_CPU, &r);
		for (;;) {
		}
	}));
	return 0;
}
