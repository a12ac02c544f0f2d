// Setuid family: rules for root and for users.
#include "../case.h"
static void ids(void) {
	uid_t r, e, s;
	gid_t a, b, c;
	getresuid(&r, &e, &s);
	getresgid(&a, &b, &c);
	SAY("  uid %d %d %d gid %d %d %d", r, e, s, a, b, c);
}

int main(void) {
	ids();
	RUN({
		OK(setuid(10));
		ids();
		OK(setuid(0));
		OK(setuid(10));
	});
	RUN({
		OK(seteuid(10));
		ids();
		OK(seteuid(11));
		OK(setuid(10));
		ids();
		OK(setuid(0));
		ids();
	});
	RUN({
		OK(setreuid(10, 20));
		ids();
		OK(setreuid(20, 10));
		ids();
		OK(setreuid(-1, 30));
		OK(setreuid(30, -1));
		ids();
	});
	RUN({
		OK(setreuid(-1, 20));
		ids();
		OK(setreuid(-1, -1));
		OK(setreuid(0, 0));
		ids();
	});
	RUN({
		OK(setresuid(1, 2, 3));
		ids();
		OK(setresuid(3, 1, 2));
		ids();
		OK(setresuid(-1, 4, -1));
		OK(setresuid(2, -1, -1));
		ids();
		OK(seteuid(2));
		OK(setuid(3));
		ids();
	});
	RUN({
		OK(setgid(5));
		ids();
		OK(setresgid(6, 7, 8));
		ids();
		OK(setregid(9, 10));
		ids();
		OK(setegid(11));
		ids();
	});
	RUN({
		setresgid(1, 2, 3);
		setresuid(5, 5, 5);
		OK(setgid(1));
		ids();
		OK(setgid(9));
		OK(setegid(3));
		ids();
		OK(setregid(3, -1));
		OK(setresgid(-1, 7, -1));
	});
	RUN({
		setuid(10);
		VAL(setfsuid(11));
		VAL(setfsuid(10));
	});
	VAL(setfsuid(42));
	VAL(setfsuid(-1));
	VAL(setfsgid(43));
	VAL(setfsgid(-1));
	OK(setuid(-1));
	OK(setgid(-1));
	OK(setresuid(-2, -1, -1));
	OK(getresuid((void *)1, NULL, NULL));
	return 0;
}
