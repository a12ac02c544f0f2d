// /proc/self/mounts and mountinfo.
#include "../case.h"
static void show(const char *tail) {
	FILE *f = fopen("/proc/self/mountinfo", "r");
	char b[1024];
	while (fgets(b, 1024, f)) {
		int id, par, ma, mi, used = 0;
		char root[256], at[256], opt[256];
		if (sscanf(b, "%d %d %d:%d %255s %255s %255s%n", &id, &par, &ma, &mi, root, at, opt, &used) < 7) {
			SAY("bad line %s", b);
			continue;
		}
		char *l = strrchr(at, '/');
		if (!l || strcmp(l + 1, tail)) continue;
		char *dash = strstr(b + used, " - ");
		char ty[64], src[64], sup[256];
		sscanf(dash, " - %63s %63s %255s", ty, src, sup);
		char *rt = strrchr(root, '/');
		SAY("root %s opts %s tags%s type %s source %s", rt, opt, dash == b + used ? " none" : " some", ty, src);
	}
	fclose(f);
}

int main(void) {
	MUST(unshare(CLONE_NEWNS));
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("one", 0755));
	MUST(mkdir("two", 0755));
	MUST(mkdir("sp ace", 0755));
	MUST(mount("thesource", "one", "tmpfs", MS_NOSUID | MS_NODEV, NULL));
	show("one");
	MUST(mkdir("one/sub", 0755));
	MUST(mount("one/sub", "two", NULL, MS_BIND, NULL));
	show("two");
	MUST(mount(NULL, "two", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC, NULL));
	show("two");
	MUST(mount(NULL, "one", NULL, MS_SHARED, NULL));
	show("one");
	MUST(mount("with space", "sp ace", "tmpfs", 0, NULL));
	show("sp\\040ace");
	FILE *f = fopen("/proc/self/mounts", "r");
	char b[1024];
	while (fgets(b, 1024, f)) if (strstr(b, "/one ")) {
		char *t = strstr(b, " tmpfs ");
		SAY("%.21s", t + 1);
	}
	return 0;
}
