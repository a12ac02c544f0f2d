// A pipeline as a shell builds it.
#include "../case.h"

int main(void) {
	char *cmd[3][4] = {{"printf", "c\\nb\\na\\nb\\n", NULL}, {"sort", NULL}, {"uniq", "-c", NULL}};
	int in = 0, p[2];
	pid_t k[3];
	for (int i = 0; i < 3; i++) {
		if (i < 2) pipe(p);
		k[i] = fork();
		if (k[i] == 0) {
			setpgid(0, i ? k[0] : 0);
			if (in) dup2(in, 0), close(in);
			if (i < 2) dup2(p[1], 1), close(p[0]), close(p[1]);
			execvp(cmd[i][0], cmd[i]);
			_exit(127);
		}
		setpgid(k[i], k[0]);
		if (in) close(in);
		if (i < 2) in = p[0], close(p[1]);
	}
	int st[3];
	for (int i = 0; i < 3; i++) st[i] = reap(k[i]);
	for (int i = 0; i < 3; i++) STATUS(cmd[i][0], st[i]);
	STATUS("yes into head", system("yes | head -2"));
	STATUS("bash pipestatus", system("bash -c 'false | true | (exit 5); echo ${PIPESTATUS[*]}'"));
	return 0;
}
