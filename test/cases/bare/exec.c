// execve of itself with another argument.
#include "bare.h"

void start(long *sp) {
	char **argv = (char **)(sp + 1);
	if (sp[0] == 2) {
		say("second life: ");
		say(argv[1]);
		say("\n");
		S(231, 3);
	}
	char *v[] = {"bare-exec", "an argument", 0};
	num("none ", S(59, "/no/such/file", v, 0));
	S(59, "/proc/self/exe", v, argv + sp[0] + 1);
	say("not reached\n");
	S(231, 1);
}
