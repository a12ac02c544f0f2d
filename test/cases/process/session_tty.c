// Setsid drops the controlling terminal.
#include "../case.h"
#include <pty.h>

int main(void) {
	int m, t;
	MUST(openpty(&m, &t, NULL, NULL, NULL));
	RUN({
		setsid();
		MUST(ioctl(t, TIOCSCTTY, 0));
		OK(open("/dev/tty", O_RDWR));
		RUN({
			setsid();
			OK(open("/dev/tty", O_RDWR));
			OK(ioctl(t, TIOCSCTTY, 0));
			VAL(tcgetpgrp(t));
		});
		OK(ioctl(t, TIOCNOTTY));
		OK(open("/dev/tty", O_RDWR));
	});
	RUN({
		setsid();
		char *n = ttyname(t);
		int o = OK(open(n, O_RDWR));
		OK(open("/dev/tty", O_RDWR));
		YES(tcgetsid(o) == getpid());
	});
	RUN({
		setsid();
		OK(open(ttyname(t), O_RDWR | O_NOCTTY));
		OK(open("/dev/tty", O_RDWR));
	});
	RUN({
		OK(ioctl(t, TIOCSCTTY, 0));
	});
	return 0;
}
