// bind, listen, accept, connect by path.
#include "../case.h"
#define A(p) (struct sockaddr *)&(struct sockaddr_un){AF_UNIX, p}, sizeof(struct sockaddr_un)

int main(void) {
	int l = OK(socket(AF_UNIX, SOCK_STREAM, 0));
	OK(bind(l, A("sock")));
	OK(bind(l, A("other")));
	struct stat st;
	stat("sock", &st);
	SAY("%s %04o", ftype(st.st_mode), st.st_mode & 07777);
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(connect(c, A("sock")));
	OK(accept(l, NULL, NULL));
	OK(listen(l, 2));
	OK(connect(c, A("sock")));
	OK(connect(c, A("sock")));
	struct sockaddr_un a;
	socklen_t n = sizeof a;
	int s = OK(accept(l, (struct sockaddr *)&a, &n));
	VAL(n);
	n = sizeof a;
	OK(getsockname(s, (struct sockaddr *)&a, &n));
	SAY("%s", a.sun_path);
	n = sizeof a;
	OK(getpeername(c, (struct sockaddr *)&a, &n));
	SAY("%s %d", a.sun_path, (int)n);
	n = sizeof a;
	OK(getpeername(s, (struct sockaddr *)&a, &n));
	VAL(n);
	VAL(write(c, "hello", 5));
	char b[16] = {0};
	VAL(read(s, b, 16));
	SAY("%s", b);
	OK(getpeername(l, (struct sockaddr *)&a, &n));
	int d = socket(AF_UNIX, SOCK_STREAM, 0);
	OK(connect(d, A("none")));
	MUST(mkfile("file", "", 0600));
	OK(connect(d, A("file")));
	OK(bind(d, A("sock")));
	OK(bind(d, A("nodir/x")));
	unlink("sock");
	OK(connect(d, A("sock")));
	close(l);
	OK(write(c, "still", 5));
	int g = socket(AF_UNIX, SOCK_DGRAM, 0);
	l = socket(AF_UNIX, SOCK_STREAM, 0);
	MUST(bind(l, A("two")));
	MUST(listen(l, 1));
	OK(connect(g, A("two")));
	OK(listen(g, 1));
	OK(accept(g, NULL, NULL));
	OK(open("two", O_RDWR));
	close(l);
	OK(connect(d, A("two")));
	OK(bind(d, (struct sockaddr *)&a, 1));
	OK(bind(d, (struct sockaddr *)&a, 200));
	OK(connect(99, A("two")));
	OK(connect(0, A("two")));
	RUN({
		MUST(chmod(".", 0755));
		l = socket(AF_UNIX, SOCK_STREAM, 0);
		MUST(bind(l, A("priv")));
		MUST(chmod("priv", 0600));
		MUST(listen(l, 1));
		setresuid(5, 5, 5);
		OK(connect(d, A("priv")));
		OK(bind(d, A("nope")));
	});
	return 0;
}
