package loader_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"redoubt.dev/redoubt/sentry/arch"
	"redoubt.dev/redoubt/sentry/creds"
	"redoubt.dev/redoubt/sentry/errno"
	"redoubt.dev/redoubt/sentry/kctx"
	"redoubt.dev/redoubt/sentry/loader"
	"redoubt.dev/redoubt/sentry/memmap"
	"redoubt.dev/redoubt/sentry/mm"
	"redoubt.dev/redoubt/sentry/pages"
	"redoubt.dev/redoubt/sentry/platform"
	"redoubt.dev/redoubt/sentry/platform/systrap"
	"redoubt.dev/redoubt/sentry/usermem"
)

// These tests run real programs on the real platform with a kernel of a dozen
// calls, enough for a C library to start and print.

var ctx = kctx.Background(creds.NewRoot(nil))

// hostFile is a file of this machine as a program's file.
type hostFile struct {
	f    *os.File
	hf   *pages.HostFile
	size uint64
	path string
}

func open(path string) (*hostFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errno.FromHost(err)
	}
	st, _ := f.Stat()
	return &hostFile{f, pages.NewHostFile(int(f.Fd()), -1, uint64(st.Size())), uint64(st.Size()), path}, nil
}

func (h *hostFile) IncRef()                                                     {}
func (h *hostFile) DecRef(kctx.Ctx)                                             {}
func (h *hostFile) Ref() mm.FileRef                                             { return h }
func (h *hostFile) Mappable(kctx.Ctx) (memmap.Mappable, error)                  { return h, nil }
func (h *hostFile) MappedName(kctx.Ctx) memmap.Identity                         { return memmap.Identity{Path: h.path} }
func (h *hostFile) AddMapping(memmap.Mapping, memmap.Range, uint64, bool) error { return nil }
func (h *hostFile) RemoveMapping(memmap.Mapping, memmap.Range, uint64, bool)    {}

func (h *hostFile) ReadAt(ctx kctx.Ctx, p []byte, off int64) (int, error) {
	n, _ := h.f.ReadAt(p, off)
	return n, nil
}

func (h *hostFile) Translate(ctx kctx.Ctx, required, optional memmap.Range, write bool) ([]memmap.Translation, error) {
	src := optional.Intersect(memmap.Range{End: (h.size + 4095) &^ 4095})
	if required.Start >= src.End {
		return nil, errno.EFAULT
	}
	h.hf.IncRef(src)
	return []memmap.Translation{{Source: src, File: h.hf, Offset: src.Start}}, nil
}

type opener struct{}

func (opener) OpenExec(ctx kctx.Ctx, path string) (loader.File, error) {
	h, err := open(path)
	if err != nil {
		return nil, err
	}
	return h, nil
}

type tiny struct {
	t    testing.TB
	m    *mm.Space
	th   platform.Thread
	regs arch.Regs
	out  bytes.Buffer
	fds  map[uint64]*hostFile
	offs map[uint64]int64
	log  []string
}

// world starts a platform and a memory.
func world(t testing.TB) (platform.Platform, *pages.Memory) {
	p, err := systrap.New(systrap.Options{})
	if err != nil {
		t.Skipf("systrap: %v", err)
	}
	t.Cleanup(func() { p.Close() })
	mem, err := pages.NewMemory("test")
	if err != nil {
		t.Fatal(err)
	}
	return p, mem
}

func start(t testing.TB, argv ...string) *tiny {
	p, mem := world(t)
	m, err := mm.New(p, mem)
	if err != nil {
		t.Fatal(err)
	}
	f, err := open(argv[0])
	if err != nil {
		t.Fatal(err)
	}
	var base uint64
	if k, ok := p.(platform.VDSOKeeper); ok {
		base = k.HostVDSO()
	}
	v, err := loader.NewVDSO(mem, base)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := loader.Open(ctx, loader.Args{File: f, Path: argv[0], Argv: argv, Envv: []string{"A=B"}, Opener: opener{}, StackLimit: 8 << 20, VDSO: v})
	if err != nil {
		t.Fatal(err)
	}
	img, err := prog.Load(ctx, m, loader.IDs{})
	if err != nil {
		t.Fatal(err)
	}
	k := &tiny{t: t, m: m, fds: map[uint64]*hostFile{}, offs: map[uint64]int64{}}
	if k.th, err = m.NewThread(); err != nil {
		t.Fatal(err)
	}
	k.regs.Rip, k.regs.Rsp, k.regs.Eflags = img.Rip, img.Rsp, 0x202
	k.regs.Cs, k.regs.Ss = arch.UserCS, arch.UserSS
	return k
}

// run runs the program until it exits and returns its status.
func (k *tiny) run() int {
	for i := 0; i < 1e6; i++ {
		ev := k.th.Switch(&k.regs)
		switch ev.Kind {
		case platform.EventSyscall:
			nr, a := k.regs.SyscallNo(), k.regs.SyscallArgs()
			if nr == unix.SYS_EXIT_GROUP || nr == unix.SYS_EXIT {
				k.th.Release()
				k.m.DecUsers(ctx)
				return int(a[0])
			}
			v, err := k.call(nr, a)
			if len(k.log) < 1000 {
				k.log = append(k.log, fmt.Sprintf("%d %x = %x %v", nr, a, v, err))
			}
			if err != nil {
				e, _ := errno.Of(err)
				v = -uint64(e)
			}
			k.regs.SetReturn(v)
		case platform.EventFault:
			if err := k.m.HandleFault(ctx, ev.Addr, ev.Access); err != nil {
				k.t.Fatalf("fault at %#x access %d rip %#x: %+v\n%s", ev.Addr, ev.Access, k.regs.Rip, err, strings.Join(k.log, "\n"))
			}
		default:
			k.t.Fatalf("event %+v rip %#x", ev, k.regs.Rip)
		}
	}
	k.t.Fatal("does not end")
	return 0
}

func (k *tiny) call(nr uint64, a arch.Args) (uint64, error) {
	switch nr {
	case unix.SYS_BRK:
		return k.m.Brk(ctx, a[0]), nil
	case unix.SYS_MMAP:
		o := mm.MMapOpts{Addr: a[0], Length: a[1], Prot: platform.Prot(a[2]), Flags: uint32(a[3]), Offset: a[5]}
		if f := k.fds[a[4]]; f != nil && o.Flags&unix.MAP_ANONYMOUS == 0 {
			o.Mappable, o.File = f, f
		}
		return k.m.MMap(ctx, o)
	case unix.SYS_MUNMAP:
		return 0, k.m.Munmap(ctx, a[0], a[1])
	case unix.SYS_MPROTECT:
		return 0, k.m.Mprotect(ctx, a[0], a[1], platform.Prot(a[2]), 0)
	case unix.SYS_ARCH_PRCTL:
		if a[0] == 0x1002 {
			k.regs.FsBase = a[1]
			return 0, nil
		}
		return 0, errno.EINVAL
	case unix.SYS_SET_TID_ADDRESS, unix.SYS_GETPID, unix.SYS_GETTID:
		return 1, nil
	case unix.SYS_OPENAT:
		p, err := usermem.CopyInString(k.m, a[1], 4096)
		if err != nil {
			return 0, err
		}
		f, err := open(p)
		if err != nil {
			return 0, err
		}
		fd := uint64(3 + len(k.fds))
		k.fds[fd], k.offs[fd] = f, 0
		return fd, nil
	case unix.SYS_READ, unix.SYS_PREAD64:
		f := k.fds[a[0]]
		if f == nil {
			return 0, errno.EBADF
		}
		buf := make([]byte, a[2])
		off := k.offs[a[0]]
		if nr == unix.SYS_PREAD64 {
			off = int64(a[3])
		}
		n, _ := f.ReadAt(ctx, buf, off)
		if nr == unix.SYS_READ {
			k.offs[a[0]] += int64(n)
		}
		n, err := k.m.CopyOut(a[1], buf[:n])
		return uint64(n), err
	case unix.SYS_FSTAT, unix.SYS_NEWFSTATAT:
		var st unix.Stat_t
		if nr == unix.SYS_NEWFSTATAT {
			a[1] = a[2]
		}
		if f := k.fds[a[0]]; f != nil {
			unix.Fstat(int(f.f.Fd()), &st)
		} else {
			unix.Fstat(1, &st)
			st.Mode = unix.S_IFIFO
		}
		return 0, usermem.Put(k.m, a[1], &st)
	case unix.SYS_CLOSE:
		return 0, nil
	case unix.SYS_WRITE:
		buf := make([]byte, a[2])
		n, err := k.m.CopyIn(a[1], buf)
		k.out.Write(buf[:n])
		return uint64(n), err
	case unix.SYS_GETRANDOM:
		n, err := k.m.CopyOut(a[0], make([]byte, a[1]))
		return uint64(n), err
	case unix.SYS_CLOCK_GETTIME:
		ts := unix.Timespec{Sec: 5}
		return 0, usermem.Put(k.m, a[1], &ts)
	}
	return 0, errno.ENOSYS
}

func TestDynamicProgram(t *testing.T) {
	k := start(t, "/bin/echo", "hello", "world")
	if code := k.run(); code != 0 || k.out.String() != "hello world\n" {
		t.Fatalf("status %d, output %q\n%s", code, k.out.String(), strings.Join(k.log, "\n"))
	}
}

func build(t testing.TB, src string, flags ...string) string {
	dir := t.TempDir()
	c, out := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	os.WriteFile(c, []byte(src), 0o644)
	if b, err := exec.Command("gcc", append(flags, "-O1", "-o", out, c)...).CombinedOutput(); err != nil {
		t.Skipf("gcc: %v: %s", err, b)
	}
	return out
}

const testSource = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
char bss[200000]; int data = 7;
int main(int c, char **v, char **e) {
	for (int i = 0; i < sizeof bss; i++) if (bss[i]) return 1;
	char *p = malloc(5000000), *q = malloc(100);
	memset(p, 1, 5000000); memset(q, 2, 100); memset(bss, 3, sizeof bss);
	char big[300000]; memset(big, 4, sizeof big);
	struct timespec ts; clock_gettime(CLOCK_MONOTONIC, &ts);
	printf("%d %s %s %s %d %d %d\n", c, v[1], e[0], (char*)getauxval(AT_PLATFORM), data, big[299999], ts.tv_sec > 0);
	return 42;
}`

func TestPrograms(t *testing.T) {
	for _, flags := range [][]string{{"-static"}, {"-static-pie"}, {"-no-pie"}, {"-pie", "-fPIE"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			k := start(t, build(t, testSource, flags...), "arg")
			if code := k.run(); code != 42 || k.out.String() != "2 arg A=B x86_64 7 4 1\n" {
				t.Fatalf("status %d, output %q\n%s", code, k.out.String(), strings.Join(k.log, "\n"))
			}
		})
	}
}

// TestTime checks that time needs no system call.
func TestTime(t *testing.T) {
	k := start(t, build(t, `
#include <stdio.h>
#include <time.h>
#include <sys/time.h>
int main() {
	struct timespec a, b, x; struct timeval tv; unsigned cpu;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 1000000; i++) clock_gettime(CLOCK_MONOTONIC, &x);
	clock_gettime(CLOCK_MONOTONIC, &b);
	gettimeofday(&tv, 0); clock_gettime(CLOCK_REALTIME, &x);
	long d = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec;
	fprintf(stderr, "%ld.%02ld ns\n", d / 1000000, d / 10000 % 100);
	return tv.tv_sec - time(0) > 1 || x.tv_sec - tv.tv_sec > 1;
}`, "-O2"))
	if code := k.run(); code != 0 {
		t.Fatalf("status %d", code)
	}
	t.Log(k.out.String())
	for _, l := range k.log {
		if strings.HasPrefix(l, "228 ") || strings.HasPrefix(l, "96 ") {
			t.Error("the vDSO made a system call")
			break
		}
	}
}

const mmapSource = `
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <sys/mman.h>
int main(int c, char **v) {
	struct timespec a, b; long n = 2000, sz = atol(v[1]);
	for (int r = 0; r < 2; r++) {
		clock_gettime(CLOCK_MONOTONIC, &a);
		for (int i = 0; i < n; i++) {
			char *p = mmap(0, sz, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			for (long j = 0; j < sz; j += 4096) p[j] = 1;
			munmap(p, sz);
		}
		clock_gettime(CLOCK_MONOTONIC, &b);
	}
	printf("%ld", ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec) / n);
}`

// BenchmarkMmapTouchMunmap reports ns per round beside what the host takes.
func BenchmarkMmapTouchMunmap(b *testing.B) {
	exe := build(b, mmapSource)
	for _, size := range []string{"4096", "65536", "1048576"} {
		b.Run(size, func(b *testing.B) {
			k := start(b, exe, size)
			k.run()
			native, _ := exec.Command(exe, size).Output()
			var g, n float64
			fmt.Sscan(k.out.String(), &g)
			fmt.Sscan(string(native), &n)
			b.ReportMetric(g, "guest-ns")
			b.ReportMetric(n, "host-ns")
			b.ReportMetric(0, "ns/op")
		})
	}
}
