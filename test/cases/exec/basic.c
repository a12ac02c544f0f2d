// execve(2): arguments, environment, what is kept.
#include "../case.h"
#include <sys/auxv.h>

int main(void) {
	MUST(mkfile("s", "#!/bin/sh\necho args: \"$@\"\necho name: $0\n", 0755));
	char *ev[] = {"A=1", "B=two words", NULL};
	STATUS("env", RUN({
		execle("/usr/bin/env", "env", NULL, ev);
	}));
	STATUS("script", RUN({
		execl("./s", "zero", "one", "two three", NULL);
	}));
	STATUS("path search", RUN({
		execlp("echo", "echo", "found", NULL);
	}));
	STATUS("no arguments", RUN({
		char *none[] = {NULL};
		execve("/usr/bin/env", none, none);
		_exit(errno == EFAULT ? 77 : 78);
	}));
	STATUS("keeps", RUN({
		signal(SIGUSR1, SIG_IGN);
		signal(SIGUSR2, (void (*)(int))abort);
		sigset_t m;
		sigemptyset(&m);
		sigaddset(&m, SIGHUP);
		sigprocmask(SIG_BLOCK, &m, NULL);
		execl("/bin/grep", "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL);
	}));
	int keep = MUST(open("s", O_RDONLY)), lose = MUST(open("s", O_RDONLY | O_CLOEXEC));
	STATUS("descriptors", RUN({
		execl("/bin/sh", "sh", "-c", "ls /proc/self/fd | wc -l; umask; pwd | sed 's,.*/,,' | tr 0-9 n", NULL);
	}));
	YES(getauxval(AT_PAGESZ) == 4096);
	YES(getauxval(AT_RANDOM) != 0);
	YES(getauxval(AT_SYSINFO_EHDR) != 0);
	YES(getauxval(AT_SECURE) == 0);
	YES(getauxval(AT_PHDR) != 0);
	YES(getauxval(AT_CLKTCK) == 100);
	SAY("%s", strrchr((char *)getauxval(AT_EXECFN), '/') ? "execfn" : "none");
	SAY("%s", (char *)getauxval(AT_PLATFORM));
	return 0;
}
