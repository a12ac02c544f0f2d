//go:build conform

package conform

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"redoubt.dev/redoubt/test/run"
)

var (
	only     = flag.String("slice", "", "run only slices whose name contains this (go/os, python/test_os, stress/futex)")
	runsc    = flag.String("runsc", filepath.Join(run.Root(), "bin", "runsc"), "path of runsc")
	platform = flag.String("platform", "systrap", "platform to run on")
	seconds  = flag.Int("stress-seconds", 2, "how long a stressor runs")
	bound    = flag.Duration("limit", 90*time.Second, "how long one slice may take natively")
)

// count adds up what the slices of one suite said.
type count struct{ slices, tests, alike, skipped, known, differ, silent int }

var counts = map[string]*count{}

// TestMain prints one line of counts per suite at the end.
func TestMain(m *testing.M) {
	code := m.Run()
	var suites []string
	for s := range counts {
		suites = append(suites, s)
	}
	sort.Strings(suites)
	for _, s := range suites {
		c := counts[s]
		fmt.Printf("conformance %s: %d slices, %d tests, %d alike, %d failing natively, %d known, %d differ, %d without a result\n", s, c.slices, c.tests, c.alike, c.skipped, c.known, c.differ, c.silent)
	}
	os.Exit(code)
}

// legs runs a command natively and in the sandbox. The sandbox gets several times what the
// native run took, so that a hang costs a slice as little as its tests do.
func legs(dir string, env []string, args ...string) (native, ours string) {
	start := time.Now()
	native = leg(true, dir, env, *bound, args...)
	took := time.Since(start)
	return native, leg(false, dir, env, min(20*time.Second+6*took, 3**bound), args...)
}

// leg runs a command natively or in the sandbox and returns all it printed.
// A shell in between keeps the suite from being the session's leader on one leg only.
func leg(native bool, dir string, env []string, limit time.Duration, args ...string) string {
	args = append([]string{"/bin/sh", "-c", `"$@"; exit $?`, "sh"}, args...)
	if !native {
		args = append([]string{*runsc, "--platform=" + *platform, "do", "--cwd", dir}, args...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + filepath.Join(runtime.GOROOT(), "bin"), "HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		fmt.Fprintf(&out, "\n[timeout after %v]\n", limit)
	} else if err != nil {
		fmt.Fprintf(&out, "\n[%v]\n", err)
	}
	return out.String()
}

// results takes the outcome of each test out of a suite's output.
func results(form *regexp.Regexp, text string) map[string]string {
	r := map[string]string{}
	for _, m := range form.FindAllStringSubmatch(text, -1) {
		name, verdict := m[form.SubexpIndex("name")], m[form.SubexpIndex("verdict")]
		if i := form.SubexpIndex("class"); i >= 0 {
			name = strings.TrimSuffix(m[i], "."+name) + "." + name
		}
		if r[name] == "" || verdict != "ok" {
			r[name] = verdict
		}
	}
	return r
}

// compare reports the tests that differ and the tail of the output when there are any.
func compare(t *testing.T, slice string, form *regexp.Regexp, native, ours string) {
	t.Helper()
	known, err := run.ReadKnown()
	if err != nil {
		t.Fatal(err)
	}
	a, b := results(form, native), results(form, ours)
	var names []string
	for n := range a {
		names = append(names, n)
	}
	sort.Strings(names)
	if len(names) == 0 {
		t.Skipf("the suite says nothing natively:\n%s", tail(native, 2000))
	}
	same, differ, listed, skipped := 0, 0, 0, 0
	var silent []string
	for _, n := range names {
		got := b[n]
		full := "conform/" + slice + "/" + n
		reason := known.Reason(full, *platform)
		switch {
		case a[n] == got && reason != "" && a[n] == "ok":
			t.Errorf("%s passes, but known.txt lists it (%s): remove the line", full, reason)
		case !good(a[n]):
			skipped++ // nothing to compare with
		case a[n] == got, good(got):
			same++
		case got == "" && reason == "":
			silent = append(silent, n)
		case reason != "":
			listed++
			t.Logf("known: %s: Linux %s, sandbox %s: %s", n, a[n], got, reason)
		default:
			differ++
			t.Errorf("%s: Linux %s, sandbox %s%s", full, a[n], got, detail(n, ours))
		}
	}
	// A suite that dies or hangs takes all later tests along: that is one finding.
	if len(silent) > 0 {
		t.Errorf("conform/%s: %d tests gave no result in the sandbox, the first %s; its output ends:\n%s", slice, len(silent), silent[0], tail(ours, 1500))
	}
	t.Logf("%s: %d tests, %d alike, %d failing natively, %d known, %d differ, %d without a result", slice, len(names), same, skipped, listed, differ, len(silent))
	suite, _, _ := strings.Cut(slice, "/")
	c := counts[suite]
	if c == nil {
		c = &count{}
		counts[suite] = c
	}
	c.slices++
	c.tests += len(names)
	c.alike += same
	c.skipped += skipped
	c.known += listed
	c.differ += differ
	c.silent += len(silent)
}

func good(verdict string) bool {
	v := strings.ToLower(verdict)
	return v == "ok" || v == "pass" || v == "passed" || strings.HasPrefix(v, "skip") || strings.HasPrefix(v, "expected")
}

// detail finds what a suite said about one failing test.
func detail(name, text string) string {
	short := name[strings.LastIndex(name, ".")+1:]
	for _, mark := range []string{"--- FAIL: " + name + " ", "ERROR: " + short + " ", "FAIL: " + short + " "} {
		if i := strings.Index(text, mark); i >= 0 {
			end := min(len(text), i+900)
			return "\n" + text[i:end]
		}
	}
	return ""
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

func wanted(t *testing.T, slice string) {
	t.Helper()
	if !strings.Contains(slice, *only) {
		t.Skip("not asked for")
	}
	if _, err := os.Stat(*runsc); err != nil {
		t.Skipf("%s is missing (run make)", *runsc)
	}
}

var goForm = regexp.MustCompile(`(?m)^\s*--- (?P<verdict>PASS|FAIL|SKIP): (?P<name>\S+)`)

// TestGo runs tests of Go's standard library, built once.
func TestGo(t *testing.T) {
	for _, pkg := range []string{"os", "os/exec", "os/signal", "os/user", "path/filepath", "io/fs", "syscall", "runtime", "time", "net", "internal/poll", "sync", "bufio", "log"} {
		t.Run(strings.ReplaceAll(pkg, "/", "_"), func(t *testing.T) {
			wanted(t, "go/"+pkg)
			dir := filepath.Join(runtime.GOROOT(), "src", pkg)
			bin := filepath.Join(run.Root(), "test", "out", "go-"+strings.ReplaceAll(pkg, "/", "-")+".test")
			build := exec.Command("go", "test", "-c", "-o", bin, pkg)
			build.Dir = run.Root()
			if out, err := build.CombinedOutput(); err != nil {
				t.Skipf("cannot build: %v\n%s", err, out)
			}
			args := []string{bin, "-test.v", "-test.short"}
			env := []string{"GOROOT=" + runtime.GOROOT(), "GOCACHE=/tmp/go-cache-conform", "GOFLAGS=-mod=mod"}
			native, ours := legs(dir, env, args...)
			compare(t, "go/"+pkg, goForm, native, ours)
		})
	}
}

var pythonForm = regexp.MustCompile(`(?m)^(?P<name>\w+) \((?P<class>[\w.<>]+)\)(?:\n[^\n]+?)? \.\.\. (?P<verdict>ok|FAIL|ERROR|skipped|expected failure)`)

// TestPython runs modules of CPython's test suite, as the distribution packages them.
func TestPython(t *testing.T) {
	python := "/usr/bin/python3"
	where, err := exec.Command(python, "-c", "import test.test_os, os; print(os.path.dirname(test.test_os.__file__))").Output()
	if err != nil {
		t.Skip("CPython's tests are not installed (libpython3-testsuite)")
	}
	t.Logf("tests in %s", bytes.TrimSpace(where))
	for _, mod := range strings.Fields("test_os test_posix test_subprocess test_signal test_threading test_thread test_select test_selectors test_poll test_epoll test_mmap test_fcntl test_pty test_multiprocessing_fork test_tempfile test_shutil test_time test_resource test_eintr test_socket test_io test_file test_pathlib test_glob test_asyncio.test_subprocess test_asyncio.test_unix_events test_concurrent_futures test_fileio test_largefile test_openpty test_popen test_pwd test_grp test_sqlite3 test_termios test_tty test_zipfile test_tarfile test_gzip test_locale test_platform test_posixpath test_stat test_wait3 test_wait4 test_fork1 test_threadsignals test_ioctl test_dbm test_netrc test_mailbox") {
		t.Run(mod, func(t *testing.T) {
			wanted(t, "python/"+mod)
			args := []string{python, "-m", "unittest", "-v", "test." + mod}
			native, ours := legs("/tmp", nil, args...)
			compare(t, "python/"+mod, pythonForm, native, ours)
		})
	}
}

// stressors are those of stress-ng whose --verify checks what a kernel answers.
var stressors = strings.Fields("access af-alg affinity aio alarm atomic brk chdir chmod chown chroot clock clone close context copy-file cpu dentry dev-shm dir dirdeep dirmany dnotify dup env epoll eventfd exec exit-group fallocate fcntl fiemap fifo file-ioctl flock fork fp fpunch fstat full futex get getdent getrandom handle hdd icmp-flood inode-flags inotify io itimer kill lease link locka lockf lockofd madvise malloc mcontend membarrier memfd memthrash mincore mknod mlock mmap mmapaddr mmapfixed mmapfork mmapmany mq mremap msg msync munmap mutex nanosleep nice null open pagemove personality pipe pipeherd poll prctl procfs pthread ptrace pty pidfd qsort readahead rename resources revio rlimit robust-spawn rseq schedpolicy seccomp seek sem sem-sysv sendfile session set shm shm-sysv sigabrt sigchld sigfd sigfpe sigio signal signest sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap sleep sock sockabuse sockdiag sockfd sockmany sockpair spawn splice stack switch symlink sync-file sysbadaddr sysinfo tee timer timerfd tmpfs tsc udp unlink unshare urandom userfaultfd utime vdso vfork vforkmany vm vm-addr vm-rw vm-splice wait wcs x86syscall yield zero zombie")

var stressForm = regexp.MustCompile(`(?m)^(?P<name>stressor): (?P<verdict>ok|FAIL)`)

// TestStress runs stressors with --verify; one passes when stress-ng says so.
func TestStress(t *testing.T) {
	if _, err := exec.LookPath("stress-ng"); err != nil {
		t.Skip("stress-ng is not installed")
	}
	for _, s := range stressors {
		t.Run(s, func(t *testing.T) {
			wanted(t, "stress/"+s)
			verdict := func(native bool) (string, string) {
				limit := time.Duration(*seconds+20) * time.Second
				if !native {
					limit *= 2
				}
				out := leg(native, "/tmp", nil, limit, "stress-ng", "--temp-path", "/tmp", "--"+s, "1", "--"+s+"-ops", "200", "--verify", "-t", fmt.Sprint(*seconds))
				switch {
				case strings.Contains(out, "[timeout"), strings.Contains(out, "[exit status 2]"), strings.Contains(out, "[signal"):
					return "stressor: FAIL", out
				case strings.Contains(out, "[exit status"):
					return "", out // not built in, or not possible here
				}
				return "stressor: ok", out
			}
			a, text := verdict(true)
			if a == "" {
				t.Skipf("not possible on this machine:\n%s", tail(text, 300))
			}
			b, ours := verdict(false)
			if a != b && strings.HasSuffix(a, "ok") {
				t.Logf("sandbox:\n%s", tail(ours, 1500))
			}
			compare(t, "stress/"+s, stressForm, a, b)
		})
	}
}
