// /proc/self/status: the lines programs read.
#include "../case.h"
static void line(const char *pid, const char *key) {
	char p[64], b[256];
	snprintf(p, 64, "/proc/%s/status", pid);
	FILE *f = fopen(p, "r");
	if (!f) {
		SAY("%s: %s", key, ename(errno));
		return;
	}
	int n = 0;
	while (fgets(b, 256, f)) if (!strncmp(b, key, strlen(key)) && b[strlen(key)] == ':') {
		printf("%s", b);
		n++;
	}
	if (!n) SAY("%s: missing", key);
	fclose(f);
}
static int has(const char *key) {
	char b[256];
	FILE *f = fopen("/proc/self/status", "r");
	int n = 0;
	while (fgets(b, 256, f)) n += !strncmp(b, key, strlen(key));
	fclose(f);
	return n;
}

int main(void) {
	prctl(PR_SET_NAME, "named one");
	line("self", "Name");
	line("self", "Umask");
	line("self", "State");
	line("self", "TracerPid");
	line("self", "Uid");
	line("self", "Gid");
	line("self", "Threads");
	line("self", "SigPnd");
	line("self", "ShdPnd");
	line("self", "SigBlk");
	line("self", "SigIgn");
	line("self", "SigCgt");
	line("self", "NoNewPrivs");
	line("self", "Seccomp");
	char *k[] = {"Tgid:", "Pid:", "PPid:", "Groups:", "NSpid:", "VmPeak:", "VmSize:", "VmRSS:", "VmData:", "VmStk:", "VmExe:", "VmLib:", "VmHWM:", "RssAnon:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "SigQ:", "Cpus_allowed:", "Cpus_allowed_list:", "Mems_allowed:", "voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"};
	for (int i = 0; i < 25; i++) SAY("%s %d", k[i], has(k[i]));
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, (void (*)(int))msleep);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGHUP);
	sigaddset(&m, 40);
	sigprocmask(SIG_BLOCK, &m, NULL);
	raise(SIGHUP);
	kill(getpid(), 40);
	line("self", "SigPnd");
	line("self", "ShdPnd");
	line("self", "SigBlk");
	line("self", "SigIgn");
	line("self", "SigCgt");
	gid_t g[2] = {7, 3};
	setgroups(2, g);
	line("self", "Groups");
	setresuid(1, 2, 3);
	line("self", "Uid");
	pid_t c = SPAWN({
		pause();
	});
	char n[16];
	snprintf(n, 16, "%d", c);
	sleeping(c);
	line(n, "State");
	kill(c, SIGSTOP);
	int s;
	waitpid(c, &s, WUNTRACED);
	line(n, "State");
	kill(c, SIGKILL);
	siginfo_t i;
	waitid(P_PID, c, &i, WEXITED | WNOWAIT);
	line(n, "State");
	line(n, "VmSize");
	reap(c);
	line(n, "State");
	return 0;
}
