/*
 * The vDSO that guests get (vdso(7)). It asks the host's vDSO, which the
 * platform keeps mapped above user memory, and adds the sandbox's offsets; or,
 * where there is none, makes the system call.
 *
 * Build: go generate ./sentry/loader
 */
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;

struct timespec { s64 sec, nsec; };
struct timeval { s64 sec, usec; };

/* One page before the image: see params in vdso.go. Written before user code
 * of the sandbox runs (start, restore) and read-only to it. */
struct params {
	u64 gettime; /* host's __vdso_clock_gettime, 0 if unusable */
	u64 getcpu;  /* host's __vdso_getcpu, or 0 */
	s64 mono;    /* ns to add to CLOCK_MONOTONIC and its kin */
	s64 boot;    /* ns to add to CLOCK_BOOTTIME */
};
extern const volatile struct params vvar __attribute__((visibility("hidden")));

#define PUBLIC __attribute__((visibility("default")))
#define EXPORT(name) __attribute__((visibility("default"), weak, alias(#name)))

static inline long syscall3(long nr, long a, long b, long c)
{
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return ret;
}

/* Clocks that the host's vDSO answers: REALTIME, MONOTONIC, MONOTONIC_RAW,
 * REALTIME_COARSE, MONOTONIC_COARSE, BOOTTIME, TAI. */
#define FAST 0x8f3u
#define MONO 0x052u
#define BOOT 0x080u

static __attribute__((noinline)) void shift(struct timespec *ts, s64 off)
{
	s64 ns = ts->nsec + off % 1000000000;
	ts->sec += off / 1000000000;
	if (ns >= 1000000000) {
		ns -= 1000000000;
		ts->sec++;
	} else if (ns < 0) {
		ns += 1000000000;
		ts->sec--;
	}
	ts->nsec = ns;
}

PUBLIC int __vdso_clock_gettime(int clock, struct timespec *ts)
{
	int (*host)(int, struct timespec *) = (void *)vvar.gettime;
	u32 bit = 1u << (clock & 31);
	s64 off = 0;

	if (!host || (u32)clock > 11 || !(FAST & bit))
		return syscall3(228, clock, (long)ts, 0);
	if (bit & MONO)
		off = vvar.mono;
	else if (bit & BOOT)
		off = vvar.boot;
	if (__builtin_expect(off == 0, 1))
		return host(clock, ts);
	int ret = host(clock, ts);
	if (ret == 0)
		shift(ts, off);
	return ret;
}

PUBLIC int __vdso_gettimeofday(struct timeval *tv, void *tz)
{
	if (!vvar.gettime || tz)
		return syscall3(96, (long)tv, (long)tz, 0);
	if (tv) {
		struct timespec ts;
		int ret = __vdso_clock_gettime(0, &ts);
		if (ret)
			return ret;
		tv->sec = ts.sec;
		tv->usec = ts.nsec / 1000;
	}
	return 0;
}

PUBLIC s64 __vdso_time(s64 *t)
{
	struct timespec ts;

	if (!vvar.gettime || __vdso_clock_gettime(5, &ts))
		return syscall3(201, (long)t, 0, 0);
	if (t)
		*t = ts.sec;
	return ts.sec;
}

PUBLIC int __vdso_clock_getres(int clock, struct timespec *ts)
{
	return syscall3(229, clock, (long)ts, 0);
}

PUBLIC long __vdso_getcpu(u32 *cpu, u32 *node, void *unused)
{
	long (*host)(u32 *, u32 *, void *) = (void *)vvar.getcpu;

	if (host)
		return host(cpu, node, unused);
	return syscall3(309, (long)cpu, (long)node, 0);
}

int clock_gettime(int, struct timespec *) EXPORT(__vdso_clock_gettime);
int gettimeofday(struct timeval *, void *) EXPORT(__vdso_gettimeofday);
s64 time(s64 *) EXPORT(__vdso_time);
int clock_getres(int, struct timespec *) EXPORT(__vdso_clock_getres);
long getcpu(u32 *, u32 *, void *) EXPORT(__vdso_getcpu);
