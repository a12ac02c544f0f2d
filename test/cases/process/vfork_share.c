// Vfork suspends the parent and shares memory.
#include "../case.h"
static volatile int x;
static void h(int s) {
	x += 100;
}

int main(void) {
	signal(SIGUSR1, h);
	pid_t me = getpid();
	pid_t k = vfork();
	if (k == 0) {
		x = 1;
		kill(me, SIGUSR1);
		struct timespec t = {0, 30000000};
		nanosleep(&t, NULL);
		x++;
		_exit(0);
	}
	SAY("x %d", x);
	reap(k);
	k = vfork();
	if (k == 0) {
		int d = open("/dev/null", O_RDONLY);
		chdir("/");
		_exit(d);
	}
	int s;
	waitpid(k, &s, 0);
	YES(fcntl(WEXITSTATUS(s), F_GETFD) == -1);
	char b[4096];
	YES(strcmp(getcwd(b, 4096), "/") != 0);
	k = vfork();
	if (k == 0) {
		kill(getpid(), SIGKILL);
	}
	STATUS("killed", reap(k));
	return 0;
}
