// Canonical input: editing, end of file, lines, limits.
#include "../case.h"
#include <pty.h>
#include <termios.h>
static int m, t;
static void in(const char *s, int n) {
	write(m, s, n);
	msleep(30);
	char b[600];
	int q = 0;
	ioctl(t, FIONREAD, &q);
	printf("ready %d:", q);
	fcntl(t, F_SETFL, O_NONBLOCK);
	ssize_t r = read(t, b, sizeof b);
	if (r == -1) printf(" %s", ename(errno));
	else {
		printf(" %zd \"", r);
		for (int i = 0; i < r && i < 60; i++) if (b[i] < 32) printf("\\%d", b[i]);
		else putchar(b[i]);
		printf("\"");
	}
	printf("\n");
	char e[4096];
	fcntl(m, F_SETFL, O_NONBLOCK);
	r = read(m, e, sizeof e);
	printf("   echo ");
	for (int i = 0; i < r && i < 80; i++) if (e[i] < 32) printf("\\%d", e[i]);
	else putchar(e[i]);
	printf("\n");
}
#define IN(s) in(s, sizeof s - 1)

int main(void) {
	MUST(openpty(&m, &t, NULL, NULL, NULL));
	IN("line\n");
	IN("no newline yet");
	IN(" done\n");
	IN("abc\177\177x\n");
	IN("wipe me\25kept\n");
	IN("two words\27one\n");
	IN("part\4");
	IN("\4");
	IN("lit\26\3\n");
	IN("a\rb\n");
	IN("one\ntwo\n");
	IN("");
	IN("tab\there\n");
	IN("\1\2\n");
	struct termios a;
	MUST(tcgetattr(t, &a));
	SAY("%d %d %d", !!(a.c_lflag & ICANON), !!(a.c_lflag & ECHO), !!(a.c_iflag & ICRNL));
	SAY("intr %d quit %d erase %d kill %d eof %d susp %d min %d time %d", a.c_cc[VINTR], a.c_cc[VQUIT], a.c_cc[VERASE], a.c_cc[VKILL], a.c_cc[VEOF], a.c_cc[VSUSP], a.c_cc[VMIN], a.c_cc[VTIME]);
	a.c_lflag &= ~ECHO;
	tcsetattr(t, TCSANOW, &a);
	IN("silent\n");
	a.c_lflag |= ECHO;
	a.c_lflag &= ~ECHOCTL;
	tcsetattr(t, TCSANOW, &a);
	IN("x\1y\n");
	a.c_cc[VEOL] = ';';
	tcsetattr(t, TCSANOW, &a);
	IN("stop;more\n");
	IN("");
	a.c_iflag |= INLCR | IGNCR;
	tcsetattr(t, TCSANOW, &a);
	IN("q\rw\n");
	IN("\4");
	a.c_iflag = ISTRIP | ICRNL;
	tcsetattr(t, TCSANOW, &a);
	IN("\341\342\n");
	char big[5000];
	memset(big, 'z', 5000);
	big[4999] = '\n';
	in(big, 5000);
	return 0;
}
