package hostile

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

func runsc() string {
	if r := os.Getenv("RUNSC"); r != "" {
		return r
	}
	return filepath.Join(root(), "bin", "runsc")
}

var (
	buildMu sync.Mutex
	built   = map[string]string{}
	outDir  string
)

func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		fmt.Println("not root: nothing is attacked")
		return
	}
	var err error
	if outDir, err = os.MkdirTemp("/tmp", "hostile"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Chmod(outDir, 0o755)
	code := m.Run()
	os.RemoveAll(outDir)
	os.Exit(code)
}

// program builds c/NAME.c.
func program(t *testing.T, name string) string {
	t.Helper()
	buildMu.Lock()
	defer buildMu.Unlock()
	if p := built[name]; p != "" {
		return p
	}
	p := filepath.Join(outDir, name)
	src := filepath.Join(root(), "test", "hostile", "c", name+".c")
	if b, err := exec.Command("gcc", "-w", "-O1", "-static", "-pthread", "-o", p, src).CombinedOutput(); err != nil {
		t.Fatalf("compiling %s: %v\n%s", name, err, b)
	}
	built[name] = p
	return p
}

// inside runs a program in a sandbox of its own and returns what it printed.
// It fails the test if the sandbox broke or took longer than limit.
func inside(t *testing.T, limit time.Duration, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, runsc(), append([]string{"do"}, args...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	said := errs.String()
	if len(said) > 6000 {
		said = said[:6000] + "..."
	}
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%v: not done after %v\n%s\n%s", args[1:], limit, out.String(), said)
	case strings.Contains(said, "panic") || strings.Contains(said, "watchdog") || strings.Contains(said, "fatal error"):
		t.Fatalf("%v: the sentry broke: %v\n%s\n%s", args[1:], err, out.String(), said)
	case err != nil:
		t.Fatalf("%v: %v\n%s\n%s", args[1:], err, out.String(), said)
	}
	return out.String()
}

// want fails the test unless each line is in out.
func want(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains(out, l) {
			t.Errorf("no line %q in\n%s", l, out)
		}
	}
}

func TestRandomCalls(t *testing.T) {
	secs := 2.5
	if s, err := strconv.ParseFloat(os.Getenv("HOSTILE_SECONDS"), 64); err == nil {
		secs = s / 3
	}
	seeds := []string{"1", "2", "3"}
	if s := os.Getenv("HOSTILE_SEED"); s != "" {
		seeds = []string{s}
		secs *= 3
	}
	p := program(t, "fuzz")
	for _, s := range seeds {
		out := inside(t, time.Duration(secs+90)*time.Second, p, s, fmt.Sprint(secs))
		want(t, out, "fuzz: done")
		t.Log(strings.TrimSpace(out))
	}
}

func TestEveryFile(t *testing.T) {
	p := program(t, "walk")
	for _, how := range []string{"read", "write", "ioctl"} {
		out := inside(t, 120*time.Second, p, how)
		want(t, out, "walk: done "+how)
		if strings.Contains(out, "stuck") {
			t.Errorf("walk %s:\n%s", how, out)
		}
	}
}

func TestBombs(t *testing.T) {
	p := program(t, "bomb")
	for _, b := range []struct {
		args  string
		lines []string
	}{
		{"forks 1500", []string{"fork: all", "fork: after: ok"}},
		{"forks 100000 300", []string{"then EAGAIN", "fork: after: ok"}},
		{"threads 6000", []string{"threads: "}},
		{"memory 64", []string{"memory: exit 0"}},
		{"touched", []string{"touched: ok"}},
		{"hostfiles", []string{"created: all"}},
		{"files 30000", []string{"files: all", "listed ok"}},
		{"deep", []string{"deep: gone 1"}},
		{"mounts", []string{"ENOSPC", "mounts: alive"}},
		{"watches", []string{"queue bounded"}},
		{"epolls", []string{"epoll: all", "epoll nest: 4 then ELOOP"}},
		{"signals", []string{"then EAGAIN"}},
		{"timers", []string{"timers: all"}},
		{"pipes", []string{"pipes: all"}},
		{"rights", []string{"then ETOOMANYREFS", "rights: alive"}},
		{"chain 20000", []string{"chain: alive"}},
		{"sockbufs", []string{"sockbufs: all, bounded"}},
	} {
		t.Run(strings.Fields(b.args)[0], func(t *testing.T) {
			out := inside(t, 90*time.Second, append([]string{p}, strings.Fields(b.args)...)...)
			want(t, out, append(b.lines, "bomb: done")...)
		})
	}
}
