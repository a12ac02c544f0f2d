// posix_spawn(3): actions, attributes, errors.
#include "../case.h"
#include <spawn.h>
extern char **environ;

int main(void) {
	pid_t k;
	char *v[] = {"sh", "-c", "echo spawned; exit 4", NULL};
	int e = posix_spawn(&k, "/bin/sh", NULL, NULL, v, environ);
	STATUS("sh", reap(k));
	RET(e);
	RET(posix_spawn(&k, "/none", NULL, NULL, v, environ));
	e = posix_spawnp(&k, "sh", NULL, NULL, v, environ);
	STATUS("searched", reap(k));
	RET(e);
	posix_spawn_file_actions_t a;
	posix_spawn_file_actions_init(&a);
	posix_spawn_file_actions_addopen(&a, 5, "out", O_CREAT | O_WRONLY, 0600);
	posix_spawn_file_actions_adddup2(&a, 5, 1);
	posix_spawn_file_actions_addclose(&a, 5);
	RET(posix_spawn(&k, "/bin/sh", &a, NULL, v, environ));
	STATUS("redirected", reap(k));
	cat("out");
	posix_spawnattr_t t;
	posix_spawnattr_init(&t);
	posix_spawnattr_setflags(&t, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&t, 0);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
	posix_spawnattr_setsigmask(&t, &m);
	sigemptyset(&m);
	sigaddset(&m, SIGUSR2);
	posix_spawnattr_setsigdefault(&t, &m);
	signal(SIGUSR2, SIG_IGN);
	char *g[] = {"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL};
	e = posix_spawn(&k, "/bin/grep", NULL, &t, g, environ);
	reap(k);
	RET(e);
	FILE *f = popen("cat; exit 3", "w");
	fputs("through popen\n", f);
	STATUS("pclose", pclose(f));
	f = popen("echo out", "r");
	char b[32];
	fgets(b, 32, f);
	printf("%s", b);
	STATUS("pclose", pclose(f));
	STATUS("system", system("kill -TERM $$"));
	VAL(system(NULL));
	STATUS("not found", system("no-such-command-here 2>/dev/null"));
	return 0;
}
