// setitimer(2), getitimer, alarm, ualarm.
#include "../case.h"
static volatile int n;
static void h(int s) {
	n++;
}

int main(void) {
	struct sigaction sa = {.sa_handler = h};
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
	sigaction(SIGPROF, &sa, NULL);
	struct itimerval t = {{0, 0}, {0, 200000}}, o;
	OK(setitimer(ITIMER_REAL, &t, &o));
	YES(o.it_value.tv_sec == 0 && o.it_value.tv_usec == 0);
	OK(getitimer(ITIMER_REAL, &o));
	YES(o.it_value.tv_usec > 0);
	while (!n) msleep(1);
	SAY("%d", n);
	t.it_interval.tv_usec = 5000;
	OK(setitimer(ITIMER_REAL, &t, NULL));
	while (n < 5) msleep(1);
	t = (struct itimerval){{0, 0}, {0, 0}};
	OK(setitimer(ITIMER_REAL, &t, &o));
	YES(o.it_interval.tv_usec == 5000);
	n = 0;
	t.it_value.tv_usec = 10000;
	OK(setitimer(ITIMER_VIRTUAL, &t, NULL));
	while (!n) {
	}
	SAY("virtual");
	n = 0;
	OK(setitimer(ITIMER_PROF, &t, NULL));
	while (!n) {
	}
	SAY("prof");
	OK(setitimer(9, &t, NULL));
	OK(getitimer(9, &o));
	t.it_value.tv_usec = 1000000;
	OK(setitimer(ITIMER_REAL, &t, NULL));
	OK(setitimer(ITIMER_REAL, (void *)1, NULL));
	SAY("%u", alarm(10));
	SAY("%s", alarm(5) >= 9 ? "9 or 10" : "?");
	RUN({
		SAY("child %u", alarm(0));
	});
	SAY("%s", alarm(0) >= 4 ? "4 or 5" : "?");
	STATUS("alarm kills", RUN({
		signal(SIGALRM, SIG_DFL);
		t = (struct itimerval){{0, 0}, {0, 10000}};
		setitimer(ITIMER_REAL, &t, NULL);
		pause();
	}));
	STATUS("exec keeps the alarm", RUN({
		signal(SIGALRM, SIG_DFL);
		t = (struct itimerval){{0, 0}, {0, 200000}};
		setitimer(ITIMER_REAL, &t, NULL);
		execl("/bin/sleep", "sleep", "10", NULL);
	}));
	return 0;
}
