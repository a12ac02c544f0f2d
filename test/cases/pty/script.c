// A shell under a terminal, as script(1) would run it.
#include "../case.h"
#include <pty.h>
#include <termios.h>

int main(void) {
	int m;
	pid_t k = forkpty(&m, NULL, NULL, NULL);
	if (k == 0) {
		setenv("PS1", "$ ", 1);
		execl("/bin/sh", "sh", "-c", "tty | sed 's/[0-9]*$/N/'; stty size; test -t 0 && echo terminal; read x; echo got $x; exit 3", NULL);
		_exit(9);
	}
	write(m, "typed\n", 6);
	char b[4096];
	size_t n = 0;
	ssize_t r;
	while ((r = read(m, b + n, sizeof b - n - 1)) > 0) n += r;
	SAY("%s", r == -1 ? ename(errno) : "end");
	b[n] = 0;
	int echo = strstr(b, "typed\r\n") != NULL, got = strstr(b, "got typed\r\n") != NULL;
	YES(echo);
	YES(got);
	YES(strstr(b, "/dev/pts/N\r\n") != NULL);
	YES(strstr(b, "0 0\r\n") != NULL);
	YES(strstr(b, "terminal\r\n") != NULL);
	STATUS("shell", reap(k));
	return 0;
}
