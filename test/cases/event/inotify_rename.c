// Moves across directories, self events, masks.
#include "../case.h"
#include <sys/inotify.h>
static int fd;
static void show(void) {
	static char b[8192] __attribute__((aligned(8)));
	long n = read(fd, b, sizeof b);
	for (long o = 0; o < n;) {
		struct inotify_event *e = (void *)(b + o);
		SAY("  %d %x %s", e->wd, e->mask, e->len ? e->name : "");
		o += sizeof *e + e->len;
	}
	if (n <= 0) SAY("  nothing");
}

int main(void) {
	fd = inotify_init1(IN_NONBLOCK);
	MUST(mkdir("a", 0755));
	MUST(mkdir("b", 0755));
	MUST(mkdir("a/s", 0755));
	VAL(inotify_add_watch(fd, "a", IN_MOVE | IN_CREATE | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF));
	VAL(inotify_add_watch(fd, "b", IN_MOVED_TO));
	MUST(rename("a/s", "b/s"));
	show();
	VAL(inotify_add_watch(fd, "b/s", IN_MOVE_SELF | IN_ATTRIB | IN_DELETE_SELF));
	MUST(rename("b/s", "a/t"));
	show();
	MUST(rename("a", "c"));
	show();
	MUST(mkfile("c/x", "", 0600));
	MUST(mkfile("c/y", "", 0600));
	show();
	MUST(rename("c/x", "c/y"));
	show();
	VAL(inotify_add_watch(fd, "c/y", IN_DELETE_SELF | IN_ATTRIB | IN_CLOSE_WRITE));
	MUST(link("c/y", "hard"));
	show();
	MUST(unlink("c/y"));
	show();
	MUST(unlink("hard"));
	show();
	VAL(inotify_add_watch(fd, "c", IN_MASK_CREATE | IN_CREATE));
	VAL(inotify_add_watch(fd, "c/t", IN_EXCL_UNLINK | IN_ALL_EVENTS));
	int f = MUST(open("c/t/f", O_CREAT | O_RDWR, 0600));
	unlink("c/t/f");
	read(fd, (char[4096]){0}, 4096);
	write(f, "x", 1);
	show();
	return 0;
}
