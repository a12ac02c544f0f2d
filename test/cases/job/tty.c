// Controlling terminal, foreground group, SIGTTIN, SIGTTOU.
#include "../case.h"
#include <pty.h>
#include <termios.h>
#define in_session(...) RUN({ setsid(); __VA_ARGS__; })

int main(void) {
	int m, t;
	MUST(openpty(&m, &t, NULL, NULL, NULL));
	OK(tcgetpgrp(t));
	OK(tcgetsid(t));
	in_session({
		OK(open("/dev/tty", O_RDWR));
		OK(ioctl(t, TIOCSCTTY, 0));
		YES(tcgetpgrp(t) == getpgrp());
		YES(tcgetsid(t) == getsid(0));
		OK(open("/dev/tty", O_RDWR));
		OK(tcsetpgrp(t, getpgrp()));
		OK(tcsetpgrp(t, 999999));
		OK(tcsetpgrp(t, -1));
		OK(tcsetpgrp(t, 1));
		pid_t k = SPAWN({
			setpgid(0, 0);
			char c;
			read(t, &c, 1);
		});
		int s;
		waitpid(k, &s, WUNTRACED);
		STATUS("background read", s);
		OK(tcsetpgrp(t, k));
		kill(k, SIGCONT);
		msleep(20);
		write(m, "x\n", 2);
		STATUS("foreground read", reap(k));
		k = SPAWN({
			setpgid(0, 0);
			tcsetpgrp(t, getpgrp());
			SAY("not stopped?");
		});
		waitpid(k, &s, WUNTRACED);
		STATUS("background tcsetpgrp", s);
		kill(k, 9);
		reap(k);
		k = SPAWN({
			setpgid(0, 0);
			signal(SIGTTOU, SIG_IGN);
			OK(tcsetpgrp(t, getpgrp()));
			YES(tcgetpgrp(t) == getpgrp());
		});
		reap(k);
		signal(SIGTTOU, SIG_IGN);
		OK(tcsetpgrp(t, getpgrp()));
		struct termios a;
		tcgetattr(t, &a);
		a.c_lflag |= TOSTOP;
		tcsetattr(t, TCSANOW, &a);
		k = SPAWN({
			signal(SIGTTOU, SIG_DFL);
			setpgid(0, 0);
			write(t, "x", 1);
		});
		waitpid(k, &s, WUNTRACED);
		STATUS("background write with TOSTOP", s);
		kill(k, 9);
		reap(k);
		signal(SIGTTIN, SIG_IGN);
		k = SPAWN({
			setpgid(0, 0);
			char c;
			VAL(read(t, &c, 1));
		});
		reap(k);
	});
	return 0;
}
