// F_SETOWN, F_GETOWN, F_SETSIG and O_ASYNC.
#include "../case.h"
static volatile int got, band;
static void h(int s, siginfo_t *i, void *u) {
	got = s;
	band = i->si_code;
}

int main(void) {
	int s[2];
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	VAL(fcntl(s[0], F_GETOWN));
	OK(fcntl(s[0], F_SETOWN, getpid()));
	YES(fcntl(s[0], F_GETOWN) == getpid());
	OK(fcntl(s[0], F_SETOWN, -getpgrp()));
	struct f_owner_ex o;
	OK(fcntl(s[0], F_GETOWN_EX, &o));
	YES(o.type == F_OWNER_PGRP && o.pid == getpgrp());
	OK(fcntl(s[0], F_SETOWN, 999999));
	o = (struct f_owner_ex){F_OWNER_PID, getpid()};
	OK(fcntl(s[0], F_SETOWN_EX, &o));
	o.type = 99;
	OK(fcntl(s[0], F_SETOWN_EX, &o));
	VAL(fcntl(s[0], F_GETSIG));
	struct sigaction sa = {.sa_sigaction = h, .sa_flags = SA_SIGINFO};
	sigaction(SIGIO, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	OK(fcntl(s[0], F_SETFL, O_ASYNC));
	write(s[1], "x", 1);
	SAY("got %s", signame(got));
	got = 0;
	OK(fcntl(s[0], F_SETSIG, SIGUSR1));
	VAL(fcntl(s[0], F_GETSIG) == SIGUSR1);
	write(s[1], "x", 1);
	SAY("got %s", signame(got));
	YES(band == POLL_IN);
	OK(fcntl(s[0], F_SETSIG, 99));
	OK(fcntl(s[0], F_SETFL, 0));
	got = 0;
	write(s[1], "x", 1);
	SAY("got %s", got ? signame(got) : "nothing");
	return 0;
}
