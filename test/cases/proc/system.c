// System-wide files have the shape programs expect.
#include "../case.h"
static void has(const char *f, const char *needle) {
	static char b[65536];
	int fd = open(f, O_RDONLY);
	if (fd == -1) {
		SAY("%s: %s", f, ename(errno));
		return;
	}
	ssize_t n = 0, r;
	while (n < 65535 && (r = read(fd, b + n, 65535 - n)) > 0) n += r;
	b[n] = 0;
	close(fd);
	SAY("%s: %s %s", f, needle, strstr(b, needle) ? "yes" : "no");
}
static void num(const char *f, int want) {
	char b[256] = {0};
	int fd = open(f, O_RDONLY);
	if (fd == -1) {
		SAY("%s: %s", f, ename(errno));
		return;
	}
	read(fd, b, 255);
	double d;
	int c = 0;
	char *p = b;
	while (sscanf(p, "%lf", &d) == 1) {
		c++;
		p = strpbrk(p, " \t\n/");
		if (!p) break;
		p++;
	}
	SAY("%s: %s", f, c >= want ? "numbers" : "not numbers");
	close(fd);
}

int main(void) {
	has("/proc/meminfo", "MemTotal:");
	has("/proc/meminfo", "MemAvailable:");
	has("/proc/meminfo", "SwapTotal:");
	has("/proc/meminfo", "Hugepagesize:");
	has("/proc/cpuinfo", "processor\t: 0");
	has("/proc/cpuinfo", "model name");
	has("/proc/cpuinfo", "flags");
	has("/proc/stat", "cpu ");
	has("/proc/stat", "btime ");
	has("/proc/stat", "ctxt ");
	has("/proc/stat", "processes ");
	has("/proc/version", "Linux version ");
	has("/proc/filesystems", "tmpfs");
	has("/proc/filesystems", "nodev\tproc");
	has("/proc/mounts", " /proc proc ");
	has("/proc/self/limits", "Max open files");
	has("/proc/self/limits", "Limit                     Soft Limit           Hard Limit           Units");
	has("/proc/self/cgroup", "0::");
	has("/proc/self/mountstats", "device ");
	has("/proc/self/smaps", "Rss:");
	has("/proc/self/smaps_rollup", "Pss:");
	has("/proc/self/io", "rchar:");
	has("/proc/net/dev", "lo:");
	has("/proc/net/tcp", "local_address");
	has("/proc/net/unix", "RefCount");
	has("/proc/net/route", "Iface");
	has("/proc/devices", "Character devices:");
	has("/proc/self/wchan", "");
	num("/proc/uptime", 2);
	num("/proc/loadavg", 5);
	num("/proc/sys/kernel/pid_max", 1);
	num("/proc/sys/kernel/threads-max", 1);
	num("/proc/sys/kernel/ngroups_max", 1);
	num("/proc/sys/kernel/cap_last_cap", 1);
	num("/proc/sys/kernel/shmmax", 1);
	num("/proc/sys/kernel/sem", 4);
	num("/proc/sys/fs/file-max", 1);
	num("/proc/sys/fs/nr_open", 1);
	num("/proc/sys/fs/pipe-max-size", 1);
	num("/proc/sys/fs/inotify/max_user_watches", 1);
	num("/proc/sys/vm/overcommit_memory", 1);
	num("/proc/sys/vm/max_map_count", 1);
	num("/proc/sys/vm/mmap_min_addr", 1);
	num("/proc/sys/net/core/somaxconn", 1);
	num("/proc/sys/net/ipv4/ip_local_port_range", 2);
	has("/proc/sys/kernel/ostype", "Linux");
	has("/proc/sys/kernel/random/boot_id", "-");
	has("/proc/sys/kernel/random/uuid", "-");
	num("/proc/sys/kernel/randomize_va_space", 1);
	num("/proc/self/oom_score", 1);
	num("/proc/self/oom_score_adj", 1);
	has("/sys/devices/system/cpu/online", "0");
	has("/sys/devices/system/cpu/possible", "0");
	OK(access("/sys/class/net/lo", F_OK));
	OK(access("/sys/fs/cgroup", F_OK));
	OK(access("/sys/kernel", F_OK));
	return 0;
}
