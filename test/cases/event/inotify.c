// Inotify: events of files and directories.
#include "../case.h"
#include <sys/inotify.h>
static char *b;
static int fd;
static void show(void) {
	b = b ? b : malloc(8192);
	long n = read(fd, b, 8192);
	if (n == -1) {
		SAY("  none (%s)", ename(errno));
		return;
	}
	for (long o = 0; o < n;) {
		struct inotify_event *e = (void *)(b + o);
		printf("  wd %d:", e->wd);
		char *names[] = {"ACCESS", "MODIFY", "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN", "MOVED_FROM", "MOVED_TO", "CREATE", "DELETE", "DELETE_SELF", "MOVE_SELF"};
		for (int i = 0; i < 12; i++) if (e->mask & 1 << i) printf(" %s", names[i]);
		if (e->mask & IN_IGNORED) printf(" IGNORED");
		if (e->mask & IN_ISDIR) printf(" ISDIR");
		if (e->mask & IN_Q_OVERFLOW) printf(" OVERFLOW");
		printf(" cookie %s %s\n", e->cookie ? "set" : "0", e->len ? e->name : "");
		o += sizeof *e + e->len;
	}
}

int main(void) {
	fd = OK(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	MUST(mkdir("d", 0755));
	VAL(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
	show();
	SAY("create, write, close");
	int f = MUST(open("d/f", O_CREAT | O_RDWR, 0600));
	write(f, "x", 1);
	close(f);
	show();
	SAY("open, read");
	f = open("d/f", O_RDONLY);
	char c;
	read(f, &c, 1);
	close(f);
	show();
	SAY("chmod");
	chmod("d/f", 0644);
	show();
	SAY("rename");
	rename("d/f", "d/g");
	show();
	SAY("move out and in");
	rename("d/g", "g");
	show();
	rename("g", "d/g");
	show();
	SAY("truncate");
	truncate("d/g", 0);
	show();
	SAY("mkdir, symlink, link");
	mkdir("d/s", 0755);
	symlink("x", "d/l");
	link("d/g", "d/h");
	show();
	SAY("unlink, rmdir");
	unlink("d/h");
	rmdir("d/s");
	unlink("d/l");
	show();
	SAY("file watch");
	VAL(inotify_add_watch(fd, "d/g", IN_MODIFY | IN_DELETE_SELF | IN_ATTRIB));
	f = open("d/g", O_WRONLY);
	write(f, "xyz", 3);
	show();
	unlink("d/g");
	close(f);
	show();
	SAY("remove");
	OK(inotify_rm_watch(fd, 1));
	show();
	OK(inotify_rm_watch(fd, 1));
	VAL(inotify_add_watch(fd, "d", IN_CREATE | IN_ONESHOT));
	mkfile("d/1", "", 0600);
	mkfile("d/2", "", 0600);
	show();
	VAL(inotify_add_watch(fd, "d", IN_CREATE));
	VAL(inotify_add_watch(fd, "d", IN_DELETE | IN_MASK_ADD));
	mkfile("d/3", "", 0600);
	unlink("d/3");
	show();
	unlink("d/1");
	unlink("d/2");
	show();
	SAY("directory goes");
	rmdir("d");
	show();
	OK(inotify_add_watch(fd, "none", IN_CREATE));
	OK(inotify_add_watch(fd, ".", 0));
	mkfile("f", "", 0600);
	OK(inotify_add_watch(fd, "f", IN_CREATE | IN_ONLYDIR));
	OK(inotify_add_watch(0, ".", IN_CREATE));
	OK(inotify_add_watch(-1, ".", IN_CREATE));
	OK(inotify_init1(3));
	OK(inotify_rm_watch(0, 1));
	return 0;
}
