// telldir, seekdir, removal while reading, many entries.
#include "../case.h"

int main(void) {
	MUST(mkdir("d", 0700));
	char n[32];
	for (int i = 0; i < 500; i++) {
		snprintf(n, 32, "d/%03d", i);
		MUST(mkfile(n, "", 0600));
	}
	DIR *d = opendir("d");
	char seen[500] = {0};
	struct dirent *e;
	int k = 0;
	long pos = 0;
	char at[64] = "";
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.') continue;
		int i = atoi(e->d_name);
		if (seen[i]++) SAY("twice %d", i);
		k++;
		if (k == 100) {
			pos = telldir(d);
			struct dirent *nx = readdir(d);
			strcpy(at, nx->d_name);
			if (nx->d_name[0] != '.') {
				seen[atoi(nx->d_name)]++;
				k++;
			}
		}
	}
	SAY("seen %d", k);
	seekdir(d, pos);
	e = readdir(d);
	YES(e && !strcmp(e->d_name, at));
	rewinddir(d);
	int removed = 0;
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.') continue;
		snprintf(n, 32, "d/%s", e->d_name);
		if (unlink(n) == 0) removed++;
	}
	SAY("removed %d", removed);
	OK(rmdir("d"));
	return 0;
}
