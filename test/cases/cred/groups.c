// setgroups(2), getgroups(2).
#include "../case.h"

int main(void) {
	gid_t g[100];
	RUN({
		OK(setgroups(0, NULL));
		VAL(getgroups(0, NULL));
		gid_t a[] = {30, 10, 20, 10};
		OK(setgroups(4, a));
		VAL(getgroups(0, NULL));
		VAL(getgroups(2, g));
		VAL(getgroups(100, g));
		SAY("%d %d %d %d", g[0], g[1], g[2], g[3]);
		VAL(getgroups(-1, g));
		VAL(getgroups(100, (void *)1));
		OK(setgroups(70000, g));
		OK(setgroups(2, (void *)1));
		gid_t bad[] = {-1};
		OK(setgroups(1, bad));
		setresuid(5, 5, 5);
		OK(setgroups(1, a));
		VAL(getgroups(100, g));
		RUN({
			VAL(getgroups(0, NULL));
		});
	});
	return 0;
}
