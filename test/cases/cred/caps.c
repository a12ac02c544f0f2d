// capget, capset, bounding and ambient sets.
#include "../case.h"
#include <linux/capability.h>
static void show(void) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	syscall(SYS_capget, &h, d);
	SAY("  eff %s perm %s inh %s", d[0].effective & 1 << CAP_NET_RAW ? "raw" : "-", d[0].permitted & 1 << CAP_NET_RAW ? "raw" : "-", d[0].inheritable & 1 << CAP_NET_RAW ? "raw" : "-");
}
static int set(unsigned e, unsigned p, unsigned i) {
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {{e, p, i}, {0}};
	return syscall(SYS_capset, &h, d);
}

int main(void) {
	unsigned raw = 1 << CAP_NET_RAW, kill_ = 1 << CAP_KILL;
	show();
	RUN({
		OK(set(raw, raw, 0));
		show();
		OK(set(0, raw, 0));
		show();
		OK(set(raw, raw, raw));
		show();
		OK(set(raw | kill_, raw | kill_, 0));
		OK(set(kill_, raw, 0));
		OK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
		VAL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0));
		OK(set(raw, raw, 0));
		VAL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0));
		OK(set(0, 0, 0));
		show();
		OK(set(raw, raw, 0));
		OK(setuid(4));
		OK(chroot("/"));
	});
	RUN({
		setresuid(5, 5, 5);
		show();
		OK(setuid(0));
	});
	RUN({
		prctl(PR_SET_KEEPCAPS, 1);
		setresuid(5, 5, 5);
		show();
		VAL(prctl(PR_GET_KEEPCAPS));
		OK(set(raw, raw, 0));
		show();
	});
	RUN({
		seteuid(5);
		show();
		seteuid(0);
		show();
	});
	VAL(prctl(PR_CAPBSET_READ, CAP_NET_RAW));
	RUN({
		OK(prctl(PR_CAPBSET_DROP, CAP_NET_RAW));
		VAL(prctl(PR_CAPBSET_READ, CAP_NET_RAW));
		show();
		execl("/bin/sh", "sh", "-c", "grep CapEff /proc/self/status | cut -c8- | tail -c 5", NULL);
	});
	VAL(prctl(PR_CAPBSET_READ, 63));
	OK(prctl(PR_CAPBSET_DROP, 63));
	struct __user_cap_header_struct h = {0x1234, 0};
	struct __user_cap_data_struct d[2];
	OK(syscall(SYS_capget, &h, NULL));
	YES(h.version == _LINUX_CAPABILITY_VERSION_3);
	OK(syscall(SYS_capget, &h, d));
	h.pid = 999999;
	OK(syscall(SYS_capget, &h, d));
	h.pid = -1;
	OK(syscall(SYS_capget, &h, d));
	h.pid = getppid();
	OK(syscall(SYS_capset, &h, d));
	RUN({
		OK(prctl(PR_SET_SECUREBITS, 1 << 2));
		VAL(prctl(PR_GET_SECUREBITS));
		setresuid(5, 5, 5);
		show();
	});
	RUN({
		OK(prctl(PR_SET_SECUREBITS, 3));
		execl("/bin/sh", "sh", "-c", "grep -E 'Cap(Eff|Prm)' /proc/self/status", NULL);
	});
	return 0;
}
