// What execve puts on the stack: argc, argv, envp, auxv.
#include "bare.h"

void start(long *sp) {
	num("argc ", sp[0]);
	char **argv = (char **)(sp + 1);
	say(argv[0]);
	say("\n");
	char **envp = argv + sp[0] + 1;
	long envs = 0;
	while (envp[envs]) envs++;
	num("environment strings ", envs);
	long *aux = (long *)(envp + envs + 1);
	for (; aux[0]; aux += 2) {
		if (aux[0] == 6) num("page size ", aux[1]);
		if (aux[0] == 4) num("program header size ", aux[1]);
		if (aux[0] == 23) num("secure ", aux[1]);
		if (aux[0] == 17) num("clock ticks ", aux[1]);
		if (aux[0] == 11) num("uid ", aux[1]);
	}
	num("stack aligned ", (long)sp % 16 == 0);
	S(231, 0);
}
